"""
The bell: it wakes another process as soon as work is due.

It is only a hint: a lost one delays the work until a worker's next check.
Only one listener gets it: the checks of all others would find nothing,
and more workers would make more such checks. On PostgreSQL it is NOTIFY,
on SQLite a datagram to a listener's socket.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

#: Called with a kind of work and the number of its rows that are due now.
Listener = Callable[[str, int], object]
#: The pause after which a listener checks whether it should end, and its connection.
LISTEN_SECONDS = 1.0
_DATAGRAM = 200


class Bell(Protocol):
    """Wakes one of the listening processes, and lets this process listen."""

    def ring(self, due: Mapping[str, int]) -> None:
        """Report the number of due rows of each kind. Never raises, never waits."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` for the reports of other processes, until `close`."""

    def close(self) -> None:
        """Stop listening, and release all resources."""


class SocketBell:
    """
    A bell for the processes of one machine.

    Args:
        folder: holds a socket for each process that listens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The name of our own socket: this process has called its listener already.
        self._name = f"{os.getpid()}-{id(self):x}"
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, due: Mapping[str, int]) -> None:
        """See `Bell`."""
        # Without a folder, no process has listened yet.
        with suppress(OSError), _Directory(self._folder) as directory, _datagrams() as sender:
            sender.setblocking(False)
            names = [name for name in os.listdir(self._folder) if name != self._name]
            random.shuffle(names)
            any(self._reaches(sender, directory, name, written(due)) for name in names)

    def _reaches(
        self, sender: socket.socket, directory: _Directory, name: str, message: bytes
    ) -> bool:
        try:
            sender.sendto(message, directory.address(name))
        except ConnectionRefusedError:
            # The process of this socket was killed.
            (self._folder / name).unlink(missing_ok=True)
            return False
        except OSError:
            # A full socket: that process has enough to do.
            return False
        return True

    def listen(self, listener: Listener) -> None:
        """See `Bell`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / self._name
        heard = _datagrams()
        with _Directory(self._folder) as directory:
            heard.bind(directory.address(path.name))
        heard.settimeout(LISTEN_SECONDS)
        arguments = (heard, path, listener)
        self._thread = threading.Thread(target=self._run, args=arguments, name="bell", daemon=True)
        self._thread.start()

    def _run(self, heard: socket.socket, path: Path, listener: Listener) -> None:
        with heard:
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    tell(listener, heard.recv(_DATAGRAM))
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """See `Bell`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * LISTEN_SECONDS)


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


class _Directory:
    """A folder whose sockets have short addresses, however long its path is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Directory:
        self._number = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def address(self, name: str) -> str:
        """The address of the socket with this name."""
        return f"/proc/self/fd/{self._number}/{name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


def written(due: Mapping[str, int]) -> bytes:
    """The counts as bytes of a message."""
    return " ".join(f"{kind}:{count}" for kind, count in due.items()).encode()[:_DATAGRAM]


def tell(listener: Listener, message: bytes) -> None:
    """Call the listener with a message's counts; a message of another program is ignored."""
    for word in message.decode(errors="replace").split():
        kind, _, count = word.partition(":")
        if count.isdecimal():
            listener(kind, int(count))

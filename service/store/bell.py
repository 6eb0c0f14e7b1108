"""
The bell: another process hears at once that work has become due.

A hint and no more: one that is lost costs as long as a worker's next look takes.
Only one of those that listen hears it: the looks of all others would find nothing,
and the more workers there are, the more they would look. On PostgreSQL it is NOTIFY,
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

#: Called with a kind of work, and how many of its rows have become due.
Listener = Callable[[str, int], object]
#: A listener looks this often whether it is to end, or whether its connection still lives.
LISTEN_SECONDS = 1.0
_DATAGRAM = 200


class Bell(Protocol):
    """Rings for one of the processes that listen, and lets a process listen."""

    def ring(self, due: Mapping[str, int]) -> None:
        """So many rows of each kind have become due. Never raises, never waits."""

    def listen(self, listener: Listener) -> None:
        """Call it for what other processes ring, until `close`."""

    def close(self) -> None:
        """Listen no more, and give back what was opened."""


class SocketBell:
    """
    For the processes of one machine.

    Args:
        folder: holds a socket for each process that listens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: Of our own socket: this process has called its listener already.
        self._name = f"{os.getpid()}-{id(self):x}"
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, due: Mapping[str, int]) -> None:
        """See `Bell`."""
        # Nobody has listened yet where there is no folder.
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
            # Its process was killed.
            (self._folder / name).unlink(missing_ok=True)
            return False
        except OSError:
            # Full: that one has enough to look at.
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
    """A folder, so that the sockets in it have short addresses however long its path is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Directory:
        self._number = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def address(self, name: str) -> str:
        """Of the socket of that name."""
        return f"/proc/self/fd/{self._number}/{name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


def written(due: Mapping[str, int]) -> bytes:
    """As a message."""
    return " ".join(f"{kind}:{count}" for kind, count in due.items()).encode()[:_DATAGRAM]


def tell(listener: Listener, message: bytes) -> None:
    """What a message says; another program's says nothing."""
    for word in message.decode(errors="replace").split():
        kind, _, count = word.partition(":")
        if count.isdecimal():
            listener(kind, int(count))

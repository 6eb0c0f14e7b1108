"""
Fault injection: count the steps that a process takes, and SIGKILL the process at one of them.

Steps are what touches the world: transactions begun, committed and given back,
connections, requests, files made and renamed. They are heard through
SQLAlchemy's event listeners and Python's audit hook; the product knows nothing.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

_LAYOUT = struct.Struct("qq")
OFF, COUNTING = -1, 0
#: Audit events that are steps.
AUDITED = {"socket.connect", "http.client.send", "smtplib.send"}
FILES = {"os.rename": "rename", "os.remove": "remove", "os.mkdir": "mkdir"}


class FaultInjector:
    """
    Two numbers in a file that test and process share: where to kill, and how far it has come.

    The names of the steps taken stand beside it in a second file.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_LAYOUT.pack(OFF, 0))
        self._trace = os.open(
            path.with_suffix(".steps"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600
        )
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _LAYOUT.size)
        self._lock = threading.Lock()

    def arm(self, at: int) -> None:
        """Kill at that step, counted from 1; `COUNTING` only counts, `OFF` does nothing."""
        os.ftruncate(self._trace, 0)
        self._shared[:] = _LAYOUT.pack(at, 0)

    def steps(self) -> list[str]:
        """The steps taken since it was armed, the fatal one last; disarms it."""
        self._shared[:] = _LAYOUT.pack(OFF, 0)
        size = os.fstat(self._trace).st_size
        return os.pread(self._trace, size, 0).decode().split("\n")[:-1]

    def step(self, name: str) -> None:
        """One step; does not return from the fatal one."""
        with self._lock:
            at, count = _LAYOUT.unpack(self._shared[:])
            if at == OFF:
                return
            self._shared[:] = _LAYOUT.pack(at, count + 1)
            os.write(self._trace, f"{name}\n".encode())
            if count + 1 == at:
                self._shared[:] = _LAYOUT.pack(OFF, 0)
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self, folder: Path) -> None:
        """Listen in this process and its forks; files count below `folder` only."""
        event.listen(Engine, "begin", lambda _: self.step("begin"))
        event.listen(Engine, "commit", lambda _: self.step("commit"))
        event.listen(Pool, "checkin", lambda *_: self.step("given back"))

        def hear(name: str, arguments: tuple[Any, ...]) -> None:
            if name in AUDITED:
                self.step(name)
            elif name in FILES and str(arguments[0]).startswith(str(folder)):
                self.step(FILES[name])
            elif name == "open" and _makes(arguments, folder):
                self.step("open for writing")

        sys.addaudithook(hear)


def _makes(arguments: tuple[Any, ...], folder: Path) -> bool:
    path, _, flags = arguments
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    return bool(writes) and str(path).startswith(str(folder))

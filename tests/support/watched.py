"""
A program whose connects are written down: ``python -m support.watched FILE MODULE ARGUMENT …``.

Python itself calls the hook at each connect, whichever library makes it, also in forks of
the process. Not seen are libraries that dial in C or Rust, of PostgreSQL and S3: those
addresses are settings.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from service.outbound.transport import AddressPolicy

GUARD = AddressPolicy._connect.__code__


class Connect(NamedTuple):
    """One connect: where to, whether the guard made it, and else the file that asked for it."""

    host: str
    port: int
    guarded: bool
    by: str


def watch(file: Path) -> None:
    """From here on each connect beyond this machine's files is a line of that file."""
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(given[1], tuple):
            frames = list(_frames(sys._getframe(1)))
            guarded = any(frame.f_code is GUARD for frame in frames)
            files = [frame.f_code.co_filename for frame in frames]
            own = [name for name in files if "/service/" in name or "/support/" in name]
            line = Connect(given[1][0], given[1][1], guarded, (own or files)[0])
            os.write(log, json.dumps(line).encode() + b"\n")

    sys.addaudithook(hook)


def _frames(frame: FrameType | None) -> Any:
    while frame is not None:
        yield frame
        frame = frame.f_back


def connects(file: Path) -> list[Connect]:
    """What was written so far."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [Connect(*json.loads(line)) for line in lines]


def main(file: str, module: str, *arguments: str) -> None:
    """Become that program."""
    watch(Path(file))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

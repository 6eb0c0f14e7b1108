"""A terminal for tests: what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping


class Terminal:
    """A verb on a terminal with so many columns; all that it shows, on stderr too."""

    def __init__(
        self, environ: Mapping[str, str], *arguments: str, columns: int = 80, no_color: str = ""
    ) -> None:
        self._outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {k: v for k, v in environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            env=kept | {"TERM": "xterm-256color", "NO_COLOR": no_color},
            stdin=subprocess.DEVNULL,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        self.shown = ""

    def until(self, words: str) -> None:
        """Read on until these words were shown."""
        while words not in self.shown:
            self.shown += os.read(self._outside, 65536).decode()

    def end(self) -> int:
        """Read on to the end; the exit code."""
        found = b""
        try:
            while True:
                found += os.read(self._outside, 65536)
        except OSError:
            # How a terminal says that nobody writes to it any more.
            os.close(self._outside)
        self.shown += found.decode()
        return self.child.wait(20)

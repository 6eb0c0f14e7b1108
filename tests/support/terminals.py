"""A terminal for tests: what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping
from pathlib import Path

from support.processes import Process


class Terminal:
    """A verb on a terminal with so many columns; all that it shows, on stderr too."""

    def __init__(
        self, environ: Mapping[str, str], *arguments: str, columns: int = 80, no_color: str = ""
    ) -> None:
        self._outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {k: v for k, v in environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        environ = kept | {"TERM": "xterm-256color", "NO_COLOR": no_color}
        screen = Path(os.ttyname(inside))
        self.child = Process("service", arguments, environ, screen, screen)
        self._bytes = self._read()
        # The child has its own end open now.
        os.close(inside)

    @property
    def shown(self) -> str:
        """All that was read so far."""
        return self._bytes.decode(errors="replace")

    def _read(self) -> bytes:
        return os.read(self._outside, 65536)

    def until(self, words: str) -> None:
        """Read on until these words were shown."""
        while words not in self.shown:
            self._bytes += self._read()

    def end(self) -> int:
        """Read on to the end; the exit code."""
        try:
            while True:
                self._bytes += self._read()
        except OSError:
            # How a terminal says that nobody writes to it any more.
            os.close(self._outside)
        return self.child.wait(20)

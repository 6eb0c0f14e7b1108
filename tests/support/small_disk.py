"""A small file system of the test's own, which it may fill to the last byte."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PIECE = 4096


def is_root() -> bool:
    """Whether we may mount at all."""
    return os.geteuid() == 0


def missing(folder: Path) -> str:
    """Why root cannot mount anything here, in one line; empty when it can."""
    try:
        with SmallDisk(folder / "probe", megabytes=1):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no small disk can be mounted here ({error})"


class SmallDisk:
    """A mounted file system of so many MiB, kept in memory."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._size = f"size={megabytes}m"

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", self._size, "tmpfs", str(self.folder))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("umount", "--lazy", str(self.folder))

    def _run(self, *command: str) -> None:
        program = shutil.which(command[0]) or command[0]
        subprocess.run([program, *command[1:]], check=True, capture_output=True)

    def fill(self) -> None:
        """Not one page is left."""
        with suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as filler:
            while filler.write(bytes(PIECE)):
                pass

    def clear(self) -> None:
        """There is room again."""
        (self.folder / "filler").unlink()

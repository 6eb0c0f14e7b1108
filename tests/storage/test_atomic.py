"""Atomic writes: whoever reads finds what was there before, or all that is new."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.storage.atomic import PRIVATE_MODE, atomic_write, make_private, part_file, remove_parts

NOW = datetime.now(UTC)


def test_whole(tmp_path: Path) -> None:
    """The file stands at its path once the block has ended, not before; folders are made."""
    path = tmp_path / "below" / "file"
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        seen = path.exists()

    assert (False, b"new") == (seen, path.read_bytes())
    assert ["file"] == os.listdir(path.parent)


def test_replaced(tmp_path: Path) -> None:
    """A file that was there is what it was until it is replaced."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        seen = path.read_bytes()

    assert (b"old", b"new") == (seen, path.read_bytes())


def test_error(tmp_path: Path) -> None:
    """An error within the block changes nothing and leaves nothing."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"new")
        raise ZeroDivisionError

    assert (b"old", ["file"]) == (path.read_bytes(), os.listdir(tmp_path))


def test_by_path(tmp_path: Path) -> None:
    """Libraries that open files themselves write to the same one by its name."""
    with atomic_write(tmp_path / "file") as file:
        Path(file.name).write_bytes(b"theirs")

    assert b"theirs" == (tmp_path / "file").read_bytes()


def test_private(tmp_path: Path) -> None:
    """A secret is readable by its owner alone from its first byte on."""
    with atomic_write(tmp_path / "file", PRIVATE_MODE) as file:
        during = stat.S_IMODE(os.fstat(file.fileno()).st_mode)

    assert PRIVATE_MODE == during == stat.S_IMODE((tmp_path / "file").stat().st_mode)


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is none is the disk's own error."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError), atomic_write(tmp_path / "file" / "below"):
        pass


DIES = """
import os, sys
from pathlib import Path
from service.storage.atomic import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os._exit(1)
"""


def test_death(tmp_path: Path) -> None:
    """A process that dies while it writes leaves a part, which is removed when it is old."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)

    assert (b"old", 2) == (path.read_bytes(), len(os.listdir(tmp_path)))
    assert 0 == remove_parts(tmp_path, NOW - timedelta(hours=1))
    assert 1 == remove_parts(tmp_path, NOW + timedelta(hours=1))
    assert ["file"] == os.listdir(tmp_path)


def test_part_file(tmp_path: Path) -> None:
    """A part file is gone after its block, and two of one name do not meet."""
    with part_file(tmp_path, "a") as one, part_file(tmp_path, "a") as other:
        names = {Path(file.name).name for file in (one, other)}

    assert 2 == len(names)
    assert [] == os.listdir(tmp_path)


def test_make_private(tmp_path: Path) -> None:
    """Whatever they were before, the folder and all in it are the owner's alone."""
    below, outside = tmp_path / "data" / "videos" / "1", tmp_path / "outside"
    below.mkdir(parents=True)
    outside.write_bytes(b"x")
    outside.chmod(0o644)
    for mode, path in ((0o666, below / "a"), (0o444, below.parent / "b"), (0o755, below)):
        path.touch() if path != below else None
        path.chmod(mode)
    (below / "link").symlink_to(outside)
    make_private(tmp_path / "data")
    modes = {
        path.name: stat.S_IMODE(path.lstat().st_mode)
        for path in (
            tmp_path / "data",
            below,
            below.parent,
            below / "a",
            below.parent / "b",
            outside,
        )
    }

    assert {"data": 0o700, "1": 0o700, "videos": 0o700, "a": 0o600, "b": 0o600} | {
        "outside": 0o644
    } == modes

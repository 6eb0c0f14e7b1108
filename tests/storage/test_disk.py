"""Room on the disks: the tightest counts, and what cannot be seen stops nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.harness import Harness

from service.ops.health import examine
from service.storage.disk import Disks, disks_of


def test_tightest(tmp_path: Path) -> None:
    """Of several disks the one with the least room counts."""
    folders = (tmp_path, Path("/"))
    free, folder = Disks(folders).tightest()

    assert folder in folders
    assert free <= max(shutil.disk_usage(folder).free for folder in folders)


@pytest.mark.parametrize(("least", "expected"), [(0, False), (1 << 62, True)])
def test_nearly_full(tmp_path: Path, least: int, expected: bool) -> None:
    """Less room than needed is reported."""
    assert expected is Disks((tmp_path,), least).nearly_full()


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A folder that cannot be seen says nothing of its disk."""
    assert not Disks((tmp_path / "nowhere",), 1 << 62).nearly_full()


def test_disks_of_the_service(harness: Harness) -> None:
    """Videos count, and the database where it is a file; with room `/readyz` says nothing."""
    disks = disks_of(harness.db, harness.wiring.storage)
    harness.wiring.storage.check()
    health = examine(harness.db, harness.wiring.storage, harness.wiring.providers, harness.clock())

    assert harness.wiring.storage.folder == disks.folders[0]
    assert (2 if harness.db.is_sqlite else 1) == len(disks.folders)
    assert [True] == [check.ok for check in health.checks if check.name == "disk"]

"""The file of secret keys: seen at each change, read once for each version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from service.settings.key_file import read_key_file

OLD, NEW = "old" * 12, "new" * 12


def test_changes_of_one_moment(tmp_path: Path) -> None:
    """Each change shows at once, however soon it follows, also one of the same length."""
    path = tmp_path / "secret_keys"
    found: list[tuple[str, datetime | None]] = []
    for key in [OLD, NEW] * 20:
        path.write_text(f"{key}\n")
        found += read_key_file(str(path))

    assert [(OLD, None), (NEW, None)] * 20 == found


def test_a_version_is_read_once() -> None:
    """What has not changed for a while is not read a second time."""
    assert read_key_file(__file__) is read_key_file(__file__)


def test_a_key_that_ends(tmp_path: Path) -> None:
    """A time behind a key is its end."""
    path = tmp_path / "secret_keys"
    path.write_text(f"{NEW}\n{OLD} 2026-01-31T00:00:00+00:00\n")

    expected = ((NEW, None), (OLD, datetime(2026, 1, 31, tzinfo=UTC)))
    assert expected == read_key_file(str(path))

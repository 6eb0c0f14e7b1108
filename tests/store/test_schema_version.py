"""Which schemas a version works on."""

from __future__ import annotations

import pytest

from service.store.schema_version import SchemaVersion


@pytest.mark.parametrize(
    ("at", "oldest", "trouble"),
    [
        ("0018", None, ""),
        ("0019", "0018", ""),
        ("0025", "0007", ""),
        ("0017", None, "the database is at 0017, needs 0018: run `clipbell migrate`"),
        (None, None, "the database is empty, needs 0018: run `clipbell migrate`"),
        ("0019", "0019", "a newer version brought the database to 0019, past 0018"),
        ("0019", None, "a newer version brought the database to 0019, past 0018"),
    ],
)
def test_trouble(at: str | None, oldest: str | None, trouble: str) -> None:
    """Its own schema will do, and a newer one that says so; else the trouble says what to do."""
    found = SchemaVersion(at, "0018", oldest).trouble

    assert trouble == found.partition(": start")[0]

"""One time for all machines: each worker's clock counts on from the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.harness import TestClock

from service.store.clock import SharedClock
from service.store.database import Database

pytestmark = pytest.mark.postgresql

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("wrong_by", [-600.0, 0.0, 60.0])
def test_follows(db: Database, clock: TestClock, wrong_by: float) -> None:
    """PostgreSQL's time replaces the machine's; SQLite's file has only that one machine."""
    clock.now = datetime.now(UTC) + timedelta(seconds=wrong_by)
    shared = SharedClock(clock)
    before = shared()
    with db.read() as tx:
        shared.follow(tx)

    off = wrong_by if db.is_sqlite else 0.0
    assert clock() == before
    assert timedelta(seconds=off) - MINUTE / 6 < shared() - datetime.now(UTC)
    assert shared() - datetime.now(UTC) < timedelta(seconds=off) + MINUTE / 6
    behind = 0.0 if db.is_sqlite else -wrong_by
    assert behind == pytest.approx(shared.offset.total_seconds(), abs=10)


def test_counts_on(db: Database, clock: TestClock) -> None:
    """Between two looks at the database nothing that is done to the machine's clock counts."""
    shared = SharedClock(clock)
    with db.read() as tx:
        shared.follow(tx)
    first = shared()
    clock.advance(3600)

    assert db.is_sqlite is (shared() - first > MINUTE)


def test_asked_not_to(db: Database, clock: TestClock) -> None:
    """A process that need not follow keeps the clock that it was given."""
    shared = SharedClock(clock, follows=False)
    with db.read() as tx:
        shared.follow(tx)

    assert (clock(), timedelta(0)) == (shared(), shared.offset)

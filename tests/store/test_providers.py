"""Providers' rows: the shared allowance of requests, held and paused."""

from __future__ import annotations

import random
import threading
from datetime import timedelta

import pytest
from support.harness import NOON, TestClock

from service import store
from service.store.database import Database

pytestmark = pytest.mark.postgresql

NAME = "vendor"


@pytest.fixture(autouse=True)
def row(db: Database) -> None:
    """The provider is known."""
    with db.write() as tx:
        store.providers.ensure(tx, NAME, NOON)


def take(db: Database, per_minute: float, clock: TestClock) -> float:
    """Ask for one request."""
    with db.write() as tx:
        return store.providers.take_token(tx, store.providers.lock(tx, NAME), per_minute, clock())


def most_in_a_minute(moments: list[float]) -> int:
    """The most requests in any sixty seconds, wherever these begin."""
    return max(sum(begin <= one < begin + 60 for one in moments) for begin in moments)


@pytest.mark.parametrize("per_minute", [30, 90])
def test_no_minute_holds_more(db: Database, clock: TestClock, per_minute: int) -> None:
    """However greedily and unevenly it is asked, no minute has more than the allowance."""
    dice = random.Random(per_minute)
    moments = []
    for _ in range(400):
        clock.advance(dice.choice([0.0, 0.05, 0.3, 1.0, 4.0]))
        if take(db, per_minute, clock) == 0.0:
            moments.append((clock() - NOON).total_seconds())

    assert most_in_a_minute(moments) <= per_minute


def test_wait_is_enough(db: Database, clock: TestClock) -> None:
    """Who waits as long as asked gets its request then."""
    for _ in range(200):
        wait = take(db, 60, clock)
        if wait:
            clock.advance(wait + 0.001)
            assert 0.0 == take(db, 60, clock)


@pytest.mark.parametrize("per_minute", [1, 5, 9])
def test_small_allowance(db: Database, clock: TestClock, per_minute: int) -> None:
    """An allowance of a few requests a minute lets those few through."""
    granted = 0
    for _ in range(300):
        granted += take(db, per_minute, clock) == 0.0
        clock.advance(1)

    assert 0 < granted <= 5 * per_minute + per_minute


def test_clock_that_runs_back(db: Database, clock: TestClock) -> None:
    """A worker whose clock lags neither breaks the bucket nor fills it."""
    while take(db, 60, clock) == 0.0:
        pass
    clock.advance(-3600)
    assert take(db, 60, clock) > 0
    clock.advance(3600)
    assert take(db, 60, clock) > 0


def test_threads_share_the_bucket(db: Database, clock: TestClock) -> None:
    """Eight threads together get a burst's worth and no more."""
    granted: list[float] = []

    def work() -> None:
        for _ in range(5):
            granted.append(take(db, 100, clock))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 10 == granted.count(0.0)


def test_hold_and_resume(db: Database) -> None:
    """The first reason stays until somebody resumes."""
    with db.write() as tx:
        assert store.providers.hold(tx, NAME, "no credits")
        assert not store.providers.hold(tx, NAME, "no credits again")
        assert "no credits" == store.providers.held(tx, NAME)
        store.providers.resume(tx, NAME)
        assert store.providers.held(tx, NAME) is None
        assert store.providers.hold(tx, NAME, "later")


def test_ensuring_again_keeps_the_row(db: Database) -> None:
    """A worker that starts does not lift what holds the provider."""
    with db.write() as tx:
        store.providers.hold(tx, NAME, "no credits")
        store.providers.ensure(tx, NAME, NOON)
        assert "no credits" == store.providers.held(tx, NAME)


def test_workers_that_start_together(db: Database) -> None:
    """Of two that make a new provider's row at the same moment, the later finds it made."""
    begun = threading.Event()

    def make() -> None:
        with db.write() as tx:
            begun.set()
            store.providers.ensure(tx, "new", NOON)

    other = threading.Thread(target=make)
    with db.write() as tx:
        store.providers.ensure(tx, "new", NOON)
        other.start()
        # On SQLite it waits for its turn before it has begun.
        begun.wait(0.0 if db.is_sqlite else 5.0)
    other.join()

    with db.read() as tx:
        assert {"new", NAME} == {row.name for row in store.providers.all_rows(tx)}


def test_pause_ends_by_itself(db: Database) -> None:
    """A pause counts down and is over at its moment."""
    with db.write() as tx:
        assert timedelta(0) == store.providers.paused_for(tx, NAME, NOON)
        store.providers.pause(tx, NAME, NOON + timedelta(seconds=9))
        assert timedelta(seconds=9) == store.providers.paused_for(tx, NAME, NOON)
        assert timedelta(0) == store.providers.paused_for(tx, NAME, NOON + timedelta(seconds=10))


def test_shorter_pause_does_not_cut_a_longer_one(db: Database) -> None:
    """What the vendor asked for stands, though another request was reported less."""
    with db.write() as tx:
        store.providers.pause(tx, NAME, NOON + timedelta(seconds=300))
        store.providers.pause(tx, NAME, NOON + timedelta(seconds=2))
        assert timedelta(seconds=300) == store.providers.paused_for(tx, NAME, NOON)

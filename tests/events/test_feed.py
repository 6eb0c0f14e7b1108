"""The feed: `seq` is given after commit, in order, and a reader skips nothing."""

from __future__ import annotations

import threading

import pytest
from support.harness import Harness

from service import store
from service.events.record import number_events, record_event, record_sample
from service.model import Event, EventType

pytestmark = pytest.mark.postgresql


def read(harness: Harness, after: int = 0) -> list[Event]:
    """What a reader finds who has seen all up to `after`."""
    with harness.db.read() as tx:
        _, last = store.events.feed_ends(tx, harness.account.id)
        return store.events.feed(tx, harness.account.id, after, last, [], 10_000)


def happens(harness: Harness) -> str:
    """An event's id."""
    with harness.db.write() as tx:
        return record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, harness.clock()).id


def test_not_in_the_feed_before_it_is_numbered(harness: Harness) -> None:
    """An event without its number is not there yet; the sequencer is called for it."""
    made = happens(harness)
    assert [] == read(harness)
    assert "number" in harness.wiring.due()
    harness.drain("number")

    assert [(made, 1)] == [(event.id, event.feed_sequence) for event in read(harness)]
    assert "number" not in harness.wiring.due()


def test_each_account_counts_for_itself(harness: Harness) -> None:
    """Numbers are 1, 2, 3 … for everybody, whatever others do in between."""
    alice = harness.account
    bob, _ = harness.new_account("bob")
    for account in (alice, bob, alice, bob, bob):
        harness.account = account
        happens(harness)
        harness.drain("number")
    found = {}
    for account in (alice, bob):
        harness.account = account
        found[account.id] = [event.feed_sequence for event in read(harness)]

    assert {alice.id: [1, 2], bob.id: [1, 2, 3]} == found


def test_order_within_a_job(harness: Harness) -> None:
    """A job's events are numbered as they happened, even if all in one millisecond."""
    jobs = [harness.new_job(), harness.new_job()]
    with harness.db.write() as tx:
        for _ in range(5):
            for job in jobs:
                record_event(tx, job, EventType.JOB_HELD, harness.clock())
    harness.drain("number")
    orders = [[e.sequence for e in read(harness) if e.job_id == job.id] for job in jobs]

    assert [[1, 2, 3, 4, 5]] * 2 == orders


def test_row_that_is_committed_late(harness: Harness) -> None:
    """An older event that commits after a newer one was read comes next, with a higher number."""
    if harness.db.is_sqlite:
        return  # One writer at a time: nothing can be committed late.
    written, go_on = threading.Event(), threading.Event()
    ids = []

    def late() -> None:
        with harness.db.write() as tx:
            made = record_sample(tx, harness.account.id, EventType.JOB_FAILED, harness.clock())
            ids.append(made.id)
            written.set()
            go_on.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    written.wait(20)
    harness.clock.advance(1)
    ids.append(happens(harness))
    harness.drain("number")
    seen = read(harness)
    go_on.set()
    thread.join()
    harness.drain("number")
    more = read(harness, after=seen[-1].feed_sequence or 0)

    assert ([ids[1]], [ids[0]]) == ([e.id for e in seen], [e.id for e in more])
    assert [1, 2] == [event.feed_sequence for event in (*seen, *more)]


def test_concurrent_writers_and_sequencers(harness: Harness) -> None:
    """While four write and two number, a reader by cursor gets each event exactly once."""
    writers, each = 4, 40
    written: list[str] = []
    over = threading.Event()

    def write() -> None:
        for _ in range(each):
            written.append(happens(harness))

    def number() -> None:
        while not over.is_set():
            number_events(harness.db)

    def run(*targets: threading.Thread) -> None:
        for thread in targets:
            thread.start()

    writing = [threading.Thread(target=write) for _ in range(writers)]
    numbering = [threading.Thread(target=number) for _ in range(2)]
    run(*writing, *numbering)
    got: list[Event] = []
    while any(thread.is_alive() for thread in writing):
        got += read(harness, after=(got[-1].feed_sequence or 0) if got else 0)
    over.set()
    for thread in numbering:
        thread.join()
    harness.drain("number")
    got += read(harness, after=(got[-1].feed_sequence or 0) if got else 0)

    assert list(range(1, writers * each + 1)) == [event.feed_sequence for event in got]
    assert sorted(written) == sorted(event.id for event in got)

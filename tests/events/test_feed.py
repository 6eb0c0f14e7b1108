"""The feed: `seq` is given after commit, in order, and a reader skips nothing."""

from __future__ import annotations

import threading

import pytest
from conftest import Bench

from service import store
from service.events.record import number_events, record_event, record_sample
from service.model import Event, EventType

pytestmark = pytest.mark.postgresql


def read(bench: Bench, after: int = 0) -> list[Event]:
    """What a reader finds who has seen all up to `after`."""
    with bench.db.read() as tx:
        _, last = store.events.feed_ends(tx, bench.account.id)
        return store.events.feed(tx, bench.account.id, after, last, [], 10_000)


def happens(bench: Bench) -> str:
    """An event's id."""
    with bench.db.write() as tx:
        return record_sample(tx, bench.account.id, EventType.JOB_SUCCEEDED, bench.clock()).id


def test_not_in_the_feed_before_it_is_numbered(bench: Bench) -> None:
    """An event without its number is not there yet; the sequencer is called for it."""
    made = happens(bench)
    assert [] == read(bench)
    assert "number" in bench.wiring.due()
    bench.drain("number")

    assert [(made, 1)] == [(event.id, event.feed_sequence) for event in read(bench)]
    assert "number" not in bench.wiring.due()


def test_each_account_counts_for_itself(bench: Bench) -> None:
    """Numbers are 1, 2, 3 … for everybody, whatever others do in between."""
    alice = bench.account
    bob, _ = bench.new_account("bob")
    for account in (alice, bob, alice, bob, bob):
        bench.account = account
        happens(bench)
        bench.drain("number")
    found = {}
    for account in (alice, bob):
        bench.account = account
        found[account.id] = [event.feed_sequence for event in read(bench)]

    assert {alice.id: [1, 2], bob.id: [1, 2, 3]} == found


def test_order_within_a_job(bench: Bench) -> None:
    """A job's events are numbered as they happened, even if all in one millisecond."""
    jobs = [bench.new_job(), bench.new_job()]
    with bench.db.write() as tx:
        for _ in range(5):
            for job in jobs:
                record_event(tx, job, EventType.JOB_HELD, bench.clock())
    bench.drain("number")
    orders = [[e.sequence for e in read(bench) if e.job_id == job.id] for job in jobs]

    assert [[1, 2, 3, 4, 5]] * 2 == orders


def test_row_that_is_committed_late(bench: Bench) -> None:
    """An older event that commits after a newer one was read comes next, with a higher number."""
    if bench.db.is_sqlite:
        return  # One writer at a time: nothing can be committed late.
    written, go_on = threading.Event(), threading.Event()
    ids = []

    def late() -> None:
        with bench.db.write() as tx:
            made = record_sample(tx, bench.account.id, EventType.JOB_FAILED, bench.clock())
            ids.append(made.id)
            written.set()
            go_on.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    written.wait(20)
    bench.clock.advance(1)
    ids.append(happens(bench))
    bench.drain("number")
    seen = read(bench)
    go_on.set()
    thread.join()
    bench.drain("number")
    more = read(bench, after=seen[-1].feed_sequence or 0)

    assert ([ids[1]], [ids[0]]) == ([e.id for e in seen], [e.id for e in more])
    assert [1, 2] == [event.feed_sequence for event in (*seen, *more)]


def test_concurrent_writers_and_sequencers(bench: Bench) -> None:
    """While four write and two number, a reader by cursor gets each event exactly once."""
    writers, each = 4, 40
    written: list[str] = []
    over = threading.Event()

    def write() -> None:
        for _ in range(each):
            written.append(happens(bench))

    def number() -> None:
        while not over.is_set():
            number_events(bench.db)

    def run(*targets: threading.Thread) -> None:
        for thread in targets:
            thread.start()

    writing = [threading.Thread(target=write) for _ in range(writers)]
    numbering = [threading.Thread(target=number) for _ in range(2)]
    run(*writing, *numbering)
    got: list[Event] = []
    while any(thread.is_alive() for thread in writing):
        got += read(bench, after=(got[-1].feed_sequence or 0) if got else 0)
    over.set()
    for thread in numbering:
        thread.join()
    bench.drain("number")
    got += read(bench, after=(got[-1].feed_sequence or 0) if got else 0)

    assert list(range(1, writers * each + 1)) == [event.feed_sequence for event in got]
    assert sorted(written) == sorted(event.id for event in got)

"""Waiters: bounded slots, one question for all, woken at once when the server stops."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from support.servers import eventually

from service.web.compat.waiters import Waiters


class Jobs:
    """Jobs that end when they are asked to; counts the questions."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.asked: list[set[str]] = []
        self.broken = False

    def ended(self, job_ids: Collection[str]) -> set[str]:
        """Which of these have ended."""
        self.asked.append(set(job_ids))
        if self.broken:
            raise OSError("the database is unavailable")
        return self.done & set(job_ids)


def test_each_wakes_with_its_own_job() -> None:
    """Who waits is woken by the end of its own job, and all are asked about at once."""
    jobs = Jobs()
    waiters = Waiters(9, jobs.ended)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(waiters.wait, "job_1", 30.0)
        second = pool.submit(waiters.wait, "job_2", 30.0)
        eventually(lambda: {"job_1", "job_2"} in jobs.asked)
        jobs.done = {"job_1"}
        one = first.result(10)
        still = second.done()
        jobs.done = {"job_2"}

        assert (True, False, True) == (one, still, second.result(10))


def test_time_over() -> None:
    """Who has waited long enough hears so."""
    assert Waiters(1, Jobs().ended).wait("job_1", 0.05) is False


def test_slots() -> None:
    """No more may wait than there are slots; a slot that is left is free again."""
    waiters = Waiters(1, Jobs().ended)
    with waiters.slot() as first, waiters.slot() as second:
        taken = (first, second)
    with waiters.slot() as again:
        assert (True, False, True) == (*taken, again)


def test_stop() -> None:
    """Stopping wakes everybody and lets nobody sit down."""
    jobs = Jobs()
    waiters = Waiters(2, jobs.ended)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(waiters.wait, "job_1", 30.0)
        eventually(lambda: jobs.asked)
        waiters.stop()

        assert waiting.result(10) is False
    with waiters.slot() as slot:
        assert not slot


def test_database_away() -> None:
    """A question that fails only makes the wait longer."""
    jobs = Jobs()
    jobs.broken = True
    waiters = Waiters(1, jobs.ended)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(waiters.wait, "job_1", 30.0)
        eventually(lambda: len(jobs.asked) > 1)
        jobs.done, jobs.broken = {"job_1"}, False

        assert waiting.result(10) is True


def test_one_thread() -> None:
    """However many wait, one thread asks for them."""
    jobs = Jobs()
    waiters = Waiters(20, jobs.ended)
    before = set(threading.enumerate())
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(waiters.wait, f"job_{n}", 30.0) for n in range(10)]
        eventually(lambda: any(len(asked) == 10 for asked in jobs.asked))
        asking = [t for t in set(threading.enumerate()) - before if t.name == "waiters"]
        jobs.done = {f"job_{n}" for n in range(10)}
        for one in waiting:
            one.result(10)

    assert 1 == len(asking)

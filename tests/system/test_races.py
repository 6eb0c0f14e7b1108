"""Two workers at the same moment: what they share is spent once."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from support.harness import NOON, Harness
from support.reach import access

from service import store
from service.bootstrap import Wiring, build
from service.catalogue.entries import Limits
from service.jobs.requests import check_request, request_job
from service.model import Job, JobState, Submission
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from service.store.database import Database

pytestmark = pytest.mark.postgresql

MODEL = "kling-2-5-turbo-pro"
MEETING_SECONDS = 1.0


class Meeting(Apixo):
    """
    A vendor whose limits are looked at by two workers at once, inside their transactions.

    Where the database lets only one of them come so far, that one goes on alone.
    """

    def __init__(self, outbound: Outbound, tasks: int) -> None:
        super().__init__(access(outbound, "http://127.0.0.1:9"))
        self._tasks = tasks
        self._meeting = threading.Barrier(2)
        self.sent: list[str] = []

    @property
    def limits(self) -> Limits:  # type: ignore[override]
        """What the vendor allows, once both have asked or one has waited long enough."""
        with suppress(threading.BrokenBarrierError):
            self._meeting.wait(MEETING_SECONDS)
        return Limits(requests_per_minute=10_000, tasks=self._tasks)

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Takes every job."""
        self.sent.append(job.id)
        return Submission(f"task of {job.id}")


def two_workers(harness: Harness, vendor: Meeting) -> None:
    """Each with connections of its own sends one job, both at the same time."""
    other = build(harness.wiring.settings, harness.clock)

    def send(wiring: Wiring) -> None:
        chosen: Any = {"apixo": vendor}
        replace(wiring, providers=chosen).units()["submit"]()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, (harness.wiring, other)))
    other.close()


@pytest.mark.parametrize(
    "settings_given", [{"budget": 1.0, "prices": {MODEL: 0.6}}], ids=["a dollar"]
)
def test_the_last_dollars(harness: Harness) -> None:
    """What is left of a budget for one job is not spent by two."""
    jobs = [harness.new_job(), harness.new_job()]
    vendor = Meeting(harness.wiring.outbound, tasks=1000)
    two_workers(harness, vendor)
    states = sorted(harness.job(job).state for job in jobs)

    assert [JobState.HELD, JobState.SUBMITTED] == states
    assert 1 == len(vendor.sent)


def of_another_account(harness: Harness) -> Job:
    """A queued job that no lock on the first account covers."""
    w, body = harness.wiring, {"model": MODEL, "input": {"prompt": "A fox"}}
    account, _ = harness.new_account("bob")
    with w.db.write() as tx:
        asked = check_request(body, w.channels, w.market())
        return request_job(tx, w.encryptor, w.settings, account.id, asked, harness.clock())


@pytest.mark.parametrize("second", [Harness.new_job, of_another_account], ids=["own", "other"])
def test_the_last_slot(harness: Harness, second: Callable[[Harness], Job]) -> None:
    """Where the vendor has room for one more task, two jobs do not get it both."""
    jobs = [harness.new_job(), second(harness)]
    vendor = Meeting(harness.wiring.outbound, tasks=1)
    two_workers(harness, vendor)
    out = [job for job in jobs if harness.job(job).state is JobState.SUBMITTED]

    assert len(out) <= 1


def greedy(url: str) -> int:
    """How many requests a process gets that asks for twenty; runs as a process."""
    database = Database(url)

    def take() -> bool:
        with database.write() as tx:
            row = store.providers.lock(tx, "apixo")
            return store.providers.take_token(tx, row, 100, NOON) == 0.0

    granted = sum(take() for _ in range(20))
    database.close()
    return granted


def test_processes_share_the_bucket(harness: Harness) -> None:
    """Two processes together get a burst's worth of requests and no more."""
    url = harness.wiring.settings.database_url
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        granted = list(pool.map(greedy, [url, url]))

    assert 10 == sum(granted)

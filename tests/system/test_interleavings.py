"""Two transactions at the same moment: none undoes the other, and no two wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, text
from support.harness import Harness
from support.reach import access
from support.servers import eventually

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import (
    subscribe,
)
from service.errors import Conflict
from service.events.record import record_event
from service.jobs.answers import settle_refused
from service.jobs.journal import Refusal
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.polling import handle_expired
from service.jobs.requests import cancel_job
from service.model import (
    Account,
    Delivery,
    EventType,
    Job,
    JobState,
    Submission,
    Subscription,
)
from service.model.error_codes import as_stored, job_error
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from service.providers.kling import Kling
from service.store.database import Database

pytestmark = pytest.mark.postgresql
#: Where one writes at a time there is no such moment, or no row is locked.
ROWS_ARE_LOCKED = pytest.mark.postgresql(only=True)

T = TypeVar("T")


def begun(pool: ThreadPoolExecutor, db: Database, act: Callable[[Connection], T]) -> Future[T]:
    """Another transaction of this pool; it has ended, or waits for what somebody has locked."""

    def run() -> T:
        with db.write() as tx:
            return act(tx)

    future = pool.submit(run)
    if not db.is_sqlite:
        eventually(lambda: future.done() or _waits(db))
    return future


def _waits(db: Database) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with db.read() as tx:
        return bool(tx.scalar(text(waiting)))


def subscribed(harness: Harness, account: Account | None = None) -> Subscription:
    """A webhook of this account, at which nobody listens."""
    spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/hook")
    own = (account or harness.account).id
    with harness.db.write() as tx:
        return subscribe(tx, harness.wiring.encryptor, own, spec, harness.clock())[0]


def now_as(harness: Harness, subscription: Subscription) -> Subscription:
    """The subscription as it is now."""
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)
    assert found is not None
    return found


def failed_job(harness: Harness, account: Account | None = None) -> Job:
    """A job whose failure is an event."""
    job = harness.new_job()
    if account:
        job = replace(job, account_id=account.id)
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_FAILED, harness.clock())
    return job


def the_delivery(harness: Harness) -> Delivery:
    """The only delivery that there is."""
    with harness.db.read() as tx:
        (found,) = store.deliveries.page(tx, harness.account.id, 10)
    return found


class Taking(Apixo):
    """A vendor that takes every job."""

    def __init__(self, outbound: Outbound) -> None:
        super().__init__(access(outbound, "http://127.0.0.1:9"))

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Makes a task of it."""
        return Submission(f"task of {job.id}")


def submitted(harness: Harness, **changes: Any) -> Job:
    """A job that the vendor has taken."""
    job = harness.new_job()
    send_next(harness)
    if changes:
        with harness.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.SUBMITTED], **changes)
    return harness.job(job)


def send_next(harness: Harness) -> None:
    """A worker sends the next job to a vendor that takes it."""
    chosen: Any = {"apixo": Taking(harness.wiring.outbound)}
    replace(harness.wiring, providers=chosen).units()["submit"]()


@ROWS_ARE_LOCKED
def test_no_credits_while_a_job_goes_out(harness: Harness) -> None:
    """A job that a worker sends while another is refused for credits is not failed by that."""
    refused = harness.new_job()
    with harness.db.write() as tx:
        claimed = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 15.0)
    assert claimed is not None and refused.id == claimed.id
    first = harness.new_job(source="apixo")
    harness.clock.advance(1)
    second = harness.new_job(source="apixo")
    refusal = Refusal("INSUFFICIENT_CREDITS", "none left")

    def refuse(tx: Connection) -> None:
        settle_refused(tx, claimed, refusal, harness.clock())

    with ThreadPoolExecutor(1) as pool, harness.db.write() as holder:
        store.jobs.lock(holder, first.id)
        refusing = begun(pool, harness.db, refuse)
        send_next(harness)
    refusing.result()

    assert JobState.FAILED is harness.job(first).state
    assert JobState.SUBMITTED is harness.job(second).state


class Resolving(Kling):
    """A vendor that has no task; while it is asked a person resolves the job."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(access(harness.wiring.outbound, "http://127.0.0.1:9"))
        self._harness = harness

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """Nothing."""
        with self._harness.db.write() as tx:
            resolve_by_hand(tx, job, Resolution(resend=True), self._harness.clock())
        return None


@pytest.mark.parametrize("settings_given", [{"kling_api_key": "k"}], ids=["kling"])
def test_resolved_while_it_is_looked_up(harness: Harness) -> None:
    """A job that a person sends once more during its last lookup does not fail by that lookup."""
    body = {"model": "kling-2.5-turbo", "provider": "kling"}
    job = harness.new_job(input={"prompt": "A fox", "duration": 5}, **body)
    now = harness.clock.advance(600)
    error = as_stored(job_error("SUBMIT_FAILED_UNKNOWN", "502"))
    row = {"state": JobState.UNKNOWN, "error": error, "sent_at": job.created_at}
    with harness.db.write() as tx:
        due = {"due_at": now, "deadline_at": now}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **row, **due)
    w = harness.wiring
    handle_expired(w.db, {"kling": Resolving(harness)}, w.settings, w.signer, w.clock)

    assert JobState.QUEUED is harness.job(job).state


def test_canceled_as_it_is_sent(harness: Harness) -> None:
    """Who cancels a job that a worker has just taken hears what it is now."""
    seen = harness.new_job()
    send_next(harness)
    with harness.db.write() as tx, pytest.raises(Conflict, match="the job is submitted"):
        cancel_job(tx, seen, harness.clock())

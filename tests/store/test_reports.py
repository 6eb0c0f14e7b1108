"""Figures by UTC day: the same sums on both databases, each account its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from conftest import NOON, Bench

from service import store
from service.deliveries.subscriptions import parse_subscription, subscribe
from service.events.record import record_sample
from service.model import DeliveryState, EventType, Job, JobState

pytestmark = pytest.mark.postgresql

SINCE = NOON - timedelta(days=30)
JUST_BEFORE_MIDNIGHT = datetime(2026, 1, 1, 23, 59, 59, 900_000, tzinfo=UTC)


def sent(bench: Bench, at: datetime, **changes: Any) -> Job:
    """A job that went out then."""
    job = bench.new_job()
    given = {"state": JobState.SUCCEEDED, "sent_at": at, "submitted_at": at} | changes
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], **given)
    return bench.job(job)


def called_back(bench: Bench, at: datetime, seconds: float, then: float = 1.0) -> Job:
    """A job whose callback came so long after it was submitted, and told its end."""
    came = at + timedelta(seconds=seconds)
    ended = {"resolved_by": "callback", "finished_at": came + timedelta(seconds=then)}
    job = sent(bench, at, **ended)
    bench.wiring.ingest.insert(job.id, "apixo", {}, b"done", came)
    return job


def days_of_jobs(bench: Bench, since: datetime = SINCE) -> list[store.reports.DayOfJobs]:
    """alice's days."""
    with bench.db.read() as tx:
        return store.reports.days_of_jobs(tx, bench.account.id, since)


def test_nothing(bench: Bench) -> None:
    """Without rows there are no figures, and no error."""
    with bench.db.read() as tx:
        found = [
            store.reports.days_of_jobs(tx, bench.account.id, SINCE),
            store.reports.days_of_waits(tx, bench.account.id, SINCE),
            store.reports.told_since(tx, bench.account.id, SINCE),
        ]

    assert [[], [], []] == found


def test_days_end_at_midnight_utc(bench: Bench) -> None:
    """A job counts for the UTC day in which it was sent, to the last instant of that day."""
    sent(bench, JUST_BEFORE_MIDNIGHT, actual_cost=1.0)
    sent(bench, JUST_BEFORE_MIDNIGHT + timedelta(seconds=0.2), actual_cost=2.0)
    sent(bench, SINCE - timedelta(seconds=1), actual_cost=4.0)
    found = [(one.day, one.jobs, one.spent) for one in days_of_jobs(bench)]

    assert [(date(2026, 1, 1), 1, 1.0), (date(2026, 1, 2), 1, 2.0)] == found


def test_spent_as_the_budget_counts(bench: Bench) -> None:
    """What was refused costs nothing, what runs its highest estimate; the day's sum is the same."""
    sent(bench, NOON, actual_cost=1.5)
    sent(bench, NOON, state=JobState.SUBMITTED, estimated_max=0.5)
    sent(bench, NOON, state=JobState.FAILED, estimated_max=8.0)
    sent(bench, NOON, state=JobState.FAILED, estimated_max=0.25, resolved_by="operator")
    sent(bench, NOON, state=JobState.HELD, estimated_max=16.0)
    bench.new_job()
    with bench.db.read() as tx:
        total = store.jobs.spent_since(tx, bench.account.id, SINCE)
    found = days_of_jobs(bench)

    assert [(5, 2.25)] == [(one.jobs, one.spent) for one in found]
    assert 2.25 == total


def test_how_ends_were_found(bench: Bench) -> None:
    """Ends that a callback told and those that a poll had to find are counted apart."""
    for way in ("callback", "callback", "poll", "operator", None):
        sent(bench, NOON, resolved_by=way)

    assert [(5, 2, 1)] == [(one.jobs, one.called, one.polled) for one in days_of_jobs(bench)]


def test_accounts_apart(bench: Bench) -> None:
    """charlie's figures hold nothing of alice's."""
    called_back(bench, NOON, 5)
    charlie = bench.new_account("charlie")[0].id
    with bench.db.read() as tx:
        assert [] == store.reports.days_of_jobs(tx, charlie, SINCE)
        assert [] == store.reports.days_of_waits(tx, charlie, SINCE)


def test_waits(bench: Bench) -> None:
    """Of a hundred waits half took no longer than the 50th, 95 no longer than the 95th."""
    for seconds in range(1, 101):
        called_back(bench, NOON, seconds)
    with bench.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, bench.account.id, SINCE)

    assert (date(2026, 1, 1), "kling-2-5-turbo-pro", 100) == (
        found.day,
        found.model,
        found.callbacks,
    )
    assert (50, 95) == pytest.approx((found.p50, found.p95), abs=0.01)


def test_what_counts_as_a_wait(bench: Bench) -> None:
    """The callback that told the end counts; earlier and later ones do not, nor polled ends."""
    job = called_back(bench, NOON, 40)
    bench.wiring.ingest.insert(job.id, "apixo", {}, b"running", NOON + timedelta(seconds=10))
    bench.wiring.ingest.insert(job.id, "apixo", {}, b"late", NOON + timedelta(seconds=90))
    polled = sent(bench, NOON, resolved_by="poll", finished_at=NOON + timedelta(seconds=500))
    bench.wiring.ingest.insert(polled.id, "apixo", {}, b"late", NOON + timedelta(seconds=300))
    with bench.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, bench.account.id, SINCE)

    assert (1, 40, 40) == pytest.approx((found.callbacks, found.p50, found.p95), abs=0.01)


@pytest.mark.parametrize("jobs", [1, 2])
def test_callback_before_the_answer(bench: Bench, jobs: int) -> None:
    """Nobody waited for a callback that overtook the answer to the submit."""
    for _ in range(jobs):
        called_back(bench, NOON, -2, then=4)
    with bench.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, bench.account.id, SINCE)

    assert (jobs, 0.0, 0.0) == (found.callbacks, found.p50, found.p95)


def test_told(bench: Bench) -> None:
    """Deliveries are counted by subscription and state, the old ones left out."""
    spec = parse_subscription(
        bench.wiring.channels, {"channel": "webhook", "target": "https://a.example/"}, ""
    )
    old, delivered = SINCE - timedelta(hours=1), DeliveryState.DELIVERED
    with bench.db.write() as tx:
        made, _ = subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, NOON)
        for at, state in (
            (old, delivered),
            (NOON, delivered),
            (NOON, delivered),
            (NOON, DeliveryState.EXHAUSTED),
        ):
            record_sample(tx, bench.account.id, EventType.JOB_SUCCEEDED, at)
            (newest,) = store.deliveries.page(tx, bench.account.id, 1, state="pending")
            store.deliveries.settle_claimed(tx, newest, state=state)
        found = store.reports.told_since(tx, bench.account.id, SINCE)

    assert [("delivered", 2), ("exhausted", 1)] == [(one.state, one.count) for one in found]
    assert {(made.id, "webhook")} == {(one.subscription_id, one.channel) for one in found}

"""Figures by UTC day: the same sums on both databases, each account its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.harness import NOON, Harness

from service import store
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.model import Attempt, DeliveryState, EventType, Job, JobState

pytestmark = pytest.mark.postgresql

SINCE = NOON - timedelta(days=30)
JUST_BEFORE_MIDNIGHT = datetime(2026, 1, 1, 23, 59, 59, 900_000, tzinfo=UTC)


def sent(harness: Harness, at: datetime, **changes: Any) -> Job:
    """A job that went out then."""
    job = harness.new_job()
    given = {"state": JobState.SUCCEEDED, "sent_at": at, "submitted_at": at} | changes
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], **given)
    return harness.job(job)


def called_back(harness: Harness, at: datetime, seconds: float, then: float = 1.0) -> Job:
    """A job whose callback came so long after it was submitted, and reported its end."""
    came = at + timedelta(seconds=seconds)
    ended = {"resolved_by": "callback", "finished_at": came + timedelta(seconds=then)}
    job = sent(harness, at, **ended)
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"done", came)
    return job


def days_of_jobs(harness: Harness, since: datetime = SINCE) -> list[store.reports.DayOfJobs]:
    """alice's days."""
    with harness.db.read() as tx:
        return store.reports.days_of_jobs(tx, harness.account.id, since)


def test_nothing(harness: Harness) -> None:
    """Without rows there are no figures, and no error."""
    with harness.db.read() as tx:
        found = [
            store.reports.days_of_jobs(tx, harness.account.id, SINCE),
            store.reports.days_of_waits(tx, harness.account.id, SINCE),
            store.reports.deliveries_since(tx, harness.account.id, SINCE),
        ]

    assert [[], [], []] == found


def test_days_end_at_midnight_utc(harness: Harness) -> None:
    """A job counts for the UTC day in which it was sent, to the last instant of that day."""
    sent(harness, JUST_BEFORE_MIDNIGHT, actual_cost=1.0)
    sent(harness, JUST_BEFORE_MIDNIGHT + timedelta(seconds=0.2), actual_cost=2.0)
    sent(harness, SINCE - timedelta(seconds=1), actual_cost=4.0)
    found = [(one.day, one.jobs, one.spent) for one in days_of_jobs(harness)]

    assert [(date(2026, 1, 1), 1, 1.0), (date(2026, 1, 2), 1, 2.0)] == found


def test_spent_as_the_budget_counts(harness: Harness) -> None:
    """What was refused costs nothing, what runs its highest estimate; the day's sum is the same."""
    sent(harness, NOON, actual_cost=1.5)
    sent(harness, NOON, state=JobState.SUBMITTED, estimated_max=0.5)
    sent(harness, NOON, state=JobState.FAILED, estimated_max=8.0)
    sent(harness, NOON, state=JobState.FAILED, estimated_max=0.25, resolved_by="operator")
    sent(harness, NOON, state=JobState.HELD, estimated_max=16.0)
    harness.new_job()
    with harness.db.read() as tx:
        total = store.jobs.spent_since(tx, harness.account.id, SINCE)
    found = days_of_jobs(harness)

    assert [(5, 2.25)] == [(one.jobs, one.spent) for one in found]
    assert 2.25 == total


def test_how_ends_were_found(harness: Harness) -> None:
    """Ends that a callback reported and those that a poll had to find are counted apart."""
    for way in ("callback", "callback", "poll", "operator", None):
        sent(harness, NOON, resolved_by=way)

    assert [(5, 2, 1)] == [(one.jobs, one.called, one.polled) for one in days_of_jobs(harness)]


def test_accounts_apart(harness: Harness) -> None:
    """charlie's figures hold nothing of alice's."""
    called_back(harness, NOON, 5)
    charlie = harness.new_account("charlie")[0].id
    with harness.db.read() as tx:
        assert [] == store.reports.days_of_jobs(tx, charlie, SINCE)
        assert [] == store.reports.days_of_waits(tx, charlie, SINCE)


def test_waits(harness: Harness) -> None:
    """Of a hundred waits half took no longer than the 50th, 95 no longer than the 95th."""
    for seconds in range(1, 101):
        called_back(harness, NOON, seconds)
    with harness.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, harness.account.id, SINCE)

    assert (date(2026, 1, 1), "kling-2-5-turbo-pro", 100) == (
        found.day,
        found.model,
        found.callbacks,
    )
    assert (50, 95) == pytest.approx((found.p50, found.p95), abs=0.01)


def test_what_counts_as_a_wait(harness: Harness) -> None:
    """The callback that reported the end counts; earlier and later ones do not, nor polled ends."""
    job = called_back(harness, NOON, 40)
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"running", NOON + timedelta(seconds=10))
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"late", NOON + timedelta(seconds=90))
    polled = sent(harness, NOON, resolved_by="poll", finished_at=NOON + timedelta(seconds=500))
    harness.wiring.ingest.insert(polled.id, "apixo", {}, b"late", NOON + timedelta(seconds=300))
    with harness.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, harness.account.id, SINCE)

    assert (1, 40, 40) == pytest.approx((found.callbacks, found.p50, found.p95), abs=0.01)


@pytest.mark.parametrize("jobs", [1, 2])
def test_callback_before_the_answer(harness: Harness, jobs: int) -> None:
    """Nobody waited for a callback that overtook the answer to the submit."""
    for _ in range(jobs):
        called_back(harness, NOON, -2, then=4)
    with harness.db.read() as tx:
        (found,) = store.reports.days_of_waits(tx, harness.account.id, SINCE)

    assert (jobs, 0.0, 0.0) == (found.callbacks, found.p50, found.p95)


def test_deliveries(harness: Harness) -> None:
    """Deliveries are counted by subscription and state, the old ones left out."""
    spec = parse_subscription(
        harness.wiring.channels, {"channel": "webhook", "target": "https://a.example/"}, ""
    )
    old, delivered = SINCE - timedelta(hours=1), DeliveryState.DELIVERED
    with harness.db.write() as tx:
        made, _ = subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, NOON)
        for at, state in (
            (old, delivered),
            (NOON, delivered),
            (NOON, delivered),
            (NOON, DeliveryState.EXHAUSTED),
        ):
            record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, at)
            (newest,) = store.deliveries.page(tx, harness.account.id, 1, state="pending")
            store.deliveries.settle_claimed(tx, newest, state=state)
        found = store.reports.deliveries_since(tx, harness.account.id, SINCE)

    assert [("delivered", 2), ("exhausted", 1)] == [(one.state, one.count) for one in found]
    assert {(made.id, "webhook")} == {(one.subscription_id, one.channel) for one in found}


@pytest.mark.parametrize(
    ("milliseconds", "rounded"),
    [(0, 0), (99, 99), (109, 100), (999, 990), (1099, 1000), (9999, 9900), (17_999, 17_000)],
)
def test_times_of_attempts(harness: Harness, milliseconds: int, rounded: int) -> None:
    """Attempts that took about as long are counted together, to two digits; failed ones apart."""
    spec = parse_subscription(
        harness.wiring.channels, "webhook:https://93.184.215.14/hook", "/target"
    )
    with harness.db.write() as tx:
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, NOON)
        record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, NOON)
        (delivery,) = store.deliveries.page(tx, harness.account.id, 10)
        for number, error in enumerate((None, None, "503"), 1):
            made = Attempt(delivery.id, number, None, error, "", milliseconds, NOON)
            store.deliveries.add_attempt(tx, made)
        found = store.reports.attempts_since(tx, harness.account.id, SINCE)

    same = delivery.subscription_id
    assert [
        store.reports.AttemptCount(same, rounded, failed=False, count=2),
        store.reports.AttemptCount(same, rounded, failed=True, count=1),
    ] == found

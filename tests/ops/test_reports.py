"""Reports of past days: the same numbers as all rows give, and kept where that takes long."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from support.harness import NOON, Harness

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.model import Attempt, DeliveryState, EventType, Job, JobState
from service.ops.reports import KEPT_DAYS, Report, add_up, keep_reports, report_since

pytestmark = pytest.mark.postgresql

DAY = timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
#: The first moment of the seven days that a page shows.
SINCE = MIDNIGHT - 6 * DAY


def sent(harness: Harness, at: datetime, state: JobState = JobState.SUCCEEDED) -> Job:
    """A job that went out then and cost a dollar, and whose callback took a minute."""
    job = harness.new_job()
    came = at + timedelta(minutes=1)
    ended = {"resolved_by": "callback", "finished_at": came, "actual_cost": 1.0}
    with harness.db.write() as tx:
        given = {"state": state, "sent_at": at, "submitted_at": at} | ended
        store.jobs.change(tx, job.id, [JobState.QUEUED], **given)
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"done", came)
    return job


def owe(harness: Harness, at: datetime) -> None:
    """A delivery of that time to the account's one hook."""
    spec = SubscriptionSpec("webhook", "https://93.184.215.14/hook", (), "standard")
    with harness.db.write() as tx:
        if not store.subscriptions.all_of(tx, harness.account.id):
            subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, at)
        record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, at)


def deliver(harness: Harness, milliseconds: int, at: datetime) -> None:
    """The delivery that is owed arrives, and takes so long."""
    with harness.db.write() as tx:
        delivery = store.claims.claim_pending(tx, NOON, 60)
        assert delivery is not None
        made = Attempt(delivery.id, 1, 200, None, "", milliseconds, at)
        store.deliveries.add_attempt(tx, made)
        ended = {"state": DeliveryState.DELIVERED, "due_at": None, "finished_at": at}
        store.deliveries.settle_claimed(tx, delivery, attempts=1, **ended)


def keep(harness: Harness, now: datetime = NOON, busy_rows: int = 1) -> int:
    """What maintenance does each hour."""
    return keep_reports(harness.db, now, threading.Event(), busy_rows)


def report(harness: Harness, since: datetime = SINCE) -> Report:
    """What a page shows."""
    with harness.db.read() as tx:
        return report_since(tx, harness.account.id, since)


def numbers(found: Report) -> list[Counter[Any]]:
    """What each part adds up to, whatever order it came in and in how many pieces."""
    added: list[Counter[Any]] = [Counter(part) for part in (found.jobs, found.waits, found.ledger)]
    for counted in (found.deliveries, found.attempts):
        together = Counter[Any]()
        for one in counted:
            together[replace(one, count=0)] += one.count
        added.append(together)
    return added


def spent(harness: Harness, since: datetime = SINCE) -> float:
    """Dollars since then."""
    return sum(one.spent for one in report(harness, since).jobs)


def charge(harness: Harness, job: Job, dollars: float) -> None:
    """Its cost is another one, as somebody found out later."""
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUCCEEDED], actual_cost=dollars)


def days_kept(tx: Connection, harness: Harness) -> list[str]:
    """The days of the account's reports."""
    found = store.day_reports.of_account(tx, harness.account.id, SINCE.date())
    return sorted(map(str, found))


def test_kept_days_are_as_their_rows(harness: Harness) -> None:
    """Kept or not, each number is the one that all rows give; in gaps between kept days too."""
    for days in (0, 1, 3, 3, 5):
        sent(harness, NOON - days * DAY)
    for days, milliseconds in ((1, 140), (3, 42)):
        owe(harness, NOON - days * DAY)
        deliver(harness, milliseconds, NOON - days * DAY)
    with harness.db.read() as tx:
        expected = add_up(tx, harness.account.id, SINCE, None)
    kept = keep(harness)

    assert (3, numbers(expected)) == (kept, numbers(report(harness)))
    assert [42, 140] == sorted(one.milliseconds for one in report(harness).attempts)


def test_a_later_change_shows_a_day_later(harness: Harness) -> None:
    """A kept day is not added up for a page, and is made once more after a day."""
    job = sent(harness, NOON - 2 * DAY)
    keep(harness)
    charge(harness, job, 5.0)
    soon = keep(harness, NOON + timedelta(hours=23))
    before = spent(harness)
    later = keep(harness, NOON + timedelta(hours=25))

    assert (0, 1.0, 1, 5.0) == (soon, before, later, spent(harness))


def test_today_is_never_kept(harness: Harness) -> None:
    """What is sent today shows at once."""
    job = sent(harness, MIDNIGHT)
    kept = keep(harness)
    charge(harness, job, 5.0)

    assert (0, 5.0) == (kept, spent(harness))


@pytest.mark.parametrize("state", [JobState.SUBMITTED, JobState.UNKNOWN])
def test_a_job_under_way(harness: Harness, state: JobState) -> None:
    """While one of its jobs is open a day is added up each time."""
    sent(harness, NOON - DAY)
    sent(harness, NOON - DAY, state)

    assert 0 == keep(harness)


def test_a_delivery_under_way(harness: Harness) -> None:
    """While one of its deliveries is pending a day is added up each time."""
    owe(harness, NOON - DAY)
    before = keep(harness)
    deliver(harness, 10, NOON - DAY)

    assert (0, 1) == (before, keep(harness))


def test_a_quiet_day(harness: Harness) -> None:
    """A day with few rows is added up each time, which is cheap."""
    sent(harness, NOON - DAY)
    few = keep(harness, busy_rows=2)
    sent(harness, NOON - DAY)

    assert (0, 1) == (few, keep(harness, busy_rows=2))


def test_a_quiet_account(harness: Harness) -> None:
    """Of an account with few rows in all days no single day is asked about."""
    sent(harness, NOON - DAY)
    asked: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(harness.db.engine, "before_cursor_execute", record)
    quiet = keep(harness, busy_rows=2), sum("OFFSET" in one for one in asked)
    busy = keep(harness), sum("OFFSET" in one for one in asked)

    assert (0, 1) == quiet
    assert (1, 2 + KEPT_DAYS) == busy


def test_a_part_of_a_kept_day(harness: Harness) -> None:
    """Who asks from the middle of a day gets the rows from there on."""
    sent(harness, NOON - DAY - timedelta(hours=1))
    sent(harness, NOON - DAY + timedelta(hours=1))
    keep(harness)

    assert (2.0, 1.0) == (spent(harness), spent(harness, NOON - DAY))


def test_old_reports_go(harness: Harness) -> None:
    """No report outlives the days that a page can show."""
    sent(harness, NOON - DAY)
    keep(harness)
    with harness.db.read() as tx:
        before = days_kept(tx, harness)
    keep(harness, NOON + 40 * DAY)
    with harness.db.read() as tx:
        after = days_kept(tx, harness)

    assert ([str((NOON - DAY).date())], []) == (before, after)

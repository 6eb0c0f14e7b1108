"""
An account's usage over a time: stored reports of past days, the rest computed now.

A day's report is stored once the day is finished, if its computation takes long. It is
computed again every day, so manual changes show a day later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from service import store
from service.jobs.budget import midnight
from service.store.database import Database
from service.store.reports import (
    AttemptCount,
    DayOfJobs,
    DayOfLedger,
    DayOfWaits,
    DeliveryCount,
)

DAY = timedelta(days=1)
#: The longest range of a page.
KEPT_DAYS = 30
#: A day with fewer jobs and deliveries than this is computed at each request.
BUSY_ROWS = 500


@dataclass(frozen=True)
class Report:
    """The totals of sent jobs and of created deliveries."""

    jobs: list[DayOfJobs]
    waits: list[DayOfWaits]
    ledger: list[DayOfLedger]
    deliveries: list[DeliveryCount]
    attempts: list[AttemptCount]


_JSON = TypeAdapter(Report)


def report_since(tx: Connection, account_id: str, since: datetime) -> Report:
    """
    The account's totals from `since` until now.

    Returns:
        The parts of all days in sequence; one day or subscription may have several parts.
    """
    kept = store.day_reports.of_account(tx, account_id, since.date())
    usable = {day: report for day, report in kept.items() if _begin_of(day) >= since}
    parts = [_JSON.validate_python(report) for report in usable.values()]
    parts += [add_up(tx, account_id, *span) for span in _spans_without(usable, since)]
    together: dict[str, list[Any]] = {}
    for part in fields(Report):
        together[part.name] = [one for report in parts for one in getattr(report, part.name)]
    return Report(**together)


def _begin_of(day: date) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


def _spans_without(
    kept: dict[date, Any], since: datetime
) -> Iterator[tuple[datetime, datetime | None]]:
    """The spans between the days with stored reports; the last one has no end."""
    begin = since
    for day in sorted(kept):
        if begin < _begin_of(day):
            yield begin, _begin_of(day)
        begin = _begin_of(day) + DAY
    yield begin, None


def add_up(tx: Connection, account_id: str, since: datetime, until: datetime | None) -> Report:
    """Compute the account's totals of a time from its rows."""
    span = (tx, account_id, since, until)
    return Report(
        jobs=store.reports.days_of_jobs(*span),
        waits=store.reports.days_of_waits(*span),
        ledger=store.reports.ledger(*span),
        deliveries=store.reports.deliveries_since(*span),
        attempts=store.reports.attempts_since(*span),
    )


def keep_reports(
    db: Database, now: datetime, stopping: threading.Event, busy_rows: int = BUSY_ROWS
) -> int:
    """Store the reports of past days that are missing or a day old; returns their number."""
    first, count = midnight(now) - KEPT_DAYS * DAY, 0
    with db.write() as tx:
        store.day_reports.delete_before(tx, first.date())
        fresh = store.day_reports.made_since(tx, now - DAY)
    with db.read() as tx:
        # For most accounts, one query shows that none of their days is busy.
        account_ids = [
            account.id
            for account in store.accounts.everyone(tx)
            if store.reports.has_rows(tx, account.id, first, midnight(now), busy_rows)
        ]
    days = [first + number * DAY for number in range(KEPT_DAYS)]
    for account_id, begin in product(account_ids, days):
        if stopping.is_set():
            break
        if (account_id, begin.date()) in fresh:
            continue
        with db.read() as tx:
            report = _report_to_keep(tx, account_id, begin, busy_rows)
        if report is not None:
            # The computation holds no write lock.
            with db.write() as tx:
                store.day_reports.put(tx, account_id, begin.date(), report, now)
            count += 1
    return count


def _report_to_keep(
    tx: Connection, account_id: str, begin: datetime, busy_rows: int
) -> dict[str, Any] | None:
    """The report of a day as JSON; None if it is quick to compute, or not final yet."""
    span = (account_id, begin, begin + DAY)
    if not store.reports.has_rows(tx, *span, busy_rows):
        return None
    if not store.reports.is_settled(tx, *span):
        return None
    report: dict[str, Any] = _JSON.dump_python(add_up(tx, *span), mode="json")
    return report

"""
An account's numbers over a time: of past days from reports that are kept, else added up now.

A day's report is kept once the day has settled and where adding it up takes long. It is
made once more every day: what somebody changes by hand afterwards shows a day later.
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
#: No page looks further back.
KEPT_DAYS = 30
#: A day with fewer jobs and deliveries than this is added up whenever somebody asks.
BUSY_ROWS = 500


@dataclass(frozen=True)
class Report:
    """What the jobs that were sent, and the deliveries that were made, add up to."""

    jobs: list[DayOfJobs]
    waits: list[DayOfWaits]
    ledger: list[DayOfLedger]
    deliveries: list[DeliveryCount]
    attempts: list[AttemptCount]


_JSON = TypeAdapter(Report)


def report_since(tx: Connection, account_id: str, since: datetime) -> Report:
    """
    The account's numbers from `since` until now.

    Returns:
        The parts of all days one after another; one day or subscription may have several.
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
    """The times between the kept days; the last one has no end."""
    begin = since
    for day in sorted(kept):
        if begin < _begin_of(day):
            yield begin, _begin_of(day)
        begin = _begin_of(day) + DAY
    yield begin, None


def add_up(tx: Connection, account_id: str, since: datetime, until: datetime | None) -> Report:
    """The account's numbers of that time, by all its rows."""
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
    """Make the reports of past days that are missing or a day old; how many they were."""
    first, count = midnight(now) - KEPT_DAYS * DAY, 0
    with db.write() as tx:
        store.day_reports.delete_before(tx, first.date())
        fresh = store.day_reports.made_since(tx, now - DAY)
    with db.read() as tx:
        # Of most accounts one look says that none of their days can be busy.
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
            # Nobody who wants to write waits for the adding up.
            with db.write() as tx:
                store.day_reports.put(tx, account_id, begin.date(), report, now)
            count += 1
    return count


def _report_to_keep(
    tx: Connection, account_id: str, begin: datetime, busy_rows: int
) -> dict[str, Any] | None:
    """The report of that day as JSON; None where it is cheap or not settled yet."""
    span = (account_id, begin, begin + DAY)
    if not store.reports.has_rows(tx, *span, busy_rows):
        return None
    if not store.reports.is_settled(tx, *span):
        return None
    report: dict[str, Any] = _JSON.dump_python(add_up(tx, *span), mode="json")
    return report

"""Stored reports of past days, so that pages need not read all rows of busy accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, text

from service.store.schema import day_reports

#: One statement, since two workers may make the same report. It is text, as in `providers`.
_PUT = text(
    "INSERT INTO day_reports (account_id, day, report, made_at)"
    " VALUES (:account_id, :day, :report, :made_at)"
    " ON CONFLICT (account_id, day)"
    " DO UPDATE SET report = excluded.report, made_at = excluded.made_at"
).bindparams(
    *(bindparam(name, type_=day_reports.c[name].type) for name in ("day", "report", "made_at"))
)


def of_account(tx: Connection, account_id: str, first: date) -> dict[date, Any]:
    """An account's reports by their UTC day, from the day `first` on."""
    own = (day_reports.c.account_id == account_id) & (day_reports.c.day >= first)
    rows = tx.execute(select(day_reports.c.day, day_reports.c.report).where(own))
    return {row.day: row.report for row in rows}


def made_since(tx: Connection, since: datetime) -> set[tuple[str, date]]:
    """Account and day of each report that is not older than `since`."""
    columns = (day_reports.c.account_id, day_reports.c.day)
    rows = tx.execute(select(*columns).where(day_reports.c.made_at >= since))
    return {(row.account_id, row.day) for row in rows}


def put(
    tx: Connection, account_id: str, day: date, report: Mapping[str, Any], now: datetime
) -> None:
    """Store the account's report of a day; it replaces an earlier one."""
    row = {"account_id": account_id, "day": day, "report": report, "made_at": now}
    tx.execute(_PUT, row)


def delete_before(tx: Connection, first: date) -> None:
    """Delete the reports of days before `first`."""
    tx.execute(delete(day_reports).where(day_reports.c.day < first))

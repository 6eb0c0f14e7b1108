"""Reports of past days, added up once: they spare pages the rows of busy accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from service.store.schema import day_reports


def of_account(tx: Connection, account_id: str, first: date) -> dict[date, Any]:
    """An account's reports by their UTC day, from the day `first` on."""
    own = (day_reports.c.account_id == account_id) & (day_reports.c.day >= first)
    rows = tx.execute(select(day_reports.c.day, day_reports.c.report).where(own))
    return {row.day: row.report for row in rows}


def made_since(tx: Connection, since: datetime) -> set[tuple[str, date]]:
    """Account and day of each report that is not older than that moment."""
    columns = (day_reports.c.account_id, day_reports.c.day)
    rows = tx.execute(select(*columns).where(day_reports.c.made_at >= since))
    return {(row.account_id, row.day) for row in rows}


def put(
    tx: Connection, account_id: str, day: date, report: Mapping[str, Any], now: datetime
) -> None:
    """The account's report of that day; it replaces an earlier one."""
    kind = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"report": report, "made_at": now}
    # One statement, since two workers may make the same one.
    tx.execute(
        kind.insert(day_reports)
        .values(account_id=account_id, day=day, **row)
        .on_conflict_do_update(index_elements=["account_id", "day"], set_=row)
    )


def delete_before(tx: Connection, first: date) -> None:
    """Those of earlier days go."""
    tx.execute(delete(day_reports).where(day_reports.c.day < first))

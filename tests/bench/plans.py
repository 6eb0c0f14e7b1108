"""The statements of a request, how long each takes, and how the database answers it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from service.store.database import Database


@dataclass(frozen=True)
class Statement:
    """One, as the driver got it."""

    sql: str
    values: Any

    @property
    def is_query(self) -> bool:
        """Whether it can be asked again without a change."""
        asks = self.sql.lstrip("( ").upper().startswith(("SELECT", "WITH"))
        return asks and "FOR UPDATE" not in self.sql.upper()


@contextmanager
def recorded(database: Database) -> Iterator[list[Statement]]:
    """The statements that are run inside the block."""
    found: list[Statement] = []

    def record(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        found.append(Statement(sql, values))

    event.listen(database.engine, "before_cursor_execute", record)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", record)


def milliseconds(database: Database, statement: Statement) -> float:
    """How long a query takes until its last row has come."""
    with database.read() as tx:
        began = time.perf_counter()
        tx.exec_driver_sql(statement.sql, statement.values).all()
        return 1000 * (time.perf_counter() - began)


def plan_of(database: Database, statement: Statement) -> list[str]:
    """The lines in which the database says how it answers; PostgreSQL runs the query for that."""
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (ANALYZE, BUFFERS)"
    with database.read() as tx:
        rows = tx.exec_driver_sql(f"{how} {statement.sql}", statement.values).all()
    return [str(row[-1]) for row in rows]

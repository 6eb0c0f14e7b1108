"""
Statements that are built once, by table and columns.

On SQLite, building a statement takes six times as long as running it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, func, insert, select, update
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Update

_INSERT = cache(insert)


def rows_where(tx: Connection, table: Table, **columns: Any) -> list[Row[Any]]:
    """The rows with these values, none of which is None."""
    return list(tx.execute(_select(table, tuple(columns)), _of(columns)).all())


def row_where(
    tx: Connection, table: Table, *, lock: bool = False, **columns: Any
) -> Row[Any] | None:
    """
    The one row with these values, none of which is None; None if there is no such row.

    Args:
        lock: locks the row until this transaction ends.
    """
    return tx.execute(_select(table, tuple(columns), lock), _of(columns)).one_or_none()


def insert_row(tx: Connection, table: Table, columns: Mapping[str, Any]) -> None:
    """Insert a row."""
    tx.execute(_INSERT(table), dict(columns))


def update_where(tx: Connection, table: Table, of: Mapping[str, Any], **changes: Any) -> int:
    """Update columns of the rows with these values; returns their number. All values are plain."""
    return tx.execute(_update(table, tuple(of)), _of(of) | changes).rowcount


@cache
def _select(table: Table, names: tuple[str, ...], lock: bool = False) -> Select[Any]:
    statement = select(table).where(*_equal(table, names))
    # No stronger than an update's lock: others can still add rows that refer to this one.
    return statement.with_for_update(key_share=True) if lock else statement


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    return update(table).where(*_equal(table, names))


def take_turn(tx: Connection, number: int) -> None:
    """Wait for a turn: of the transactions with this number, one at a time continues."""
    # On SQLite, a writing transaction is alone anyway.
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(number)))


def _equal(table: Table, names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(f"of_{name}") for name in names]


def _of(columns: Mapping[str, Any]) -> dict[str, Any]:
    # The name of a column means its new value.
    return {f"of_{name}": value for name, value in columns.items()}

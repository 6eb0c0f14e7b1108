"""
Statements that are built once, each named by its table and its columns.

To build a statement takes six times as long as to run it, on SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, func, insert, select, update
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Insert, Update


def rows_where(tx: Connection, table: Table, **columns: Any) -> list[Row[Any]]:
    """The rows with those values, none of them None."""
    return list(tx.execute(_select(table, tuple(columns)), _of(columns)).all())


def row_where(
    tx: Connection, table: Table, *, lock: bool = False, **columns: Any
) -> Row[Any] | None:
    """
    The one row with those values, none of them None.

    Args:
        lock: keeps the row from change by others until this transaction ends.
    """
    return tx.execute(_select(table, tuple(columns), lock), _of(columns)).one_or_none()


def insert_row(tx: Connection, table: Table, columns: Mapping[str, Any]) -> None:
    """A new row."""
    tx.execute(_insert(table), dict(columns))


def update_where(tx: Connection, table: Table, of: Mapping[str, Any], **changes: Any) -> int:
    """Write columns, all plain values, of the rows with those values; how many they were."""
    return tx.execute(_update(table, tuple(of)), _of(of) | changes).rowcount


@cache
def _select(table: Table, names: tuple[str, ...], lock: bool = False) -> Select[Any]:
    statement = select(table).where(*_equal(table, names))
    # No stronger than what an update takes: whoever adds a row that refers to this one goes on.
    return statement.with_for_update(key_share=True) if lock else statement


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    return update(table).where(*_equal(table, names))


def take_turn(tx: Connection, number: int) -> None:
    """Of the transactions that take a turn by this number, one goes on at a time."""
    # On SQLite whoever may write is alone.
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(number)))


def _equal(table: Table, names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(f"of_{name}") for name in names]


def _of(columns: Mapping[str, Any]) -> dict[str, Any]:
    # A column's own name means its new value.
    return {f"of_{name}": value for name, value in columns.items()}

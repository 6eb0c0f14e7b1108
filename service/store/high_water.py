"""The number of creates sent from each data folder, and the position of PostgreSQL's log."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Connection,
    cast,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from service.store.schema import high_water
from service.store.statements import row_where

#: One statement, since two processes may send their first job at once. As text, see `providers`.
_COUNT = text(
    "INSERT INTO high_water (data_folder, sent) VALUES (:data_folder, 1)"
    " ON CONFLICT (data_folder) DO UPDATE SET sent = high_water.sent + 1 RETURNING sent"
)
_LSN = func.pg_current_wal_insert_lsn()
_PLACE = select(
    func.pg_walfile_name(_LSN),
    cast(func.pg_wal_lsn_diff(_LSN, literal_column("'0/0'")), BigInteger),
)
#: The key in a connection's `info` that says whether its server reports its log's position.
_HAS_LOG = "log place"


@dataclass(frozen=True)
class Position:
    """
    The database's record, to be compared with a data folder's own.

    `sent` counts the creates of that folder; `timeline` (hex) and `lsn` (bytes) are
    the position of PostgreSQL's write-ahead log, blank and 0 if that is unknown.
    """

    sent: int
    timeline: str = ""
    lsn: int = 0


def advance(tx: Connection, data_folder: str) -> Position:
    """Count one more create of that folder, and return the new position."""
    return _with_place(tx, tx.execute(_COUNT, {"data_folder": data_folder}).scalar_one())


def read(tx: Connection, data_folder: str) -> Position:
    """The position now; `sent` is 0 for a folder that the database does not know."""
    row = row_where(tx, high_water, data_folder=data_folder)
    return _with_place(tx, row.sent if row else 0)


def _with_place(tx: Connection, sent: int) -> Position:
    """The position, with the log's position if the server reports one."""
    if tx.dialect.name != "postgresql":
        return Position(sent)
    if _HAS_LOG not in tx.info:
        tx.info[_HAS_LOG] = _tells_place(tx)
    if not tx.info[_HAS_LOG]:
        return Position(sent)
    file_name, position = tx.execute(_PLACE).one()
    # The name of a log file begins with the timeline.
    return Position(sent, file_name[:8], position)


def _tells_place(tx: Connection) -> bool:
    """Whether the server has the functions; on some hosted variants only creates are counted."""
    try:
        with tx.begin_nested():
            tx.execute(_PLACE)
    except DBAPIError:
        return False
    return True


def raise_to(tx: Connection, data_folder: str, sent: int) -> None:
    """Raise the folder's count of creates to `sent`; it never falls."""
    lower = update(high_water).filter_by(data_folder=data_folder)
    tx.execute(lower.where(high_water.c.sent < sent).values(sent=sent))
    known = tx.scalar(select(high_water.c.sent).filter_by(data_folder=data_folder))
    if known is None:
        tx.execute(insert(high_water).values(data_folder=data_folder, sent=sent))

"""
Outages of the database: the only module that knows the drivers' errors.

Unavailable means: the statement was right, and the same one succeeds later without a
change of ours. This covers a server that is gone, full, starting, read-only or
out of connections, a lock that somebody holds, and a damaged file.
"""

from __future__ import annotations

from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: Schema or rights are missing: restored from elsewhere, or revoked by a full managed database.
#: The errors of prepared statements come from a pooler that shares its connections.
_CURABLE_STATES = frozenset(
    {
        "42P01",  # undefined_table
        "42703",  # undefined_column
        "42501",  # insufficient_privilege
        "3F000",  # invalid_schema_name
        "26000",  # invalid_sql_statement_name
        "42P05",  # duplicate_prepared_statement
    }
)
#: The class "program limit exceeded": this row is too large, now and later.
_LIMIT_CLASS = "54"
READ_ONLY_STATE = "25006"
#: The class "transaction rollback": the server has ended one of two conflicting transactions.
_CONFLICT_CLASS = "40"


def is_unavailable(error: BaseException) -> bool:
    """Whether the error means that the database is unavailable, not that a statement was wrong."""
    if isinstance(error, DataError | IntegrityError | NotSupportedError):
        return False
    state = sqlstate_of(error)
    if isinstance(error, ProgrammingError):
        return state in _CURABLE_STATES
    if isinstance(error, DatabaseError | InterfaceError):
        return state[:2] != _LIMIT_CLASS
    return isinstance(error, PoolTimeoutError | PendingRollbackError)


def is_conflict(error: BaseException) -> bool:
    """Whether a working server has ended this one transaction because of another."""
    return sqlstate_of(error)[:2] == _CONFLICT_CLASS


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's SQLSTATE, five characters; blank if there is none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""


def reason_of(error: SQLAlchemyError) -> str:
    """The driver's message as one line."""
    lines = str(getattr(error, "orig", error)).splitlines()
    return lines[0] if lines else type(error).__name__

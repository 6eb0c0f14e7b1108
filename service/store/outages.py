"""
Is the database away? The one place that knows what its drivers say then.

Away means: the statement was right, and the same one succeeds later without a
change of ours. That covers a server that is gone, full, starting, read-only or
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
#: The prepared statements are those of a pooler that shares its connections.
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
#: The class "program limit exceeded": this row is too large, today and tomorrow.
_LIMIT_CLASS = "54"
READ_ONLY_STATE = "25006"
#: The class "transaction rollback": of two that hinder each other the server has ended one.
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
    """Whether a server that is well has ended this one transaction, because of another."""
    return sqlstate_of(error)[:2] == _CONFLICT_CLASS


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's five letters for what went wrong; blank where there are none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""


def reason_of(error: SQLAlchemyError) -> str:
    """The driver's message, in one line."""
    lines = str(getattr(error, "orig", error)).splitlines()
    return lines[0] if lines else type(error).__name__

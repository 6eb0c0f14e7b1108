"""Is the database away? Each thing that a driver says then, and what is no such thing."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    PendingRollbackError,
    SQLAlchemyError,
    TimeoutError,
)

from service.store.outages import is_unavailable, reason_of


def as_raised(original: Exception, base: Any) -> SQLAlchemyError:
    """The driver's error as SQLAlchemy raises it."""
    made = DBAPIError.instance("SELECT 1", {}, original, base)
    assert isinstance(made, SQLAlchemyError)
    return made


AWAY = [
    errors.ReadOnlySqlTransaction,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.TooManyConnections,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
    errors.InFailedSqlTransaction,
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.ConnectionFailure,
    errors.ProtocolViolation,
    errors.IoError,
    errors.DataCorrupted,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InsufficientPrivilege,
    errors.DuplicatePreparedStatement,
    psycopg.OperationalError,
    psycopg.InterfaceError,
]
NOT_AWAY = [
    errors.UniqueViolation,
    errors.ForeignKeyViolation,
    errors.NumericValueOutOfRange,
    errors.UntranslatableCharacter,
    errors.SyntaxError,
    errors.ProgramLimitExceeded,
    errors.FeatureNotSupported,
]


@pytest.mark.parametrize("kind", AWAY, ids=lambda kind: kind.__name__)
def test_postgres_is_away(kind: type[psycopg.Error]) -> None:
    """Gone, full, starting, read-only, locked, damaged: the same statement succeeds later."""
    assert is_unavailable(as_raised(kind("said so"), psycopg.Error))


@pytest.mark.parametrize("kind", NOT_AWAY, ids=lambda kind: kind.__name__)
def test_postgres_is_there(kind: type[psycopg.Error]) -> None:
    """What is wrong with a statement or a row stays wrong."""
    assert not is_unavailable(as_raised(kind("said so"), psycopg.Error))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (sqlite3.OperationalError, True),
        (sqlite3.DatabaseError, True),
        (sqlite3.InternalError, True),
        (sqlite3.IntegrityError, False),
        (sqlite3.DataError, False),
        (sqlite3.ProgrammingError, False),
    ],
)
def test_sqlite(kind: type[sqlite3.Error], expected: bool) -> None:
    """Locked, full, gone and damaged are away; a wrong row or call is not."""
    assert expected is is_unavailable(as_raised(kind("said so"), sqlite3.Error))


def test_errors_without_a_driver() -> None:
    """A pool without a free connection is away, and a connection that broke; a typo is not."""
    away = [TimeoutError("QueuePool limit"), PendingRollbackError("reconnect")]

    assert [True, True] == [is_unavailable(error) for error in away]
    assert [False, False] == [is_unavailable(e) for e in (ArgumentError("x"), ValueError("x"))]


def test_reason() -> None:
    """One line: the driver's first, or the error's name where it said nothing."""
    error = as_raised(psycopg.OperationalError("server closed\n\tunexpectedly"), psycopg.Error)
    silent = as_raised(psycopg.OperationalError(), psycopg.Error)

    assert ("server closed", "OperationalError") == (reason_of(error), reason_of(silent))

"""
PostgreSQL: every wait has a time limit, and sessions keep no state.

A transaction pooler such as PgBouncer may run each transaction in another session,
so there are no prepared statements, and settings are made per transaction.

Without a pooler they would save the server a third of its CPU. But a plan that
is made once for all values is bad for the rare ones, and a worker asks for those:
with 24,000 stored jobs, the query for due work took 0.2 s instead of 4 ms.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg import abc
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext

from service.errors import SchemaError
from service.store.outages import READ_ONLY_STATE, sqlstate_of
from service.store.postgres_bell import PostgresBell

__all__ = ["PostgresBell", "check_encoding", "make_engine"]

RV = TypeVar("RV")

#: Seconds for a new connection; the driver uses at least 2.
DIAL_SECONDS = 3
#: With these, a server that disappears silently is noticed while we send and while we wait.
DIAL: dict[str, Any] = {
    "connect_timeout": DIAL_SECONDS,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "client_encoding": "utf8",
    # A pooler may run the next transaction in a session without the prepared statement.
    "prepare_threshold": None,
    # Our own BEGIN needs one round trip; the driver would need two.
    "autocommit": True,
}
#: A working server ends a statement by itself; we give up only on one that does not.
GRACE_SECONDS = 0.5
#: The seconds for which a session may hold locks while its process is frozen or gone.
IDLE_SECONDS = 60
#: The least seconds between two replacements of all connections after a read-only answer.
RECONNECT_SECONDS = 1.0


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is closed if the server does not answer for `patience` seconds."""

    patience: float | None = 10.0

    def wait(self, gen: abc.PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """The driver's `wait`, with a deadline."""
        if self.patience is None:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(_within(gen, self.patience + GRACE_SECONDS), *args, **kwargs)
        except _NoAnswer:
            self.close()
            message = f"the server has not answered for {self.patience:g} s"
            raise psycopg.OperationalError(message) from None


class _NoAnswer(Exception):
    """The server did not answer in time."""


def _within(gen: abc.PQGen[RV], seconds: float) -> abc.PQGen[RV]:
    """The same generator with a time limit, which the driver checks ten times a second."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise _NoAnswer
            wanted = gen.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result


def make_engine(url: URL, **options: Any) -> Engine:
    """An engine for this server; `execution_options` decide how its transactions begin."""
    engine = create_engine(url, use_native_hstore=False, **options)
    event.listen(engine, "handle_error", _Standby().leave)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """Begin a transaction with its time limits."""
        patience = connection.get_execution_options().get("patience")
        raw: Any = connection.connection.driver_connection
        raw.patience = patience
        if patience is None:
            connection.exec_driver_sql("BEGIN")
            return
        connection.exec_driver_sql(
            f"BEGIN; SET LOCAL statement_timeout = {round(patience * 1000)};"
            f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_SECONDS * 1000}"
        )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: list[Any], given: dict[str, Any]) -> Any:
        return PatientConnection.connect(*args, **(DIAL | given))

    return engine


class _Standby:
    """After a fail-over, connections may lead to a server that is a read-only standby now."""

    def __init__(self) -> None:
        self._left_at = 0.0

    def leave(self, context: ExceptionContext) -> None:
        """Drop all connections: new ones lead to the server that the name means now."""
        error = context.original_exception
        now = time.monotonic()
        if sqlstate_of(error) == READ_ONLY_STATE and now - self._left_at > RECONNECT_SECONDS:
            self._left_at = now
            context.is_disconnect = True


def check_encoding(connection: Connection) -> None:
    """Raise SchemaError unless the database can store every text."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        fix = "CREATE DATABASE clipbell ENCODING 'UTF8' TEMPLATE template0"
        raise SchemaError(
            f"the database's encoding is {encoding}, which cannot hold every text: "
            f"make another one ({fix}) and name it in CLIPBELL_DATABASE_URL"
        )

"""
One database: SQLite or PostgreSQL, with the same two ways in.

`write` begins a transaction that may write, `read` one that may not. On SQLite
a writer takes its lock at once (a deferred transaction that turns into a
writer fails under load), and processes queue on a lock file, which keeps the
slowest commit an order of magnitude faster than SQLite's own busy loop does.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError

from service.errors import SchemaError, SettingsError

T = TypeVar("T")
log = logging.getLogger(__name__)

POOL_SIZE = 40
BUSY_SECONDS = 15
#: Seconds for a new connection; milliseconds until what was sent must be acknowledged.
POSTGRES_DIAL = {"connect_timeout": 10, "tcp_user_timeout": 20_000}
#: So long `insist` goes on while the database is away, and so long it waits between tries.
RETRY_SECONDS = 180.0
PAUSE_SECONDS = 0.5
#: Any number that nobody else uses.
MIGRATION_LOCK = 7_013_201


class Database:
    """An engine and its transactions; made once per process, after any fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = threading.Lock()
        self._never = threading.Event()
        self._lock_file = f"{self.engine.url.database}.lock" if self.is_sqlite else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; commits at the end, rolls back on an error."""
        with self._writer_lock(), self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def write_with_retry(self, act: Callable[[Connection], T]) -> T:
        """
        Commit what `act` writes, again and again while the database is away.

        For what nobody could find out a second time. When the answer to a
        commit is lost, `act` runs once more over what it has already written.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with self.write() as tx:
                    return act(tx)
            except (OperationalError, InterfaceError) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("the database is away, trying again: %s", reason_of(error))
                self._never.wait(PAUSE_SECONDS)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writer_lock(self) -> Iterator[None]:
        if not self._lock_file:
            yield
            return
        with self._writing, open(self._lock_file, "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def revision(self) -> tuple[str | None, str | None]:
        """(where the schema stands, where it should stand)."""
        head = ScriptDirectory.from_config(alembic_config()).get_current_head()
        with self._reachable(), self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision(), head

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            said = f"cannot open the database: {reason_of(error)}"
            raise SchemaError(f"{said}; see CLIPBELL_DATABASE_URL and CLIPBELL_DATA_DIR") from error

    def migrate(self) -> None:
        """Bring the schema to head."""
        config = alembic_config()
        with self._reachable(), self._writer_lock(), self.engine.connect() as connection:
            connection.execution_options(writes=True)
            config.attributes["connection"] = connection
            with self._rebuilding(connection), connection.begin():
                if not self.is_sqlite:
                    # Released with the transaction: a second migration waits for the first.
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                upgrade(config, "head")
                self._check_references(connection)

    @contextmanager
    def _rebuilding(self, connection: Connection) -> Iterator[None]:
        """SQLite changes a column by rebuilding its table, which no reference may forbid."""
        raw = connection.connection.driver_connection
        if not self.is_sqlite or raw is None:
            yield
            return
        # Not possible inside a transaction.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            raw.execute("PRAGMA foreign_keys = ON")

    def _check_references(self, connection: Connection) -> None:
        """Nothing is committed that the rebuilding has torn."""
        if not self.is_sqlite:
            return
        torn = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if torn:
            raise SchemaError(f"the migration would leave {len(torn)} rows without what they name")

    def check(self) -> None:
        """Raises SchemaError unless the schema is at head, with what to run."""
        at, head = self.revision()
        if at != head:
            where = f"at {at}" if at else "empty"
            raise SchemaError(f"the database is {where}, needs {head}: run `clipbell migrate`")


def reason_of(error: SQLAlchemyError) -> str:
    """What the driver said, in one line."""
    return str(getattr(error, "orig", error)).splitlines()[0]


def alembic_config() -> Config:
    """Alembic's view of our migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    return config


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "CLIPBELL_DATABASE_URL: must look like sqlite:///path or postgresql://user@host/name"
        ) from None
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif parsed.get_backend_name() != "sqlite":
        raise SettingsError("CLIPBELL_DATABASE_URL: only sqlite and postgresql are supported")
    # A server that is gone without a word shall be noticed, not waited for.
    dial = {} if parsed.get_backend_name() == "sqlite" else POSTGRES_DIAL
    try:
        engine = create_engine(
            parsed, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, connect_args=dial
        )
    except ModuleNotFoundError:
        raise SettingsError(
            "PostgreSQL needs its driver: pip install 'clipbell[postgres]'"
        ) from None
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    folder = Path(str(engine.url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot make {folder}: {error.strerror}"
        raise SettingsError(f"{reason}; choose another CLIPBELL_DATABASE_URL or DATA_DIR") from None
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)


def _sqlite_connected(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late and is deferred: turned off, ours below.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_SECONDS * 1000}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

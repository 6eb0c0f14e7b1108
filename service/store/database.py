"""
One database: SQLite or PostgreSQL, with the same two ways in.

`write` begins a transaction that may write, `read` one that may not. On SQLite
a writer takes its lock at once (a deferred transaction that turns into a
writer fails under load), and processes queue on a lock file, which keeps the
slowest commit an order of magnitude faster than SQLite's own busy loop does.

Both end within a time limit: the caller gets an error, and no thread hangs.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from service.errors import DatabaseUnavailable, SchemaError, SettingsError
from service.store.bell import Bell, SocketBell
from service.store.breaker import Breaker
from service.store.database_url import parse_database_url
from service.store.kept_rows import KEPT
from service.store.outages import reason_of
from service.store.schema_version import SchemaVersion, read_version
from service.store.sqlite import SqliteFile
from service.store.writer_lock import WriterLock

T = TypeVar("T")
Check = Callable[[Connection], None]
log = logging.getLogger(__name__)

#: The most connections of a process, which its threads share; one more listens on PostgreSQL.
POOL_SIZE = 16
#: No kind of work has more slots in one process.
MOST_CALLS = 100
#: The seconds that a statement, or a writer's wait for its turn, may take: in workers, where
#: nobody waits for an answer, and in web processes.
PATIENCE_SECONDS = 20.0
REQUEST_PATIENCE_SECONDS = 5.0
#: The seconds for which `write_with_retry` retries, and the same once the process should end.
RETRY_SECONDS = 180.0
LAST_SECONDS = 10.0
RETRY_EVERY_SECONDS = 0.5
#: The schema's history, a file per step.
MIGRATIONS = Path(__file__).parents[1] / "migrations"
#: An arbitrary number that no other lock of this database uses.
MIGRATION_LOCK = 7_013_201
#: A statement that changes no row, and fails if no row could be written.
_PROBE = "UPDATE workers SET seen_at = seen_at WHERE 1 = 0"


class Database:
    """
    An engine and its transactions; created once per process, after any fork.

    Args:
        url: as in CLIPBELL_DATABASE_URL.
        patience: seconds that a statement, or the wait for a writer's turn, may take.
    """

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        self.url = url
        self.patience = patience
        self.engine, self._file, self._check_encoding, self._bell = _open(url, patience)
        self._listener: Callable[[str], bool] | None = None
        self.is_sqlite = self._file is not None
        #: The product's name and version.
        self.product = "SQLite" if self.is_sqlite else "PostgreSQL"
        self._lock = WriterLock(f"{self._file.path}.lock") if self._file else None
        self._reads = Breaker(self._probe_reading)
        self._writes = Breaker(self._probe_writing)
        self._never = threading.Event()
        self._ends_at = math.inf

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """
        A transaction that may write; commits at the end, rolls back on an error.

        Raises:
            DatabaseUnavailable: nothing was written, or it is unknown whether it was.
        """
        with self._writes.guarded(), self._transaction(writes=True) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises DatabaseUnavailable."""
        with self._reads.guarded(), self._transaction(writes=False) as tx:
            yield tx

    def check_writable(self) -> None:
        """Raises DatabaseUnavailable unless a row could be written now."""
        with self._writes.guarded():
            self._probe_writing()

    def write_with_retry(self, act: Callable[[Connection], T]) -> T:
        """
        Commit the writes of `act`, with retries while the database is unavailable.

        For facts that cannot be found out again. If the answer to a
        commit is lost, `act` runs again over its own earlier writes.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with self.write() as tx:
                    return act(tx)
            except DatabaseUnavailable as error:
                if time.monotonic() > min(deadline, self._ends_at):
                    raise
                log.warning("%s; trying again", error)
                self._never.wait(RETRY_EVERY_SECONDS)

    def stop_retrying(self) -> None:
        """Shorten the retries, as the process should end. A signal calls it: it takes no lock."""
        self._ends_at = time.monotonic() + LAST_SECONDS

    @contextmanager
    def _transaction(self, *, writes: bool, patience: float | None = None) -> Iterator[Connection]:
        patience = patience or self.patience
        turn = self._lock.held(patience) if self._lock and writes else nullcontext(patience)
        with turn as left, self.engine.connect() as connection:
            connection.execution_options(writes=writes, patience=left)
            for name in ("due", KEPT):
                connection.info.pop(name, None)
            with connection.begin():
                yield connection
            if self._file and writes:
                # Writes to a file that is gone by now are lost.
                self._file.check(connection)
            due: Counter[str] = connection.info.pop("due", Counter())
        if due:
            self._tell_due(due)

    def _tell_due(self, due: Counter[str]) -> None:
        """Wake this process's own slots first, and other processes for the remaining rows."""
        if listener := self._listener:
            due = Counter(kind for kind in due.elements() if not listener(kind))
        if due:
            self._bell.ring(due)

    def listen(self, listener: Callable[[str], bool]) -> None:
        """
        Call `listener` with the kind of work for rows that become due, here or elsewhere.

        It is a hint, and may be lost. The listener returns whether a slot here takes it.
        """
        self._listener = listener

        def hear(kind: str, count: int) -> None:
            for _ in range(min(count, MOST_CALLS)):
                listener(kind)

        self._bell.listen(hear)

    def _probe_reading(self) -> None:
        with self._transaction(writes=False) as tx:
            tx.exec_driver_sql("SELECT 1")

    def _probe_writing(self) -> None:
        with self._transaction(writes=True) as tx:
            tx.exec_driver_sql(_PROBE)

    def truncate_log(self) -> None:
        """Truncate SQLite's log, which grows while a long reader needs it."""
        if self._file and self._lock:
            with self._writes.guarded(), self._lock.held(self.patience):
                self._file.truncate_log(self.engine)

    def copy_to(self, path: Path) -> None:
        """
        Copy SQLite's file as it is now, while others continue to write.

        Raises:
            DatabaseUnavailable: it cannot be read, or is damaged.
        """
        if self._file is None:
            raise TypeError("PostgreSQL is copied by pg_dump")
        with self._reads.guarded():
            self._file.copy_to(self.engine, path)

    def close(self) -> None:
        """Close all connections."""
        self._bell.close()
        self._reads.close()
        self._writes.close()
        self.engine.dispose()

    def version(self) -> SchemaVersion:
        """The version of the schema, and the version that this code needs."""
        head = head_revision()
        if self._file and self._file.is_missing():
            return SchemaVersion(None, head)
        with self._reachable(), self._reads.guarded(), self.engine.connect() as connection:
            self._check_encoding(connection)
            return read_version(connection, head)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            reason = reason_of(error) if isinstance(error, SQLAlchemyError) else error.reason
            said = f"cannot open the database: {reason}"
            raise SchemaError(f"{said}; see CLIPBELL_DATABASE_URL and CLIPBELL_DATA_DIR") from error

    def change_schema(self, change: Callable[[Connection], bool]) -> None:
        """
        Run `change`, which alters the tables, alone and in one transaction without a time limit.

        `change` returns whether it has altered anything.
        """
        creating = self._file.creating() if self._file else nullcontext()
        turn = self._lock.held(self.patience) if self._lock else nullcontext()
        with self._reachable(), creating, turn, self.engine.connect() as connection:
            connection.execution_options(writes=True, patience=None)
            with self._rebuilding(connection), connection.begin():
                self._check_encoding(connection)
                if not self.is_sqlite:
                    # Held until the commit: a second migration waits for the first.
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                if change(connection):
                    self._check_references(connection)

    @contextmanager
    def _rebuilding(self, connection: Connection) -> Iterator[None]:
        """Disable foreign keys: SQLite changes a column by rebuilding its table."""
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
        """Raise an error, before the commit, if the rebuild has broken references."""
        if not self.is_sqlite:
            return
        torn = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if torn:
            raise SchemaError(f"the migration would leave {len(torn)} rows with broken references")

    def check(self) -> None:
        """Raise SchemaError, with the fix, unless this version can work with the schema."""
        if trouble := self.version().trouble:
            raise SchemaError(trouble)

    @property
    def path(self) -> Path | None:
        """SQLite's file; None on PostgreSQL."""
        return self._file.path if self._file else None


def head_revision() -> str:
    """The schema's version for this code: the number in the newest migration's file name."""
    # Asking Alembic would make each start a quarter slower.
    return max(path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def _open(url: str, patience: float) -> tuple[Engine, SqliteFile | None, Check, Bell]:
    where = parse_database_url(url)
    options: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": patience,
        "execution_options": {"patience": patience},
    }
    if isinstance(where, Path):
        file = SqliteFile(where)
        bell = SocketBell(where.with_name(f"{where.name}.bells"))
        return file.make_engine(**options), file, lambda _: None, bell
    try:
        # The driver is in the extra `postgres`, which may be missing.
        from service.store import postgres
    except ModuleNotFoundError:
        raise SettingsError(
            "PostgreSQL needs its driver: pip install 'clipbell[postgres]'"
        ) from None
    engine = postgres.make_engine(where, **options)
    return engine, None, postgres.check_encoding, postgres.PostgresBell(engine)

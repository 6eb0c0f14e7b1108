"""
One database: SQLite or PostgreSQL, with the same two ways in.

`write` begins a transaction that may write, `read` one that may not. On SQLite
a writer takes its lock at once (a deferred transaction that turns into a
writer fails under load), and processes queue on a lock file, which keeps the
slowest commit an order of magnitude faster than SQLite's own busy loop does.

Both end within the database's patience: who asks is refused, and nobody hangs.
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

#: Connections of one process at most, one more to listen on PostgreSQL; its threads take turns.
POOL_SIZE = 16
#: No kind of work has more slots in one process.
MOST_CALLS = 100
#: So long one statement may take, or a writer may wait for its turn: where nobody waits for an
#: answer, and where somebody does.
PATIENCE_SECONDS = 20.0
REQUEST_PATIENCE_SECONDS = 5.0
#: So long `write_with_retry` goes on, and so long when the process is to end.
RETRY_SECONDS = 180.0
LAST_SECONDS = 10.0
RETRY_EVERY_SECONDS = 0.5
#: The schema's history, a file per step.
MIGRATIONS = Path(__file__).parents[1] / "migrations"
#: Any number that nobody else uses.
MIGRATION_LOCK = 7_013_201
#: Touches no row, and is refused where a row could not be written.
_PROBE = "UPDATE workers SET seen_at = seen_at WHERE 1 = 0"


class Database:
    """
    An engine and its transactions; made once per process, after any fork.

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
        #: As it calls itself.
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
            DatabaseUnavailable: nothing was written, or nobody can tell whether it was.
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
        Commit what `act` writes, again and again while the database is unavailable.

        For what nobody could find out a second time. When the answer to a
        commit is lost, `act` runs once more over what it has already written.
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
        """The process is to end soon. Takes no lock, being called by a signal."""
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
                # What was written to a file that is gone by now was not written.
                self._file.check(connection)
            due: Counter[str] = connection.info.pop("due", Counter())
        if due:
            self._tell_due(due)

    def _tell_due(self, due: Counter[str]) -> None:
        """Our own slots first; others hear of what no slot here is free for."""
        if listener := self._listener:
            due = Counter(kind for kind in due.elements() if not listener(kind))
        if due:
            self._bell.ring(due)

    def listen(self, listener: Callable[[str], bool]) -> None:
        """
        Tell `listener` of each row that becomes due, here or elsewhere, by its kind of work.

        A hint: one may be lost. It says whether somebody here looks at it now.
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
        """SQLite's log gives back the room that it took while a long reader kept it."""
        if self._file and self._lock:
            with self._writes.guarded(), self._lock.held(self.patience):
                self._file.truncate_log(self.engine)

    def copy_to(self, path: Path) -> None:
        """
        A copy of SQLite's file as it is now, while others go on writing.

        Raises:
            DatabaseUnavailable: it cannot be read, or is damaged.
        """
        if self._file is None:
            raise TypeError("PostgreSQL is copied by pg_dump")
        with self._reads.guarded():
            self._file.copy_to(self.engine, path)

    def close(self) -> None:
        """Give every connection back."""
        self._bell.close()
        self._reads.close()
        self._writes.close()
        self.engine.dispose()

    def version(self) -> SchemaVersion:
        """Where the schema stands, and where it should stand."""
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
        Let `change` alter the tables, alone and in one transaction, however long it takes.

        It says whether it has altered anything.
        """
        creating = self._file.creating() if self._file else nullcontext()
        turn = self._lock.held(self.patience) if self._lock else nullcontext()
        with self._reachable(), creating, turn, self.engine.connect() as connection:
            connection.execution_options(writes=True, patience=None)
            with self._rebuilding(connection), connection.begin():
                self._check_encoding(connection)
                if not self.is_sqlite:
                    # Released with the transaction: a second migration waits for the first.
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                if change(connection):
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
            raise SchemaError(f"the migration would leave {len(torn)} rows with broken references")

    def check(self) -> None:
        """Raises SchemaError unless this version can work on the schema, with what to do."""
        if trouble := self.version().trouble:
            raise SchemaError(trouble)

    @property
    def path(self) -> Path | None:
        """SQLite's file; None on PostgreSQL."""
        return self._file.path if self._file else None


def head_revision() -> str:
    """The schema of this version: the newest file's name begins with it."""
    # To ask Alembic would cost each start a quarter.
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
        # Its driver is the extra `postgres`, which need not be installed.
        from service.store import postgres
    except ModuleNotFoundError:
        raise SettingsError(
            "PostgreSQL needs its driver: pip install 'clipbell[postgres]'"
        ) from None
    engine = postgres.make_engine(where, **options)
    return engine, None, postgres.check_encoding, postgres.PostgresBell(engine)

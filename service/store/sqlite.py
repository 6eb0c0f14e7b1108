"""
SQLite: one file, and a check at each transaction that it is still the same file.

A process that has a file open continues to write to it after it was deleted or
replaced, and these writes are lost. So the file's identity is stored at
the first connection, and checked before each transaction and after each commit.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from service.errors import DatabaseUnavailable, SettingsError

#: A log that has grown beyond this many bytes, behind a long reader, is truncated.
WAL_BYTES = 16 * 1024**2
#: The seconds that writers may wait for the truncation of the log.
TRUNCATE_MILLISECONDS = 200
MIGRATION_MILLISECONDS = 30_000

SUFFIXES = ("", "-wal", "-shm")
#: Device and inode of each file.
Identity = tuple[tuple[int, int], ...]


class SqliteFile:
    """
    The database's file with its log and the log's index.

    Args:
        path: the path of the existing or new file.

    Raises:
        SettingsError: no file can be created there.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise SettingsError(f"CLIPBELL_DATABASE_URL: {path} is a folder; name a file in it")
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
        if not nearest.is_dir():
            fix = "choose another CLIPBELL_DATABASE_URL or CLIPBELL_DATA_DIR"
            raise SettingsError(f"cannot make {path.parent}: {nearest} is no folder; {fix}")
        self.path = path
        self._may_create = False
        self._lock = threading.Lock()
        self._open = 0
        #: The files of our open connections; once none is open, only the first one.
        self._pinned: Identity = ()

    def make_engine(self, **options: Any) -> Engine:
        """An engine for this file; `execution_options` decide how its transactions begin."""
        engine = create_engine(URL.create("sqlite", database=str(self.path)), **options)
        event.listen(engine, "do_connect", lambda *_: self._connect())
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "close", self._closed)
        event.listen(engine, "begin", self._begin)
        return engine

    @contextmanager
    def creating(self) -> Iterator[None]:
        """While the schema is created: other processes create no database by looking for it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"cannot make {self.path.parent}: {error.strerror}"
            fix = "choose another CLIPBELL_DATABASE_URL or CLIPBELL_DATA_DIR"
            raise SettingsError(f"{reason}; {fix}") from None
        self._may_create = True
        try:
            yield
        finally:
            self._may_create = False

    def is_missing(self) -> bool:
        """Whether the file does not exist, and never did as far as this process knows."""
        return not self._pinned and not self.path.exists()

    def check(self, connection: Connection) -> None:
        """Raise DatabaseUnavailable unless the connection has the file of this name open."""
        if self._identity() != connection.info["opened"]:
            raise self._lost()

    def _lost(self) -> DatabaseUnavailable:
        where = f"{self.path} (or its -wal or -shm file)"
        fix = "put the same file back, or stop Clipbell and restore a backup"
        return DatabaseUnavailable(f"{where} was deleted or replaced while it was open: {fix}")

    def truncate_log(self, engine: Engine) -> None:
        """Copy a log that has grown large into the file, and empty it; needs the writer's lock."""
        try:
            if os.stat(f"{self.path}-wal").st_size < WAL_BYTES:
                return
        except OSError:
            return
        with closing(engine.raw_connection()) as pooled, suppress(sqlite3.OperationalError):
            raw: Any = pooled.driver_connection
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
            raw.execute(f"PRAGMA busy_timeout = {TRUNCATE_MILLISECONDS}")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, engine: Engine, path: Path) -> None:
        """
        Copy all committed data into one file without a log; writers need not wait.

        Raises:
            DatabaseUnavailable: it cannot be read, the copy cannot be written, or is damaged.
        """
        try:
            with closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(path)) as copy:
                raw: Any = pooled.driver_connection
                raw.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            found = str(error)
        if found != "ok":
            raise DatabaseUnavailable(f"cannot copy {self.path}: {found}")

    def _identity(self, count: int = len(SUFFIXES)) -> Identity:
        """The identity of the first `count` files; blank if one of them is missing."""
        try:
            stats = [os.stat(f"{self.path}{suffix}") for suffix in SUFFIXES[:count]]
        except OSError:
            return ()
        return tuple((stat.st_dev, stat.st_ino) for stat in stats)

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            pinned = self._pinned
        # Checked before it is opened: at its close, SQLite would write our log into another file.
        if pinned and self._identity(len(pinned)) != pinned:
            raise self._lost()
        # A folder's name may contain any byte; none is special here.
        address = f"file:{quote(os.fsencode(self.path.absolute()))}"
        mode = "rwc" if self._may_create else "rw"
        # The driver's own BEGIN comes too late and is deferred; `_begin` sends ours instead.
        connection = sqlite3.connect(
            f"{address}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # The first read creates the log of a new file.
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return connection

    def _connected(self, _: sqlite3.Connection, record: Any) -> None:
        opened = self._identity()
        with self._lock:
            if not opened or opened[: len(self._pinned)] != self._pinned:
                raise self._lost()
            self._pinned = record.info["opened"] = opened
            self._open += 1

    def _closed(self, _: sqlite3.Connection, record: Any) -> None:
        """Forget the log and its index: the last connection of all processes deletes them."""
        with self._lock:
            self._open -= "opened" in record.info
            if not self._open:
                self._pinned = self._pinned[:1]

    def _begin(self, connection: Connection) -> None:
        self.check(connection)
        options = connection.get_execution_options()
        raw: Any = connection.connection.driver_connection
        patience = options["patience"]
        # Without a time limit, a change of the schema would wait forever for a writer.
        milliseconds = MIGRATION_MILLISECONDS if patience is None else round(patience * 1000)
        raw.execute(f"PRAGMA busy_timeout = {milliseconds}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

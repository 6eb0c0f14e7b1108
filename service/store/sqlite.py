"""
SQLite: one file, and the proof at each transaction that it is still the same one.

A process that has a file open goes on writing to it after it was deleted or
replaced, and everything it writes is lost. So the file's identity is pinned at
the first connection, looked at before each transaction and after each commit.
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

#: A log that has grown beyond this, behind a long reader, gives its room back.
WAL_BYTES = 16 * 1024**2
#: So long writers may wait for the log to be emptied.
TRUNCATE_MILLISECONDS = 200
MIGRATION_MILLISECONDS = 30_000

SUFFIXES = ("", "-wal", "-shm")
#: Device and inode of each of the files.
Identity = tuple[tuple[int, int], ...]


class SqliteFile:
    """
    The database's file with its log and the log's index.

    Args:
        path: where it is, or is to be made.

    Raises:
        SettingsError: no file can be made there.
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
        #: The files that our open connections have; once none is open, only the first of them.
        self._pinned: Identity = ()

    def make_engine(self, **options: Any) -> Engine:
        """An engine over this file; its transactions begin as `execution_options` say."""
        engine = create_engine(URL.create("sqlite", database=str(self.path)), **options)
        event.listen(engine, "do_connect", lambda *_: self._connect())
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "close", self._closed)
        event.listen(engine, "begin", self._begin)
        return engine

    @contextmanager
    def creating(self) -> Iterator[None]:
        """While the schema is made: nobody else makes a database by looking for it."""
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
        """Whether there is no such file, and never was one as far as this process knows."""
        return not self._pinned and not self.path.exists()

    def check(self, connection: Connection) -> None:
        """Raises DatabaseUnavailable unless it has open what is there under that name."""
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
        All that is committed by now, into one file without a log; writers need not wait.

        Raises:
            DatabaseUnavailable: it cannot be read, the copy cannot be written, or is damaged.
        """
        with closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(path)) as copy:
            raw: Any = pooled.driver_connection
            try:
                raw.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.Error as error:
                found = str(error)
        if found != "ok":
            raise DatabaseUnavailable(f"cannot copy {self.path}: {found}")

    def _identity(self, count: int = len(SUFFIXES)) -> Identity:
        """Of the first so many files; blank where one of them is not there."""
        try:
            stats = [os.stat(f"{self.path}{suffix}") for suffix in SUFFIXES[:count]]
        except OSError:
            return ()
        return tuple((stat.st_dev, stat.st_ino) for stat in stats)

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            pinned = self._pinned
        # Before it is opened: SQLite would close another file by writing our log into it.
        if pinned and self._identity(len(pinned)) != pinned:
            raise self._lost()
        # Any byte may be in a folder's name; none of them has a meaning here.
        address = f"file:{quote(os.fsencode(self.path.absolute()))}"
        mode = "rwc" if self._may_create else "rw"
        # The driver's own BEGIN comes too late and is deferred: turned off, `_begin` has ours.
        connection = sqlite3.connect(
            f"{address}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # The log of a new file is made by the first look into it.
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
        """The last of all connections, here or elsewhere, takes the log and its index away."""
        with self._lock:
            self._open -= "opened" in record.info
            if not self._open:
                self._pinned = self._pinned[:1]

    def _begin(self, connection: Connection) -> None:
        self.check(connection)
        options = connection.get_execution_options()
        raw: Any = connection.connection.driver_connection
        patience = options["patience"]
        # Without an end, a schema's change would wait for ever where somebody writes.
        milliseconds = MIGRATION_MILLISECONDS if patience is None else round(patience * 1000)
        raw.execute(f"PRAGMA busy_timeout = {milliseconds}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

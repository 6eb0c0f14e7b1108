"""The databases that the tests run on: SQLite, or PostgreSQL with `--database postgresql`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from service.store.database import Database
from service.store.migration import migrate
from service.store.schema import metadata
from service.store.sqlite import WAL_BYTES

POSTGRES = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/test")


DATABASES = ("sqlite", "postgresql")
#: In memory no commit waits for a disk; tests that need a disk bring a folder of their own.
MEMORY = Path("/dev/shm")  # noqa: S108


def missing_server() -> str:
    """What is missing for tests on PostgreSQL; blank when the server answers."""
    try:
        psycopg.connect(POSTGRES, connect_timeout=3).close()
    except psycopg.OperationalError:
        return f"no PostgreSQL at {POSTGRES} (set TEST_DATABASE_URL)"
    return ""


class Template:
    """A migrated database of each kind, made once; every test gets an empty one."""

    def __init__(self, folder: Path) -> None:
        self._sqlite = folder / "template.db"
        self._postgres: Database | None = None

    @contextmanager
    def empty(self, kind: str) -> Iterator[str]:
        """The URL of an empty database; a SQLite file is deleted at the end."""
        if kind == "postgresql":
            yield self.postgres()
            return
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        with TemporaryDirectory(prefix="clipbell-", dir=memory) as folder:
            yield self.sqlite(Path(folder))

    def sqlite(self, folder: Path) -> str:
        """A fresh SQLite file in `folder`."""
        if not self._sqlite.exists():
            database = Database(f"sqlite:///{self._sqlite}")
            migrate(database)
            # Back into the one file that is copied.
            database.close()
        path = folder / "test.db"
        shutil.copy(self._sqlite, path)
        return f"sqlite:///{path}"

    def postgres(self) -> str:
        """The PostgreSQL database of this run, emptied."""
        if self._postgres is None:
            self._postgres = Database(_create())
            migrate(self._postgres)
        # Of a few rows each, that is several times faster than TRUNCATE; and all at once, than
        # one statement after the other.
        emptied = [str(table.delete()) for table in reversed(metadata.sorted_tables)]
        with self._postgres.write() as tx:
            tx.execution_options(no_parameters=True)
            tx.exec_driver_sql("; ".join(emptied))
        return self._postgres.url

    def drop(self) -> None:
        """Remove what this run made."""
        if self._postgres:
            name = self._postgres.url.rpartition("/")[2]
            self._postgres.close()
            with psycopg.connect(POSTGRES, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _create() -> str:
    name = f"clipbell_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return POSTGRES.rpartition("/")[0] + f"/{name}"


@contextmanager
def template(folder: Path) -> Iterator[Template]:
    """Databases for one test run."""
    made = Template(folder)
    try:
        yield made
    finally:
        with suppress(psycopg.OperationalError):
            made.drop()


def fill_log(path: Path) -> None:
    """Large commits by another process while somebody still reads the state before them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE ballast (x)")
        for _ in range(20):
            writer.execute("INSERT INTO ballast VALUES (?)", (b"x" * (WAL_BYTES // 16),))

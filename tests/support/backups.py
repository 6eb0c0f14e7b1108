"""Backups of both databases, made and restored with their own tools."""

from __future__ import annotations

import glob
import re
import shlex
import shutil
import sqlite3
import subprocess
import tarfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg

from support.databases import POSTGRES
from support.servers import Clipbell

TOOLS = ("pg_dump", "pg_restore")


def missing() -> str:
    """Which of PostgreSQL's tools are not here, in one line; empty when all are."""
    absent = [name for name in TOOLS if not _program(name)]
    fix = "apt-get install postgresql-client"
    return f"no {' and no '.join(absent)} ({fix})" if absent else ""


def _program(name: str) -> str:
    """The newest of that name, which reads every older server."""
    packaged = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return packaged[-1] if packaged else shutil.which(name) or ""


class Keeper(Protocol):
    """Backs a database up, puts the backup in its place, and changes rows past the service."""

    url: str

    def backup(self, clipbell: Clipbell) -> None: ...

    def restore(self, clipbell: Clipbell) -> None: ...

    def execute(self, statement: str) -> None: ...


class SqliteKeeper:
    """`clipbell backup`, unpacked over the file."""

    def __init__(self, folder: Path) -> None:
        self._file, self._archive = folder / "clipbell.db", folder / "backup.tar"
        self.url = f"sqlite:///{self._file}"

    def backup(self, clipbell: Clipbell) -> None:
        """Of a database in use."""
        clipbell.run("backup", str(self._archive))

    def restore(self, clipbell: Clipbell) -> None:
        """In place; what the write-ahead log held is of the other life."""
        for ending in ("-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)
        with tarfile.open(self._archive) as archive:
            archive.extract("clipbell.db", self._file.parent, filter="data")

    def execute(self, statement: str) -> None:
        """One statement, committed."""
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute(statement)
            connection.commit()


class PostgresKeeper:
    """``pg_dump`` and ``pg_restore`` into a fresh database."""

    def __init__(self, folder: Path) -> None:
        self._dump = folder / "backup.dump"
        self._names = [f"clipbell_{uuid.uuid4().hex[:12]}" for _ in range(2)]
        self._admin(f'CREATE DATABASE "{self._names[0]}"')
        self.url = self._url(self._names[0])

    def _url(self, name: str) -> str:
        return POSTGRES.rpartition("/")[0] + f"/{name}"

    def _admin(self, statement: str) -> None:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(statement.encode())

    def backup(self, clipbell: Clipbell) -> None:
        """Of a database in use, by the command that `clipbell backup` says."""
        advice = clipbell.run("backup", str(self._dump), code=1).stderr
        command = re.search(r"run (pg_dump .*), and", advice)
        assert command, advice
        program, *arguments = shlex.split(command[1])
        self._run(program, *arguments)

    def restore(self, clipbell: Clipbell) -> None:
        """Beside the old one; the settings name it from now on."""
        self._admin(f'CREATE DATABASE "{self._names[1]}"')
        self.url = clipbell.environ["CLIPBELL_DATABASE_URL"] = self._url(self._names[1])
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.url}", str(self._dump))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([_program(program), *arguments], check=True, capture_output=True)

    def execute(self, statement: str) -> None:
        """One statement, committed."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def drop(self) -> None:
        """Both databases are gone."""
        for name in self._names:
            self._admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

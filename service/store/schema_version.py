"""
The schemas that a version of Clipbell works with: its own, and newer compatible ones.

So an old and a new version run side by side during an upgrade, and a rollback is possible
afterwards. A migration that removes or renames what older versions use, or requires what they do
not write, calls `breaks_older`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, inspect, select, update

from service.store.schema import schema_support


@dataclass(frozen=True)
class SchemaVersion:
    """
    The revisions of schema and code; a revision is a number that sorts as text: ``0018``.

    `at` is the database's (None: it is empty), `head` this version's, and `oldest` that of
    the oldest version that works with the database (None: only its own).
    """

    at: str | None
    head: str
    oldest: str | None = None

    @property
    def is_newer(self) -> bool:
        """Whether a newer version has migrated the database."""
        return self.at is not None and self.at > self.head

    @property
    def trouble(self) -> str:
        """The reason why this version cannot work with it, with the fix; blank if it can."""
        if self.at == self.head or (self.is_newer and self.head >= (self.oldest or "~")):
            return ""
        if self.is_newer:
            fix = "start the newer version, or restore a backup from before"
            return f"a newer version brought the database to {self.at}, past {self.head}: {fix}"
        where = f"at {self.at}" if self.at else "empty"
        return f"the database is {where}, needs {self.head}: run `clipbell migrate`"


def read_version(connection: Connection, head: str) -> SchemaVersion:
    """Read the version of the database; `head` is this version's own."""
    at = None
    if inspect(connection).has_table("alembic_version"):
        at = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    version = SchemaVersion(at, head)
    if not version.is_newer:
        return version
    return SchemaVersion(at, head, connection.scalar(select(schema_support.c.oldest)))


def breaks_older(connection: Connection, revision: str) -> None:
    """Called by a migration: older versions do not work with this schema."""
    connection.execute(update(schema_support).values(oldest=revision))

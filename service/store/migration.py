"""The migration of the schema to the newest version, by Alembic."""

from __future__ import annotations

from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import Connection

from service.errors import SchemaError
from service.store.database import MIGRATIONS, Database, head_revision
from service.store.schema_version import read_version


def migrate(database: Database) -> None:
    """
    Migrate the schema to the newest version; a usable newer one is left alone.

    Raises:
        SchemaError: the database does not answer, or this version is too old for it.
    """
    config = alembic_config()

    def change(connection: Connection) -> bool:
        config.attributes["connection"] = connection
        version = read_version(connection, head_revision())
        if version.is_newer and version.trouble:
            raise SchemaError(version.trouble)
        if not version.is_newer:
            upgrade(config, "head")
        return not version.is_newer

    database.change_schema(change)


def alembic_config() -> Config:
    """Alembic's view of our migrations."""
    config = Config()
    # A percent sign would begin a reference to another option.
    folder = str(MIGRATIONS).replace("%", "%%")
    config.set_main_option("script_location", folder)
    return config

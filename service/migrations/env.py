"""Alembic's entry: runs on the connection that `db.Database.migrate` hands in."""

from __future__ import annotations

from alembic import context

from service.store.schema import metadata

connection = context.config.attributes["connection"]
for table in metadata.tables.values():
    for index in table.indexes:
        index.dialect_options[connection.dialect.name]["where"] = index.info.get("where")
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()

"""All columns with encrypted values, in all tables."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Table, select, update

from service.store.schema import accounts, subscriptions

#: Every column with encrypted values.
ENCRYPTED_COLUMNS: tuple[tuple[Table, str], ...] = (
    (accounts, "webhook_secret"),
    (subscriptions, "target"),
    (subscriptions, "secret"),
    (subscriptions, "previous_secret"),
    (subscriptions, "headers"),
)


def replace(tx: Connection, reencrypt: Callable[[str], str | None]) -> int:
    """
    Replace each encrypted value by the result of `reencrypt`, unless that is None.

    Returns:
        The number of replaced values.
    """
    count = 0
    for table, name in ENCRYPTED_COLUMNS:
        column = table.c[name]
        rows = tx.execute(select(table.c.id, column).where(column.is_not(None))).all()
        changes = [(id_, old, new) for id_, old in rows if (new := reencrypt(old)) is not None]
        for row_id, old, new in changes:
            # Compare-and-set: another process may have stored a newer value.
            unchanged = update(table).where(table.c.id == row_id, column == old)
            count += tx.execute(unchanged.values({name: new})).rowcount
    return count

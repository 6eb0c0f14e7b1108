"""Everything that is stored sealed, in whichever table."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Table, select, update

from service.store.schema import accounts, subscriptions

#: Every column that holds a seal.
ENCRYPTED_COLUMNS: tuple[tuple[Table, str], ...] = (
    (accounts, "webhook_secret"),
    (subscriptions, "target"),
    (subscriptions, "secret"),
    (subscriptions, "previous_secret"),
)


def replace(tx: Connection, reencrypt: Callable[[str], str | None]) -> int:
    """Put in the place of each seal what `reencrypt` makes of it, unless that is None; how many."""
    return sum(_replace(tx, table, name, reencrypt) for table, name in ENCRYPTED_COLUMNS)


def _replace(
    tx: Connection, table: Table, name: str, reencrypt: Callable[[str], str | None]
) -> int:
    column, count = table.c[name], 0
    for row_id, old in tx.execute(select(table.c.id, column).where(column.is_not(None))).all():
        if (new := reencrypt(old)) is not None:
            # Compare-and-set: another process may have sealed something newer meanwhile.
            still = update(table).where(table.c.id == row_id, column == old)
            count += tx.execute(still.values({name: new})).rowcount
    return count

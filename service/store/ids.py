"""The completion of ids from their beginnings, as people type them."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from service.store.schema import api_keys, callbacks, deliveries, jobs, subscriptions

_OWNED = {"job": jobs, "dlv": deliveries, "sub": subscriptions, "key": api_keys}


def matching(tx: Connection, account_id: str, beginning: str, limit: int = 2) -> list[str]:
    """An account's ids with this beginning, at most `limit`; none for an unknown kind."""
    kind = beginning.partition("_")[0]
    statement: Select[tuple[str]]
    if kind == "cbk":
        own = callbacks.c.job_id == jobs.c.id
        statement = select(callbacks.c.id).join(jobs, own).where(jobs.c.account_id == account_id)
        key = callbacks.c.id
    elif kind in _OWNED:
        table = _OWNED[kind]
        statement = select(table.c.id).where(table.c.account_id == account_id)
        key = table.c.id
    else:
        return []
    # A range, not a pattern: it uses the index, and no character is special.
    begins = (key >= beginning) & (key < beginning + "g")
    return list(tx.scalars(statement.where(begins).order_by(key.desc()).limit(limit)))

"""Idempotency keys with their stored answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from service.store.schema import idempotency_keys as keys


def reserve(tx: Connection, account_id: str, key: str, fingerprint: str, now: datetime) -> bool:
    """Reserve the key for a request with that fingerprint; False if it is taken."""
    try:
        with tx.begin_nested():
            row = {"account_id": account_id, "key": key, "fingerprint": fingerprint}
            tx.execute(keys.insert().values(created_at=now, **row))
    except IntegrityError:
        return False
    return True


def find(tx: Connection, account_id: str, key: str) -> Row[Any] | None:
    """The key's row: fingerprint, and status, headers and body once it is answered."""
    return tx.execute(select(keys).filter_by(account_id=account_id, key=key)).one_or_none()


def answer(
    tx: Connection, account_id: str, key: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Store the answer for replays."""
    statement = update(keys).filter_by(account_id=account_id, key=key)
    tx.execute(statement.values(status=status, headers=headers, body=body))


def release(tx: Connection, account_id: str, key: str) -> None:
    """Free the key, as the request created nothing."""
    tx.execute(delete(keys).filter_by(account_id=account_id, key=key))


def prune(tx: Connection, before: datetime) -> int:
    """Delete the keys that are older; returns their number."""
    return tx.execute(delete(keys).where(keys.c.created_at < before)).rowcount

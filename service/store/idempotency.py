"""The same request twice: idempotency keys with their answers, and creates that are repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from service.store.schema import idempotency_keys as keys
from service.store.schema import repeatable_creates as creates

#: A client that repeats a create by itself does so within this time.
REPEAT_WINDOW = timedelta(minutes=10)
#: A first try that its own repeat has overtaken comes within this time.
OVERTAKEN_WINDOW = timedelta(minutes=1)


@dataclass(frozen=True)
class Create:
    """A create of a client that counts its tries: `retries` is 0 on the first."""

    api_key_id: str
    fingerprint: str
    retries: int


def reserve(tx: Connection, account_id: str, key: str, fingerprint: str, now: datetime) -> bool:
    """Take the key for a request with that fingerprint; False when it is taken."""
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
    """Keep the answer for replays."""
    statement = update(keys).filter_by(account_id=account_id, key=key)
    tx.execute(statement.values(status=status, headers=headers, body=body))


def release(tx: Connection, account_id: str, key: str) -> None:
    """The request made nothing: the key is free again."""
    tx.execute(delete(keys).filter_by(account_id=account_id, key=key))


def prune(tx: Connection, before: datetime) -> int:
    """Forget the keys that are older; how many they were."""
    return tx.execute(delete(keys).where(keys.c.created_at < before)).rowcount


def earlier_try(tx: Connection, create: Create, now: datetime) -> str | None:
    """
    The job that an earlier try of this create has made, or None where there was none.

    The caller holds the account's lock. Several creates may say the same: a repeat
    belongs to the oldest of them that has not been repeated so often, and a first try
    to one whose repeat was faster, if that was a moment ago.
    """
    same = select(creates.c.job_id).filter_by(
        api_key_id=create.api_key_id, fingerprint=create.fingerprint
    )
    if create.retries:
        free = creates.c.retries < create.retries
        same = same.where(creates.c.created_at >= now - REPEAT_WINDOW)
        # Where none is free, the newest.
        number = creates.c.number
        same = same.order_by(case((free, 0), else_=1), case((free, number), else_=-number))
        seen: dict[str, Any] = {"retries": create.retries}
    else:
        same = same.filter_by(first_try_seen=False).order_by(creates.c.number)
        same = same.where(creates.c.created_at >= now - OVERTAKEN_WINDOW)
        seen = {"first_try_seen": True}
    job_id: str | None = tx.scalar(same.limit(1))
    if job_id is not None:
        tx.execute(update(creates).filter_by(job_id=job_id).values(**seen))
    return job_id


def remember_create(tx: Connection, create: Create, job_id: str, now: datetime) -> None:
    """Later tries of this create get that job. Raises IntegrityError where one was faster."""
    same = {"api_key_id": create.api_key_id, "fingerprint": create.fingerprint}
    last = tx.scalar(select(func.max(creates.c.number)).filter_by(**same)) or 0
    row = same | {"job_id": job_id, "number": last + 1, "created_at": now}
    seen = {"retries": create.retries, "first_try_seen": create.retries == 0}
    tx.execute(creates.insert().values(**row, **seen))


def prune_creates(tx: Connection, now: datetime) -> int:
    """Forget the creates that nobody repeats any more; how many they were."""
    return tx.execute(delete(creates).where(creates.c.created_at < now - REPEAT_WINDOW)).rowcount

"""Deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from service.model import Attempt, Delivery, DeliveryState
from service.schema import attempts, deliveries, subscriptions
from service.store.work import add, claim, next_in_turn, settle, value, values


def insert(tx: Connection, delivery: Delivery) -> None:
    """A new delivery."""
    add(tx, deliveries, delivery)


def claim_pending(tx: Connection, now: datetime, lease: float) -> Delivery | None:
    """The next delivery that is due, of a subscription that is not held."""
    held = select(subscriptions.c.id).where(subscriptions.c.held_until > now)
    ready = deliveries.c.subscription_id.not_in(held)
    account_id = next_in_turn(tx, deliveries, [DeliveryState.PENDING], now, ready)
    if account_id is None:
        return None
    own = ready & (deliveries.c.account_id == account_id)
    return claim(tx, deliveries, Delivery, [DeliveryState.PENDING], now, lease, own)


def settle_claimed(tx: Connection, delivery: Delivery, **changes: Any) -> bool:
    """Write what became of a claimed delivery."""
    return settle(tx, deliveries, delivery, **changes)


def hurry(tx: Connection, job_id: str, now: datetime) -> None:
    """What waited for the copy need not wait longer."""
    waiting = update(deliveries).filter_by(job_id=job_id, state=DeliveryState.PENDING, attempts=0)
    tx.execute(
        waiting.where(deliveries.c.due_at > now, deliveries.c.claims == 0).values(due_at=now)
    )


def end_pending(tx: Connection, now: datetime, **which: str) -> int:
    """End the pending deliveries of a job or a subscription; how many they were."""
    statement = update(deliveries).filter_by(state=DeliveryState.PENDING, **which)
    ended = statement.values(state=DeliveryState.EXHAUSTED, due_at=None, finished_at=now)
    return tx.execute(ended).rowcount


def owned(tx: Connection, account_id: str, delivery_id: str) -> Delivery | None:
    """The delivery of that id if it is this account's."""
    statement = select(deliveries).filter_by(id=delivery_id, account_id=account_id)
    return value(Delivery, tx.execute(statement).one_or_none())


def page(
    tx: Connection,
    account_id: str,
    limit: int,
    *,
    before: str | None = None,
    **which: str | None,
) -> list[Delivery]:
    """An account's deliveries, newest first, by columns in `which` that are not None."""
    statement = select(deliveries).filter_by(account_id=account_id)
    statement = statement.filter_by(**{key: v for key, v in which.items() if v is not None})
    if before is not None:
        statement = statement.where(deliveries.c.id < before)
    rows = tx.execute(statement.order_by(deliveries.c.id.desc()).limit(limit)).all()
    return values(Delivery, rows)


def of_job(tx: Connection, job_id: str) -> list[Delivery]:
    """A job's deliveries in order."""
    statement = select(deliveries).filter_by(job_id=job_id).order_by(deliveries.c.id)
    return values(Delivery, tx.execute(statement).all())


def add_attempt(tx: Connection, attempt: Attempt) -> None:
    """One try, as it went."""
    add(tx, attempts, attempt)


def end_attempt(tx: Connection, delivery_id: str, number: int, **changes: Any) -> None:
    """Write how an attempt went."""
    statement = update(attempts).filter_by(delivery_id=delivery_id, number=number)
    tx.execute(statement.values(**changes))


def all_attempts(tx: Connection, delivery_ids: Sequence[str]) -> list[Attempt]:
    """The attempts at those deliveries in order."""
    statement = select(attempts).where(attempts.c.delivery_id.in_(delivery_ids))
    rows = tx.execute(statement.order_by(attempts.c.delivery_id, attempts.c.number)).all()
    return values(Attempt, rows)

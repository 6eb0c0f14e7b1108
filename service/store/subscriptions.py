"""Subscriptions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from service.model import Subscription
from service.store.schema import subscriptions
from service.store.statements import row_where, rows_where, update_where
from service.store.work import add, value, values

#: The columns of an enabled subscription without any failure.
ENABLED: dict[str, Any] = {
    "enabled": True,
    "disabled_reason": None,
    "held_until": None,
    "slow_until": None,
    "failing_since": None,
    "exhausted": 0,
}


def insert(tx: Connection, subscription: Subscription) -> None:
    """Insert a new subscription."""
    add(tx, subscriptions, subscription)


def find(tx: Connection, subscription_id: str) -> Subscription | None:
    """The subscription with this id, or None."""
    return value(Subscription, row_where(tx, subscriptions, id=subscription_id))


def of_ids(tx: Connection, subscription_ids: Collection[str]) -> dict[str, Subscription]:
    """The subscriptions with these ids, by id."""
    rows = tx.execute(select(subscriptions).where(subscriptions.c.id.in_(subscription_ids))).all()
    return {one.id: one for one in values(Subscription, rows)}


def failing(tx: Connection, account_id: str) -> list[Subscription]:
    """An account's failing subscriptions, hidden ones too, the longest failing first."""
    since = subscriptions.c.failing_since
    statement = select(subscriptions).filter_by(account_id=account_id, enabled=True)
    rows = tx.execute(statement.where(since.is_not(None)).order_by(since)).all()
    return values(Subscription, rows)


def lock(tx: Connection, subscription_id: str) -> Subscription | None:
    """The subscription with this id, locked until this transaction ends; None if there is none."""
    return value(Subscription, row_where(tx, subscriptions, lock=True, id=subscription_id))


def owned(tx: Connection, account_id: str, subscription_id: str) -> Subscription | None:
    """The subscription with this id if it belongs to this account and is not hidden, else None."""
    statement = select(subscriptions).filter_by(
        id=subscription_id, account_id=account_id, hidden=False
    )
    return value(Subscription, tx.execute(statement).one_or_none())


def same(
    tx: Connection, account_id: str, channel: str, target_digest: str, **others: bool
) -> list[Subscription]:
    """An account's subscriptions with this channel, target and further columns, oldest first."""
    statement = select(subscriptions).filter_by(
        account_id=account_id, channel=channel, target_digest=target_digest, **others
    )
    return values(Subscription, tx.execute(statement.order_by(subscriptions.c.id)).all())


def all_of(tx: Connection, account_id: str) -> list[Subscription]:
    """An account's own subscriptions, oldest first."""
    found = rows_where(tx, subscriptions, account_id=account_id, hidden=False)
    return sorted(values(Subscription, found), key=lambda subscription: subscription.id)


def change(tx: Connection, subscription_id: str, **changes: Any) -> None:
    """Update these columns, if any."""
    if changes:
        update_where(tx, subscriptions, {"id": subscription_id}, **changes)


def enable(tx: Connection, subscription_id: str) -> None:
    """Enable it and clear its failures; the note that its owner was notified stays."""
    change(tx, subscription_id, **ENABLED)


def enable_unless(tx: Connection, subscription_id: str, reason: str) -> None:
    """Enable it, unless it was disabled for this reason, even a moment ago."""
    said = func.coalesce(subscriptions.c.disabled_reason, "")
    other = (subscriptions.c.id == subscription_id) & (said != reason)
    tx.execute(update(subscriptions).where(other).values(ENABLED))


def hold(tx: Connection, subscription_id: str, until: datetime) -> None:
    """Hold it until `until`; a longer hold stays."""
    held_until = subscriptions.c.held_until
    shorter = (subscriptions.c.id == subscription_id) & (
        held_until.is_(None) | (held_until < until)
    )
    tx.execute(update(subscriptions).where(shorter).values(held_until=until))

"""
The choice of the next delivery: accounts in turn, limits per subscription, a slow lane.

The rows decide everything, so it holds across all workers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    String,
    bindparam,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from service.model import Delivery, DeliveryState
from service.slots import ANYWHERE, Slot
from service.store.quarantine import UNREADABLE, quarantine_unreadable
from service.store.schema import Moment, accounts, channels, deliveries, subscriptions
from service.store.work import NOT_FULL, give_slot, mark_served, value

#: The most simultaneous deliveries of one subscription.
IN_FLIGHT = 4
#: This many of an account's oldest deliveries are checked before its subscriptions are.
WINDOW = 20
#: The number of retries of a claim that finds its subscription busy once it has the lock.
LOOKS = 3

Account = SQLColumnExpression[str]

_NOW = bindparam("now", type_=Moment())
_UNTIL = bindparam("until", type_=Moment())
_ACCOUNT = bindparam("account", type_=String())


def claim_pending(
    tx: Connection,
    now: datetime,
    lease: float,
    *,
    slow: bool = False,
    slot: Slot = ANYWHERE,
) -> Delivery | None:
    """
    Claim the next due delivery of one of the two lanes for `lease` seconds; None if there is none.

    The account that was served longest ago comes first and gets the slot. Excluded are
    accounts with too many slots, subscriptions that are held or have `IN_FLIGHT` attempts,
    and channels that are paused.
    """
    given: dict[str, Any] = {"now": now, "until": now + timedelta(seconds=lease)}
    given["account"], others_wait = give_slot(tx, _next_accounts(slow), slot, given)
    if given["account"] is None:
        return None
    delivery_id = _locked_next(tx, given, slow)
    if others_wait:
        # After its subscription: the settlement of an attempt locks the two in this order.
        mark_served(tx, given["account"])
    if delivery_id is None:
        return None
    try:
        claimed = tx.execute(_claim(), {**given, "delivery": delivery_id})
        return value(Delivery, claimed.one_or_none())
    except UNREADABLE:
        quarantine_unreadable(tx, deliveries, [delivery_id], {}, now)
        return None


def _locked_next(tx: Connection, given: dict[str, Any], slow: bool) -> str | None:
    """
    The id of the account's next delivery; locks its subscription until this claim commits.

    Only with the lock is the number of its attempts exact. Claims for other subscriptions do
    not wait. A claim that has locked one subscription never waits for a second: two such
    claims could deadlock.
    """
    for look in range(LOOKS):
        chosen = tx.scalar(_subscription_of_next(slow), given)
        if chosen is None:
            return None
        given["subscription"] = chosen
        if tx.scalar(_LOCK_IF_FREE if look else _LOCK, given) is None:
            return None
        delivery_id: str | None = tx.scalar(_delivery_of_subscription(slow), given)
        if delivery_id is not None:
            return delivery_id
    return None


# Statements are built once: building one takes longer than running it.
_SUBSCRIPTION = bindparam("subscription", type_=String())
_OWN = select(subscriptions.c.id).where(subscriptions.c.id == _SUBSCRIPTION)
_LOCK = _OWN.with_for_update(key_share=True)
_LOCK_IF_FREE = _OWN.with_for_update(key_share=True, skip_locked=True)


@cache
def _subscription_of_next(slow: bool) -> Select[Any]:
    next_id = select(_next_delivery(_ACCOUNT, slow)).scalar_subquery()
    return select(deliveries.c.subscription_id).where(deliveries.c.id == next_id)


@cache
def _delivery_of_subscription(slow: bool) -> Select[Any]:
    own = deliveries.c.subscription_id == _SUBSCRIPTION
    statement = select(deliveries.c.id).where(own, *_due()).order_by(deliveries.c.due_at)
    return statement.where(_SUBSCRIPTION.not_in(_blocked(slow=slow))).limit(1)


@cache
def _claim() -> ReturningUpdate[Any]:
    return (
        update(deliveries)
        .where(deliveries.c.id == bindparam("delivery", type_=String()), *_due())
        .values(due_at=_UNTIL, leased_until=_UNTIL, claims=deliveries.c.claims + 1)
        .returning(*deliveries.c)
    )


@cache
def _next_accounts(slow: bool) -> Select[Any]:
    own: Column[str] = accounts.c.id
    oldest = _oldest(own, 1).with_only_columns(deliveries.c.id).correlate(accounts)
    has_due = oldest.scalar_subquery().is_not(None)
    statement = select(own).where(NOT_FULL, has_due, _next_delivery(own, slow).is_not(None))
    if slow:
        concerned = select(subscriptions.c.account_id).where(subscriptions.c.slow_until > _NOW)
        statement = statement.where(own.in_(concerned))
    return statement.order_by(accounts.c.last_served, own).limit(2)


def _next_delivery(account: Account, slow: bool) -> SQLColumnExpression[str]:
    """An expression for the id of an account's next delivery; both searches stop at a match."""
    if slow:
        return _by_subscription(account, slow)
    # The usual case: one of the few oldest deliveries.
    oldest = _oldest(account, WINDOW).correlate(accounts).subquery()
    free = oldest.c.subscription_id.not_in(_blocked(slow=False))
    statement = select(oldest.c.id).where(free, oldest.c.channel.not_in(_paused()))
    first = statement.order_by(oldest.c.due_at).limit(1).correlate(accounts).scalar_subquery()
    return func.coalesce(first, _by_subscription(account, slow))


def _due() -> tuple[Any, ...]:
    return deliveries.c.state == DeliveryState.PENDING, deliveries.c.due_at <= _NOW


def _oldest(account: Account, limit: int) -> Select[Any]:
    statement = select(deliveries).where(deliveries.c.account_id == account, *_due())
    return statement.order_by(deliveries.c.due_at).limit(limit)


def _by_subscription(account: Account, slow: bool) -> ScalarSelect[str]:
    """The oldest delivery of a free subscription, however many rows of others come before it."""
    first = (
        select(deliveries.c.id)
        .where(deliveries.c.subscription_id == subscriptions.c.id, *_due())
        .order_by(deliveries.c.due_at)
        .limit(1)
        .correlate(subscriptions)
        .scalar_subquery()
    )
    statement = select(first).where(
        subscriptions.c.account_id == account,
        subscriptions.c.id.not_in(_blocked(slow=slow)),
        subscriptions.c.channel.not_in(_paused()),
        first.is_not(None),
    )
    if slow:
        statement = statement.where(subscriptions.c.slow_until > _NOW)
    return statement.limit(1).correlate(accounts).scalar_subquery()


def _blocked(*, slow: bool) -> Any:
    """The subscriptions that get nothing now: held, busy, and in the fast lane slow ones."""
    held = select(subscriptions.c.id).where(subscriptions.c.held_until > _NOW)
    busy = (
        select(deliveries.c.subscription_id)
        .where(deliveries.c.leased_until > _NOW)
        .group_by(deliveries.c.subscription_id)
        .having(func.count() >= IN_FLIGHT)
    )
    lagging = select(subscriptions.c.id).where(subscriptions.c.slow_until > _NOW)
    return union_all(held, busy) if slow else union_all(held, busy, lagging)


def _paused() -> Select[tuple[str]]:
    return select(channels.c.name).where(channels.c.paused_until > _NOW)

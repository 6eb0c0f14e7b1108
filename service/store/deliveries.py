"""Deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select, update

from service.model import Attempt, Delivery, DeliveryState, Exchange, first_id
from service.store.schema import DELIVERED, attempts, deliveries, events, exchanges
from service.store.statements import insert_row, row_where, update_where
from service.store.work import (
    NOW,
    Page,
    add,
    call_for,
    count_each,
    newest_page,
    settle,
    value,
    values,
)

_MAKE_DUE = (
    update(deliveries)
    .where(
        deliveries.c.job_id == bindparam("of_job"),
        deliveries.c.state == DeliveryState.PENDING,
        deliveries.c.attempts == 0,
        deliveries.c.claims == 0,
        deliveries.c.due_at > NOW,
    )
    .values(due_at=NOW)
)


def insert(tx: Connection, delivery: Delivery) -> None:
    """Insert a new delivery."""
    add(tx, deliveries, delivery)
    if delivery.due_at is not None and delivery.due_at <= delivery.created_at:
        call_for(tx, "deliver")


def update_claimed(tx: Connection, delivery: Delivery, **changes: Any) -> bool:
    """Update columns of a claimed delivery; False if somebody else has claimed it since."""
    return settle(tx, deliveries, delivery, **changes)


def settle_claimed(tx: Connection, delivery: Delivery, **changes: Any) -> bool:
    """Store the result of a claimed delivery, ending its lease; False if it was claimed since."""
    return settle(tx, deliveries, delivery, leased_until=None, **changes)


def postpone(tx: Connection, delivery: Delivery, until: datetime | None, **changes: Any) -> None:
    """Make a claimed delivery due at `until`, unless somebody has ended it during the attempt."""
    settle_claimed(tx, delivery, **changes)
    still = {"id": delivery.id, "claims": delivery.claims, "state": DeliveryState.PENDING}
    update_where(tx, deliveries, still, due_at=until)


def make_due_now(tx: Connection, job_id: str, now: datetime) -> None:
    """Make a job's deliveries due that waited for the copy of its video."""
    call_for(tx, "deliver", tx.execute(_MAKE_DUE, {"of_job": job_id, "now": now}).rowcount)


def end_pending(tx: Connection, now: datetime, **which: str) -> int:
    """
    End the pending deliveries of a job or a subscription; returns their number.

    A delivery that waited for a resend, and was delivered before, becomes delivered.
    """
    statement = update(deliveries).filter_by(state=DeliveryState.PENDING, **which)
    delivered = deliveries.c.resending == DeliveryState.DELIVERED
    state = case((delivered, DeliveryState.DELIVERED), else_=DeliveryState.EXHAUSTED)
    ended = statement.values(state=state, due_at=None, finished_at=now, resending=None)
    return tx.execute(ended).rowcount


def owned(tx: Connection, account_id: str, delivery_id: str) -> Delivery | None:
    """The delivery with this id if it belongs to this account, else None."""
    statement = select(deliveries).filter_by(id=delivery_id, account_id=account_id)
    return value(Delivery, tx.execute(statement).one_or_none())


def lock(tx: Connection, delivery_id: str) -> Delivery | None:
    """The delivery with this id, locked until this transaction ends; None if there is none."""
    return value(Delivery, row_where(tx, deliveries, lock=True, id=delivery_id))


def page(
    tx: Connection,
    account_id: str,
    limit: int,
    *,
    before: str | None = None,
    **which: Any,
) -> Page[Delivery]:
    """An account's deliveries, newest first; `which` as `counts` takes it, and columns."""
    statement = select(deliveries).where(*_which(account_id, **which))
    return newest_page(tx, statement, Delivery, limit, before)


def counts(tx: Connection, account_id: str, **which: Any) -> dict[str, int]:
    """
    The number of an account's deliveries, by state; ``failing`` ones are pending too.

    See `store.work.count_each`.

    Args:
        which: `since`, a moment; `type`, of the event; `failing`; columns that are not None.
    """
    matching = select(deliveries.c.id).where(*_which(account_id, **which))
    of_state = {str(state): matching.where(deliveries.c.state == state) for state in DeliveryState}
    failing = select(deliveries.c.id).where(*_which(account_id, **which | {"failing": True}))
    return count_each(tx, of_state | {"failing": failing})


def _which(
    account_id: str,
    *,
    since: datetime | None = None,
    type: str | None = None,
    failing: bool | None = None,
    **columns: str | None,
) -> list[ColumnElement[bool]]:
    found = [deliveries.c.account_id == account_id]
    found += [deliveries.c[name] == v for name, v in columns.items() if v is not None]
    if since is not None:
        found.append(deliveries.c.id >= first_id("dlv", since))
    if type is not None:
        of_type = (events.c.id == deliveries.c.event_id) & (events.c.type == type)
        found.append(select(events.c.id).where(of_type).exists())
    if failing:
        found += [deliveries.c.state == DeliveryState.PENDING, deliveries.c.attempts > 0]
    return found


def of_events(
    tx: Connection, subscription_id: str, event_ids: Sequence[str]
) -> dict[str, Delivery]:
    """A subscription's deliveries of these events, by event id."""
    statement = select(deliveries).where(
        deliveries.c.subscription_id == subscription_id, deliveries.c.event_id.in_(event_ids)
    )
    return {found.event_id: found for found in values(Delivery, tx.execute(statement).all())}


def last_delivered(tx: Connection, subscription_id: str) -> datetime | None:
    """The time of a subscription's last success; None if there was none."""
    own = deliveries.c.subscription_id == subscription_id
    statement = select(func.max(deliveries.c.finished_at)).where(own, DELIVERED)
    found: datetime | None = tx.scalar(statement)
    return found


def resent_since(tx: Connection, account_id: str, since: datetime) -> int:
    """The number of an account's resends since a time."""
    recent = (deliveries.c.account_id == account_id) & (deliveries.c.resent_at > since)
    return tx.scalar(select(func.count()).select_from(deliveries).where(recent)) or 0


def of_job(tx: Connection, job_id: str) -> list[Delivery]:
    """A job's deliveries, oldest first."""
    statement = select(deliveries).filter_by(job_id=job_id).order_by(deliveries.c.id)
    return values(Delivery, tx.execute(statement).all())


def add_attempt(tx: Connection, attempt: Attempt) -> None:
    """Insert an attempt."""
    add(tx, attempts, attempt)


def end_attempt(tx: Connection, delivery_id: str, number: int, **changes: Any) -> None:
    """Store the result of an attempt."""
    update_where(tx, attempts, {"delivery_id": delivery_id, "number": number}, **changes)


def all_attempts(tx: Connection, delivery_ids: Sequence[str]) -> list[Attempt]:
    """The attempts at these deliveries, in order."""
    statement = select(attempts).where(attempts.c.delivery_id.in_(delivery_ids))
    rows = tx.execute(statement.order_by(attempts.c.delivery_id, attempts.c.number)).all()
    return values(Attempt, rows)


def add_exchange(tx: Connection, delivery_id: str, number: int, exchange: Exchange) -> None:
    """Insert the request and the answer of an attempt."""
    row = {"delivery_id": delivery_id, "number": number} | vars(exchange)
    insert_row(tx, exchanges, row)


def all_exchanges(tx: Connection, delivery_ids: Sequence[str]) -> dict[tuple[str, int], Exchange]:
    """The requests and answers of attempts, by delivery id and number of the attempt."""
    rows = tx.execute(select(exchanges).where(exchanges.c.delivery_id.in_(delivery_ids)))
    found = {}
    for row in rows.mappings():
        fields = dict(row)
        key = (fields.pop("delivery_id"), fields.pop("number"))
        found[key] = Exchange(**fields)
    return found

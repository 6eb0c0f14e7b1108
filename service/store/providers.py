"""
Providers: their holds, and a bucket of request tokens for each.

All processes share the rows, so that together they stay below the limit of
the vendor.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from service.store.schema import providers
from service.store.statements import update_where

#: A tenth of a minute's allowance may be used at once; the rest refills evenly,
#: so that no minute, wherever it starts, holds more than the allowance.
BURST_SHARE = 0.1

#: As text that both databases read: each dialect's `insert` would load its dialect.
_ENSURE = text(
    "INSERT INTO providers (name, tokens, refilled_at) VALUES (:name, 1e9, :refilled_at)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("refilled_at", type_=providers.c.refilled_at.type))
_OWN = providers.c.name == bindparam("of_name")
_LOCK = select(providers).where(_OWN).with_for_update()
_TROUBLED = update(providers).where(_OWN, providers.c.last_error.is_not(None))


def ensure(tx: Connection, name: str, now: datetime) -> None:
    """Create the provider's row if it is missing, also if others do so at the same moment."""
    tx.execute(_ENSURE, {"name": name, "refilled_at": now})


def lock(tx: Connection, name: str) -> Row[Any]:
    """
    The provider's row, locked until this transaction ends.

    Counts made after it stay right: no other process changes them before this one commits.
    """
    return tx.execute(_LOCK, {"of_name": name}).one()


def take_token(tx: Connection, row: Row[Any], per_minute: float, now: datetime) -> float:
    """
    Take one request token: 0.0, or the seconds after which to try again.

    `row` is the provider's, see `lock`.
    """
    burst = max(1.0, per_minute * BURST_SHARE)
    rate = max(per_minute - burst, per_minute / 2) / 60
    elapsed = max(0.0, (now - row.refilled_at).total_seconds())
    tokens = min(burst, row.tokens + elapsed * rate)
    if tokens < 1:
        return float(1 - tokens) / rate
    refilled = max(now, row.refilled_at)
    update_where(tx, providers, {"name": row.name}, tokens=tokens - 1, refilled_at=refilled)
    return 0.0


def pause(tx: Connection, name: str, until: datetime) -> None:
    """Send the provider no new job before `until`; a longer pause stays."""
    before = providers.c.paused_until
    shorter = update(providers).where(before.is_(None) | (before < until))
    tx.execute(shorter.filter_by(name=name).values(paused_until=until))


def hold(tx: Connection, name: str, reason: str) -> bool:
    """Hold the provider; False if it was held already."""
    statement = update(providers).where(providers.c.name == name, providers.c.held_reason.is_(None))
    return tx.execute(statement.values(held_reason=reason)).rowcount == 1


def resume(tx: Connection, name: str) -> None:
    """End the hold of the provider."""
    tx.execute(update(providers).filter_by(name=name).values(held_reason=None, paused_until=None))


def held(tx: Connection, name: str) -> str | None:
    """The reason why the provider is held; None if it is not."""
    reason: str | None = tx.scalar(select(providers.c.held_reason).filter_by(name=name))
    return reason


def credits_left(tx: Connection, name: str) -> float | None:
    """Dollars left in the vendor's account, as it last reported; None if it reports none."""
    left: float | None = tx.scalar(select(providers.c.credits_left).filter_by(name=name))
    return left


def set_credits_left(tx: Connection, name: str, dollars: float) -> None:
    """Store the dollars that the vendor reports as left."""
    tx.execute(update(providers).filter_by(name=name).values(credits_left=dollars))


def all_held(tx: Connection) -> frozenset[str]:
    """The names of all held providers."""
    stopped = select(providers.c.name).where(providers.c.held_reason.is_not(None))
    return frozenset(tx.scalars(stopped))


def count_failover(tx: Connection, name: str) -> None:
    """Count a job that another vendor got after a certain refusal of this one."""
    own = update(providers).where(providers.c.name == name)
    tx.execute(own.values(failovers=providers.c.failovers + 1))


def paused_for(tx: Connection, name: str, now: datetime) -> timedelta:
    """The rest of the provider's pause; zero if it is not paused."""
    until = tx.scalar(select(providers.c.paused_until).filter_by(name=name))
    return max(timedelta(0), until - now) if until else timedelta(0)


def record_error(tx: Connection, name: str, trouble: str, now: datetime) -> bool:
    """Store the provider's error; True for the first one since its last answer."""
    own = update(providers).filter_by(name=name)
    began = own.where(providers.c.last_error_since.is_(None)).values(last_error_since=now)
    first = tx.execute(began).rowcount == 1
    tx.execute(own.values(last_error=trouble))
    return first


def failing_for(tx: Connection, name: str, now: datetime) -> timedelta:
    """The time since the provider's first error; zero if it answers."""
    since = tx.scalar(select(providers.c.last_error_since).filter_by(name=name))
    return now - since if since else timedelta(0)


def clear_error(tx: Connection, name: str) -> bool:
    """Clear the provider's error, as it answers; returns whether there was one."""
    well = {"last_error": None, "last_error_since": None}
    return tx.execute(_TROUBLED, {"of_name": name, **well}).rowcount == 1


def release_reason(tx: Connection, prefix: str) -> None:
    """End all holds whose reason begins with `prefix`."""
    reason = providers.c.held_reason.startswith(prefix, autoescape=True)
    tx.execute(update(providers).where(reason).values(held_reason=None))


def all_rows(tx: Connection) -> list[Row[Any]]:
    """Every provider's row, by name."""
    return list(tx.execute(select(providers).order_by(providers.c.name)).all())

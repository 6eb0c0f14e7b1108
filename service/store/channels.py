"""Channels that are paused as a whole, because the fault is ours."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from service.model import ChannelPause
from service.store.schema import channels
from service.store.work import add, values


def pause(tx: Connection, name: str, until: datetime, reason: str) -> None:
    """Pause this channel until `until`; a longer pause stays."""
    here = channels.c.name == name
    longer = {"paused_until": until, "reason": reason}
    try:
        with tx.begin_nested():
            add(tx, channels, ChannelPause(name, until, reason))
    except IntegrityError:
        tx.execute(update(channels).where(here, channels.c.paused_until < until).values(longer))


def paused(tx: Connection, now: datetime) -> list[ChannelPause]:
    """The channels that are paused now, in the order of their names."""
    waiting = select(channels).where(channels.c.paused_until > now).order_by(channels.c.name)
    return values(ChannelPause, tx.execute(waiting).all())


def resume(tx: Connection, name: str) -> None:
    """End the pause of a channel."""
    tx.execute(channels.delete().where(channels.c.name == name))

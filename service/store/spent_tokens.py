"""Tokens that ended before their expiry: used links, ended sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from service.store.schema import spent_tokens


def spend(tx: Connection, digest: str, expires_at: datetime, now: datetime) -> bool:
    """
    Use a token up; False if it was used before. Of two simultaneous calls, one gets True.

    Args:
        digest: its SHA-256.
        expires_at: its expiry; its row is deleted some time after that.
    """
    tx.execute(spent_tokens.delete().where(spent_tokens.c.expires_at < now))
    row = {"digest": digest, "expires_at": expires_at}
    try:
        with tx.begin_nested():
            tx.execute(spent_tokens.insert().values(row))
    except IntegrityError:
        return False
    return True


def is_spent(tx: Connection, digest: str) -> bool:
    """Whether the token with this SHA-256 was used up."""
    found = select(spent_tokens.c.digest).filter_by(digest=digest)
    return tx.execute(found).one_or_none() is not None

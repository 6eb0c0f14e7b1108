"""
Creates that clients repeat by themselves, without a key: the matching of repeats.

Such a client only counts the attempts of each create, and several creates may be equal.
So a repeat is matched with an earlier attempt that was not matched yet: one
that made a job, or one that we refused before it made any. So there are as many jobs as
creates, whatever is lost, repeated or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from service.model import new_id
from service.store.schema import refused_tries as refused
from service.store.schema import repeatable_creates as creates

#: A client that repeats a create by itself does so within this time.
REPEAT_WINDOW = timedelta(minutes=10)
#: An attempt that its own repeat has overtaken comes within this time.
OVERTAKEN_WINDOW = timedelta(minutes=1)
#: A refused attempt is repeated within this time, or not at all.
REFUSED_WINDOW = timedelta(minutes=2)


@dataclass(frozen=True)
class Create:
    """
    An attempt of a create.

    `fingerprint` identifies the content of the request, `sent` its bytes. `retries` is 0 for
    the first attempt. `given_up`: its client no longer waits for the answer, so it may have
    repeated it already.
    """

    api_key_id: str
    fingerprint: str
    sent: str
    retries: int
    given_up: bool = False


@dataclass(frozen=True)
class RefusedTry:
    """An attempt of a create that certainly has made no job; `sent` identifies its bytes."""

    sent: str
    retries: int
    at: datetime


def earlier_try(tx: Connection, create: Create, now: datetime) -> str | None:
    """
    The id of the job that another attempt of this create has made; None if there is none.

    The caller holds the account's lock. Of the attempts that may be the previous one, that
    with the highest count is chosen, a refused one first, then the oldest.
    """
    if create.retries:
        # The create whose attempt this one follows.
        earlier = _same(create, now - REPEAT_WINDOW).where(creates.c.retries < create.retries)
        newest_first = earlier.order_by(creates.c.retries.desc(), creates.c.number)
        row = tx.execute(newest_first.limit(1)).first()
        blank = _refused_before(tx, create, now)
        if blank is not None and (row is None or blank.retries >= row.retries):
            return None
        if row is not None:
            return _match(tx, row.job_id, retries=create.retries)
    if not create.given_up:
        return None
    # A repeat of this attempt may have been faster.
    found = _same(create, now - OVERTAKEN_WINDOW).order_by(creates.c.number.desc())
    if create.retries:
        row = tx.execute(found.where(creates.c.retries >= create.retries).limit(1)).first()
        return row.job_id if row else None
    row = tx.execute(found.filter_by(first_try_seen=False).limit(1)).first()
    return _match(tx, row.job_id, first_try_seen=True) if row else None


def _same(create: Create, since: datetime) -> Any:
    same = select(creates).filter_by(api_key_id=create.api_key_id, fingerprint=create.fingerprint)
    return same.where(creates.c.created_at >= since)


def _refused_before(tx: Connection, create: Create, now: datetime) -> Row[Any] | None:
    """The refused attempt that this one follows, or None."""
    found = select(refused).where(
        refused.c.sent == create.sent,
        refused.c.retries < create.retries,
        refused.c.created_at >= now - REFUSED_WINDOW,
    )
    return tx.execute(found.order_by(refused.c.retries.desc(), refused.c.id).limit(1)).first()


def _match(tx: Connection, job_id: str, **seen: Any) -> str:
    tx.execute(update(creates).filter_by(job_id=job_id).values(**seen))
    return job_id


def remember_create(tx: Connection, create: Create, job_id: str, now: datetime) -> None:
    """Let later attempts of this create get that job; a refused attempt before it is used up."""
    before = _refused_before(tx, create, now)
    if before is not None:
        tx.execute(delete(refused).filter_by(id=before.id))
    same = {"api_key_id": create.api_key_id, "fingerprint": create.fingerprint}
    last = tx.scalar(select(func.max(creates.c.number)).filter_by(**same)) or 0
    row = same | {"job_id": job_id, "number": last + 1, "created_at": now}
    first_try_seen = create.retries == 0 or before is not None
    tx.execute(
        creates.insert().values(**row, retries=create.retries, first_try_seen=first_try_seen)
    )


def remember_refused(tx: Connection, tries: Sequence[RefusedTry]) -> None:
    """
    Store refused attempts, for the next attempts of the same creates.

    A refused repeat replaces the attempt before it, if that was refused,
    too; else there is a job, and the next attempt finds it.
    """
    for one in tries:
        if one.retries == 0:
            row = {"id": new_id("try", one.at), "sent": one.sent, "created_at": one.at}
            tx.execute(refused.insert().values(**row, retries=0))
            continue
        before = _refused_before(tx, Create("", "", one.sent, one.retries), one.at)
        if before is not None:
            changes = {"retries": one.retries, "created_at": one.at}
            tx.execute(update(refused).filter_by(id=before.id).values(**changes))


def prune(tx: Connection, now: datetime) -> int:
    """Delete the attempts that no client repeats any more; returns their number."""
    old_creates = delete(creates).where(creates.c.created_at < now - REPEAT_WINDOW)
    old_refused = delete(refused).where(refused.c.created_at < now - REFUSED_WINDOW)
    return tx.execute(old_creates).rowcount + tx.execute(old_refused).rowcount

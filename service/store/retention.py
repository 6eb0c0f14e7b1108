"""The selection and deletion of old data: videos, and the rows about finished jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, delete, func, select, update

from service.model import (
    TERMINAL,
    CallbackState,
    DeliveryState,
    Video,
    VideoState,
    first_id,
)
from service.store.schema import (
    attempts,
    callbacks,
    deliveries,
    events,
    exchanges,
    feeds,
    jobs,
    steps,
    thread_references,
    videos,
)
from service.store.work import values

ERASED = "erased"

_pending = deliveries.c.state == DeliveryState.PENDING


def deletable(
    tx: Connection,
    limit: int,
    *,
    account_id: str | None = None,
    before: datetime | None = None,
) -> list[Video]:
    """Stored videos without pending deliveries, oldest first, of an account or before a time."""
    undelivered = select(deliveries.c.id).where(deliveries.c.job_id == videos.c.job_id, _pending)
    statement = select(videos).where(videos.c.state == VideoState.STORED, ~undelivered.exists())
    if account_id is not None:
        statement = statement.where(videos.c.account_id == account_id)
    if before is not None:
        statement = statement.where(videos.c.stored_at < before)
    rows = tx.execute(statement.order_by(videos.c.stored_at, videos.c.id).limit(limit)).all()
    return values(Video, rows)


def accounts_above(tx: Connection, quota: int, only: str | None = None) -> dict[str, int]:
    """The accounts whose stored videos use more than `quota` bytes, with their bytes."""
    taken = func.sum(videos.c.bytes)
    statement = select(videos.c.account_id, taken).where(videos.c.state == VideoState.STORED)
    if only is not None:
        statement = statement.where(videos.c.account_id == only)
    statement = statement.group_by(videos.c.account_id).having(taken > quota)
    return {account_id: int(size) for account_id, size in tx.execute(statement)}


def mark_deleted(tx: Connection, video: Video, note: str, due_at: datetime, now: datetime) -> bool:
    """
    Mark a video deleted; its file is removed from `due_at` on.

    False if it was deleted before. A worker that has claimed it can store no result any more.
    """
    statement = update(videos).where(videos.c.id == video.id, videos.c.state != VideoState.DELETED)
    marked = statement.values(
        state=VideoState.DELETED,
        file=video.file or f"{video.id}.mp4",
        poster_file=None,
        note=note,
        claims=videos.c.claims + 1,
        due_at=due_at,
        deleted_at=now,
    )
    return tx.execute(marked).rowcount == 1


def old_events(tx: Connection, before: datetime, limit: int) -> list[str]:
    """
    The ids of unneeded events before a time: delivered, and of jobs that finished before it.

    A job with a later event keeps all its events, so that its sequence stays complete.
    """
    floor, later = first_id("evt", before), events.alias()
    undelivered = select(deliveries.c.id).where(deliveries.c.event_id == events.c.id, _pending)
    goes_on = select(later.c.id).where(later.c.job_id == events.c.job_id, later.c.id >= floor)
    ended = _ended(before).where(jobs.c.id == events.c.job_id)
    statement = select(events.c.id).where(
        events.c.id < floor,
        events.c.feed_sequence.is_not(None),
        ~undelivered.exists(),
        events.c.job_id.is_(None) | (ended.exists() & ~goes_on.exists()),
    )
    return list(tx.scalars(statement.order_by(events.c.id).limit(limit)))


def _ended(before: datetime) -> Select[tuple[str]]:
    return select(jobs.c.id).where(jobs.c.state.in_(sorted(TERMINAL)), jobs.c.finished_at < before)


def drop_events(tx: Connection, event_ids: Sequence[str]) -> int:
    """
    Delete events with their deliveries and attempts; their feeds then begin after them.

    Events that somebody resends at this moment stay. Returns the number of deleted events.
    """
    of_events = select(deliveries.c.id, deliveries.c.event_id, deliveries.c.state).where(
        deliveries.c.event_id.in_(event_ids)
    )
    # Locks first: an attempt in progress would block the others.
    found = tx.execute(of_events.with_for_update()).all()
    needed = {row.event_id for row in found if row.state is DeliveryState.PENDING}
    gone = events.c.id.in_([event_id for event_id in event_ids if event_id not in needed])
    ids = [row.id for row in found if row.event_id not in needed]
    last = select(events.c.account_id, func.max(events.c.feed_sequence)).where(gone)
    for account_id, number in tx.execute(last.group_by(events.c.account_id)).all():
        feed = update(feeds).where(feeds.c.account_id == account_id, feeds.c.first_seq <= number)
        tx.execute(feed.values(first_seq=number + 1))
    threads = select(deliveries.c.subscription_id, deliveries.c.job_id).where(
        deliveries.c.id.in_(ids), deliveries.c.job_id.is_not(None)
    )
    for row in tx.execute(threads.distinct()).all():
        tx.execute(delete(thread_references).filter_by(**row._mapping))
    tx.execute(delete(exchanges).where(exchanges.c.delivery_id.in_(ids)))
    tx.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
    tx.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return tx.execute(delete(events).where(gone)).rowcount


def drop_callbacks(tx: Connection, before: datetime, limit: int) -> int:
    """Delete callbacks of finished jobs from before a time; returns their number."""
    ended = _ended(before).where(jobs.c.id == callbacks.c.job_id)
    old = select(callbacks.c.id).where(
        callbacks.c.received_at < before,
        callbacks.c.state != CallbackState.RECEIVED,
        ended.exists(),
    )
    ids = list(tx.scalars(old.order_by(callbacks.c.received_at).limit(limit)))
    return tx.execute(delete(callbacks).where(callbacks.c.id.in_(ids))).rowcount


def erase(tx: Connection, job_id: str) -> None:
    """Blank the content of a job and its rows; its id, result, times and cost stay."""
    ids = tx.scalars(select(deliveries.c.id).filter_by(job_id=job_id).with_for_update()).all()
    tx.execute(
        update(jobs).filter_by(id=job_id).values(input={}, requested=None, metadata={}, muted=True)
    )
    tx.execute(update(steps).filter_by(job_id=job_id).values(message=ERASED))
    tx.execute(update(deliveries).filter_by(job_id=job_id).values(body=None))
    tx.execute(delete(exchanges).where(exchanges.c.delivery_id.in_(ids)))
    said = update(attempts).where(attempts.c.delivery_id.in_(ids))
    tx.execute(said.values(response=""))
    tx.execute(said.where(attempts.c.error.is_not(None)).values(error=ERASED))
    gone = {"headers": {}, "body": b"", "note": ERASED}
    tx.execute(update(callbacks).filter_by(job_id=job_id).values(**gone))

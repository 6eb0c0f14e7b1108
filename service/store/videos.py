"""Videos: our stored copies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from service.model import TERMINAL, Video, VideoState
from service.store.schema import jobs, videos
from service.store.statements import row_where, update_where
from service.store.work import Claim, add, call_for, settle, value, values

_DELETED = Claim(videos, Video, [VideoState.DELETED])
_PENDING = Claim(videos, Video, [VideoState.PENDING])


def insert(tx: Connection, video: Video) -> None:
    """Insert a new video, which is usually not copied yet."""
    add(tx, videos, video)
    call_for(tx, "archive")


def find(tx: Connection, video_id: str) -> Video | None:
    """The video with this id, or None."""
    return value(Video, row_where(tx, videos, id=video_id))


def of_job(tx: Connection, job_id: str) -> Video | None:
    """The job's video, or None."""
    return value(Video, row_where(tx, videos, job_id=job_id))


def of_jobs(tx: Connection, job_ids: Sequence[str]) -> dict[str, Video]:
    """The videos of these jobs, by job id."""
    rows = tx.execute(select(videos).where(videos.c.job_id.in_(job_ids))).all()
    return {video.job_id: video for video in values(Video, rows)}


def ended_jobs(tx: Connection, job_ids: Collection[str]) -> set[str]:
    """The ids of those jobs that are finished and do not wait for the copy of their video."""
    ended = select(jobs.c.id).outerjoin(videos, videos.c.job_id == jobs.c.id)
    ended = ended.where(
        jobs.c.id.in_(job_ids),
        jobs.c.state.in_(sorted(TERMINAL)),
        videos.c.state.is_(None) | (videos.c.state != VideoState.PENDING),
    )
    return set(tx.scalars(ended))


def change(tx: Connection, video_id: str, **changes: Any) -> None:
    """Update columns of a video."""
    update_where(tx, videos, {"id": video_id}, **changes)


def renew_link(tx: Connection, video_id: str, until: datetime) -> None:
    """Extend the video's link until `until`."""
    change(tx, video_id, link_expires_at=until)


def page(tx: Connection, account_id: str, limit: int) -> list[Video]:
    """An account's videos, newest first."""
    statement = select(videos).filter_by(account_id=account_id)
    return values(Video, tx.execute(statement.order_by(videos.c.id.desc()).limit(limit)).all())


def claim_deleted(tx: Connection, now: datetime, lease: float) -> Video | None:
    """Claim the next deleted video whose file still exists; None if there is none."""
    return _DELETED.one(tx, now, lease)


def claim_pending(tx: Connection, now: datetime, lease: float) -> Video | None:
    """Claim the next video to copy for `lease` seconds; None if there is none."""
    return _PENDING.one(tx, now, lease)


def settle_claimed(tx: Connection, video: Video, **changes: Any) -> bool:
    """Store the result of a claimed video; False if somebody else has claimed it since."""
    return settle(tx, videos, video, **changes)

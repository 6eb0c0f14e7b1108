"""Videos: copied on arrival, since every provider's link ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import media, store
from service.db import Database
from service.errors import BodyTooLarge, ClipbellError, NotFound, OutboundError, ProviderError
from service.model import Clock, Job, Video, VideoState
from service.outbound import Outbound
from service.providers.base import Provider
from service.retry import backoff
from service.settings import Settings
from service.signing import LinkSigner
from service.storage import FileStorage

log = logging.getLogger(__name__)

COPY_SECONDS = 300.0
LEASE_SECONDS = COPY_SECONDS + 30.0
ATTEMPTS = 8
LONGEST_PAUSE = 600.0
REDIRECTS = 3
GONE = (403, 404, 410)


class CopyError(ClipbellError):
    """
    A try at a copy failed.

    `gone` says that the provider's link has ended, so that a fresh one is
    asked for; `hopeless` that no further try can end better.
    """

    def __init__(self, message: str, *, gone: bool = False, hopeless: bool = False) -> None:
        super().__init__(message)
        self.gone = gone
        self.hopeless = hopeless


def archive_video(
    db: Database,
    providers: Mapping[str, Provider],
    outbound: Outbound,
    storage: FileStorage,
    settings: Settings,
    clock: Clock,
) -> bool:
    """Copy the next video; False when there was none."""
    with db.write() as tx:
        video = store.videos.claim_pending(tx, clock(), LEASE_SECONDS)
    if video is None:
        return False
    try:
        found = _copy(outbound, storage, settings, video)
    except Exception as error:
        # Whatever it was counts as a failed try: no video may come up again for ever.
        if not isinstance(error, ClipbellError):
            log.exception("cannot copy %s", video.id)
        _settle_failure(db, providers, video, error, clock)
    else:
        with db.write() as tx:
            _settle_copy(tx, video, found, clock())
    return True


def _copy(
    outbound: Outbound, storage: FileStorage, settings: Settings, video: Video
) -> dict[str, Any]:
    """Bring the file and its poster into storage; the columns that describe them."""
    name = video.file or f"{video.id}.mp4"
    if video.file and not storage.exists(name):
        raise CopyError("the answer's file is gone from storage")
    facts: dict[str, Any] = {"file": name}
    facts |= (
        _download(outbound, storage, settings, video, name)
        if video.file is None
        else {"sha256": storage.sha256(name)}
    )
    path = storage.path(name)
    facts["bytes"] = path.stat().st_size
    probe = media.probe(path)
    if probe:
        facts |= vars(probe)
        facts["poster_file"] = _poster(storage, name)
    return facts


def _download(
    outbound: Outbound, storage: FileStorage, settings: Settings, video: Video, name: str
) -> dict[str, Any]:
    if not video.provider_url:
        raise CopyError("there is no link to copy from", gone=True)
    with storage.writing(name) as file:
        try:
            answer = outbound.call(
                "GET",
                video.provider_url,
                seconds=COPY_SECONDS,
                max_bytes=settings.archive_max_bytes,
                into=file,
                redirects=REDIRECTS,
            )
        except BodyTooLarge as error:
            raise CopyError(f"larger than ARCHIVE_MAX_BYTES: {error}", hopeless=True) from error
        except (OutboundError, ValueError) as error:
            raise CopyError(str(error)) from error
        if answer.status != 200:
            gone = answer.status in GONE
            raise CopyError(f"the provider's link answered {answer.status}", gone=gone)
        file.seek(0)
        if not media.looks_like_mp4(file.read(12)):
            raise CopyError("what the provider sent is no MP4")
    return {"sha256": answer.sha256}


def _poster(storage: FileStorage, name: str) -> str | None:
    poster = name.removesuffix(".mp4") + ".jpg"
    with storage.writing(poster) as file:
        made = media.write_poster(storage.path(name), file)
    if not made:
        storage.delete(poster)
    return poster if made else None


def _settle_copy(tx: Connection, video: Video, facts: dict[str, Any], now: datetime) -> None:
    changes = {"state": VideoState.STORED, "due_at": None, "stored_at": now, "note": ""}
    if not store.videos.settle_claimed(tx, video, attempts=video.attempts + 1, **changes, **facts):
        return
    store.jobs.add_step(tx, video.job_id, "copied", f"{facts['bytes']} bytes are ours", now)
    store.deliveries.hurry(tx, video.job_id, now)


def _settle_failure(
    db: Database,
    providers: Mapping[str, Provider],
    video: Video,
    error: Exception,
    clock: Clock,
) -> None:
    """Try again later, with a fresh link where the old one has ended."""
    fresh = _fresh_url(db, providers, video) if getattr(error, "gone", False) else None
    attempts = video.attempts + 1
    lost = attempts >= ATTEMPTS or getattr(error, "hopeless", False)
    now = clock()
    with db.write() as tx:
        settled = store.videos.settle_claimed(
            tx,
            video,
            state=VideoState.LOST if lost else VideoState.PENDING,
            provider_url=fresh or video.provider_url,
            attempts=attempts,
            note=str(error),
            due_at=None if lost else now + _pause(attempts),
        )
        if settled:
            kind = "lost" if lost else "copy failed"
            store.jobs.add_step(tx, video.job_id, kind, str(error), now)


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=backoff(attempts, 2.0, LONGEST_PAUSE))


def _fresh_url(db: Database, providers: Mapping[str, Provider], video: Video) -> str | None:
    """Another look at the task may give a link that works."""
    with db.read() as tx:
        job = store.jobs.find(tx, video.job_id)
    if job is None or job.provider not in providers:
        return None
    try:
        return providers[job.provider].fetch(job).result_url
    except ProviderError:
        return None


def renewed(db: Database, settings: Settings, video: Video, now: datetime) -> Video:
    """The video with a link that works: one whose time is over gets a new time, and so URL."""
    if video.link_expires_at > now:
        return video
    until = now.replace(microsecond=0) + timedelta(seconds=settings.link_ttl)
    with db.write() as tx:
        store.videos.renew_link(tx, video.id, until)
    return replace(video, link_expires_at=until)


def link_of(
    db: Database, links: LinkSigner, settings: Settings, video: Video | None, now: datetime
) -> str | None:
    """The video's stable link, renewed where its time is over; not within a transaction."""
    if video is None:
        return None
    video = renewed(db, settings, video, now)
    return links.url_for(video.id, video.link_expires_at)


def viewable(db: Database, video_id: str) -> tuple[Video, Job]:
    """A video and its job. Raises NotFound."""
    with db.read() as tx:
        video = store.videos.find(tx, video_id)
        job = store.jobs.find(tx, video.job_id) if video else None
    if video is None or job is None:
        raise NotFound("there is no such video")
    return video, job

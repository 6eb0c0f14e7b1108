"""
What is not kept for ever: videos by age and by quota, old rows, and what a person may not keep.

A video is first deleted in its row, so that no link promises it, and then
removed from storage by a unit of work: a crash in between leaves a row that is
still due.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.catalogue.models import find_offer
from service.errors import Conflict
from service.media.containers import VIDEO_TYPES
from service.model import TERMINAL, Clock, Job, Video, VideoState, first_id
from service.settings import Settings
from service.storage import FileStorage, Storage, StorageError
from service.storage.uploads import UPLOAD_TTL, UploadStore, images_of
from service.store.database import Database
from service.videos.archive import LEASE_SECONDS as COPY_LEASE
from service.videos.downloads import delete_partial

log = logging.getLogger(__name__)

#: So many videos or events are deleted in one transaction.
BATCH = 50
LEASE_SECONDS = 60.0
#: What an interrupted write has left is removed after this; none lasts so long.
PART_LIFE = timedelta(hours=6)
ON_REQUEST = "it was deleted on request"


@dataclass(frozen=True)
class ExpiredVideo:
    """A video to delete, with the reason."""

    video: Video
    reason: str


def expired_videos(
    tx: Connection, settings: Settings, now: datetime, limit: int = BATCH
) -> list[ExpiredVideo]:
    """Videos beyond age or quota, oldest first, without those with pending deliveries."""
    found: list[ExpiredVideo] = []
    if settings.retention_days is not None:
        before = now - timedelta(days=settings.retention_days)
        reason = f"videos are kept for {settings.retention_days:g} days"
        videos = store.retention.deletable(tx, limit, before=before)
        found += [ExpiredVideo(video, reason) for video in videos]
    quota = settings.quota_bytes
    if quota is None:
        return found
    # What is still too much once the old ones are gone.
    old = [expired.video for expired in found]
    reason = f"the account's videos took more than {quota} bytes"
    for account_id in store.retention.accounts_above(tx, quota):
        videos = store.retention.deletable(tx, limit, account_id=account_id)
        # Added up after the list: what another process deletes in between does not count.
        taken = store.retention.accounts_above(tx, quota, account_id).get(account_id, 0)
        excess = taken - quota - sum(v.bytes or 0 for v in old if v.account_id == account_id)
        for video in [one for one in videos if one not in old]:
            if excess <= 0:
                break
            found.append(ExpiredVideo(video, reason))
            excess -= video.bytes or 0
    return found


def delete_expired(db: Database, settings: Settings, now: datetime) -> list[ExpiredVideo]:
    """Delete the next videos beyond age or quota; those that were, none when nothing is left."""
    with db.write() as tx:
        gone = [
            one
            for one in expired_videos(tx, settings, now)
            if store.retention.mark_deleted(tx, one.video, one.reason, now, now)
        ]
        for one in gone:
            store.steps.add(tx, one.video.job_id, "deleted", one.reason, now)
    return gone


def remove_video(db: Database, storage: Storage, settings: Settings, clock: Clock) -> bool:
    """Remove the files of the next deleted video; False when there was none."""
    with db.write() as tx:
        video = store.videos.claim_deleted(tx, clock(), LEASE_SECONDS)
    if video is None:
        return False
    delete_partial(settings.downloads, video.id)
    if video.file:
        # A StorageError leaves it leased, and so comes up again when that ends.
        FileStorage(settings.answers).delete(video.file)
        stem, _, extension = video.file.partition(".")
        # Of a copy that was being made the kind of file is not known.
        extensions = list(VIDEO_TYPES) if video.stored_at is None else [extension]
        for each in (*extensions, "jpg"):
            storage.delete(f"{stem}.{each}")
    with db.write() as tx:
        store.videos.settle_claimed(tx, video, file=None, due_at=None)
    return True


def purge_rows(db: Database, settings: Settings, now: datetime) -> int:
    """Delete the next rows that are older than ``RETENTION_DAYS``; returns their number."""
    if settings.retention_days is None:
        return 0
    before = now - timedelta(days=settings.retention_days)
    with db.write() as tx:
        event_ids = store.retention.old_events(tx, before, BATCH)
        events = store.retention.drop_events(tx, event_ids) if event_ids else 0
        return events + store.retention.drop_callbacks(tx, before, BATCH)


def delete_orphans(storage: Storage, settings: Settings, now: datetime) -> int:
    """Delete files without a row, and images with expired links; returns their number."""
    oldest = first_id("img", now - UPLOAD_TTL)
    old = [name for name in storage.names("img") if name < oldest]
    for name in old:
        storage.delete(name)
    before = now - PART_LIFE
    return (
        len(old)
        + storage.delete_partials(before)
        + FileStorage(settings.answers).delete_partials(before)
    )


def erase_job(db: Database, uploads: UploadStore, job: Job, now: datetime) -> None:
    """
    Forget what a job was about: prompt, input, metadata, messages, video and images.

    Its id, model, state, times and cost stay, for the books; what is pending
    ends, and the job is muted. An image that another job uses, too, stays as long as that.

    Raises:
        Conflict: it has not ended yet.
    """
    with db.write() as tx:
        locked = store.jobs.lock(tx, job.id) or job
        if locked.state not in TERMINAL:
            advice = "cancel it, resolve it or wait: only finished jobs can be deleted"
            raise Conflict(f"the job is {locked.state}: {advice}")
        store.deliveries.end_pending(tx, now, job_id=job.id)
        video = store.videos.of_job(tx, job.id)
        if video is not None:
            # Somebody may be copying it just now: what that leaves is removed after its lease.
            copying = timedelta(seconds=COPY_LEASE if video.state is VideoState.PENDING else 0)
            store.retention.mark_deleted(tx, video, ON_REQUEST, now + copying, now)
            store.videos.change(tx, video.id, note=ON_REQUEST, provider_url=None, sha256=None)
        store.retention.erase(tx, job.id)
        if locked.error:
            error = locked.error | {"message": store.retention.ERASED, "provider_code": None}
            store.jobs.change(tx, job.id, [locked.state], error=error)
        store.steps.add(tx, job.id, "erased", ON_REQUEST, now)
    model = find_offer(locked.model, locked.provider)
    images = images_of(model, locked.input) if model is not None else []
    try:
        for url in filter(uploads.holds, images):
            with db.read() as tx:
                shared = store.jobs.input_names(tx, job.account_id, url, now - UPLOAD_TTL)
            if not shared:
                uploads.delete(url, now)
    except StorageError as error:
        log.warning("images of %s stay until their links end: %s", locked.id, error)

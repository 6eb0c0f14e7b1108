"""Notifications: an event together with all that a message about it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import Channel
from service.errors import NotFound
from service.events.samples import SAMPLE_PATH, sample_job, sample_video
from service.messages.payloads import Notification
from service.model import Event, Job, Video
from service.settings import Settings
from service.signing import Encryptor, UrlSigner
from service.storage import FileMissing, Storage


@dataclass(frozen=True)
class NotificationContext:
    """Everything that turns an event into a message; one per process."""

    channels: Mapping[str, Channel]
    encryptor: Encryptor
    links: UrlSigner
    unsubscribe: UrlSigner
    storage: Storage
    settings: Settings


def build_notification(
    tx: Connection,
    context: NotificationContext,
    event: Event,
    now: datetime,
    *,
    subscription_id: str = "",
    poster: bool = False,
) -> Notification:
    """
    The notification of an event as its job is now.

    Args:
        subscription_id: which one the link for unsubscribing ends.
        poster: whether the message carries the picture's bytes.

    Raises:
        NotFound: the job is gone.
    """
    job, video = (sample_job(event), sample_video(event)) if event.sample else _found(tx, event)
    link = None
    if video is not None and event.sample:
        link = context.settings.public_url + SAMPLE_PATH
    elif video is not None:
        link = context.links.url_for(video.link_expires_at, video=video.id)
    until = now + timedelta(seconds=context.settings.link_ttl)
    return Notification(
        event=event,
        job=None if event.about else job,
        video=video,
        link=link,
        public_url=context.settings.public_url,
        unsubscribe_url=context.unsubscribe.url_for(until, subscription=subscription_id),
        poster=_poster(context.storage, video) if poster else None,
        near=tuple(context.settings.allowed_networks),
    )


def _found(tx: Connection, event: Event) -> tuple[Job | None, Video | None]:
    if event.job_id is None:
        return None, None
    job = store.jobs.find(tx, event.job_id)
    if job is None:
        raise NotFound(f"event {event.id} has lost its job")
    return job, store.videos.of_job(tx, job.id)


def _poster(storage: Storage, video: Video | None) -> bytes | None:
    if video is None or not video.poster_file:
        return None
    try:
        return storage.read(video.poster_file)
    except FileMissing:
        # The link still says all; it may have been removed since.
        return None

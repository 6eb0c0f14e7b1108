"""Notices: an event together with all that a message about it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import Channel
from service.errors import NotFound
from service.messages import Notice
from service.model import Event, Job, Video
from service.samples import SAMPLE_PATH, sample_job, sample_video
from service.settings import Settings
from service.signing import LinkSigner, Sealer, UnsubscribeSigner
from service.storage import FileMissing, Storage


@dataclass(frozen=True)
class Post:
    """What turns an event into a message; one per process."""

    channels: Mapping[str, Channel]
    sealer: Sealer
    links: LinkSigner
    unsubscribe: UnsubscribeSigner
    storage: Storage
    settings: Settings


def notice_of(
    tx: Connection,
    post: Post,
    event: Event,
    now: datetime,
    *,
    subscription_id: str = "",
    poster: bool = False,
) -> Notice:
    """
    The notice of an event as its job is now.

    Args:
        subscription_id: whom the link for unsubscribing is to end.
        poster: whether the message carries the picture's bytes.

    Raises:
        NotFound: the job is gone.
    """
    job, video = (sample_job(event), sample_video(event)) if event.sample else _found(tx, event)
    until = now + timedelta(seconds=post.settings.link_ttl)
    return Notice(
        event=event,
        job=None if event.about else job,
        video=video,
        link=_link(post, event, video),
        public_url=post.settings.public_url,
        unsubscribe_url=post.unsubscribe.url_for(subscription_id, until),
        poster=_poster(post.storage, video) if poster else None,
    )


def _found(tx: Connection, event: Event) -> tuple[Job | None, Video | None]:
    if event.job_id is None:
        return None, None
    job = store.jobs.find(tx, event.job_id)
    if job is None:
        raise NotFound(f"event {event.id} has lost its job")
    return job, store.videos.of_job(tx, job.id)


def _link(post: Post, event: Event, video: Video | None) -> str | None:
    if video is None:
        return None
    if event.sample:
        return post.settings.public_url + SAMPLE_PATH
    return post.links.url_for(video.id, video.link_expires_at)


def _poster(storage: Storage, video: Video | None) -> bytes | None:
    if video is None or not video.poster_file:
        return None
    try:
        return storage.read(video.poster_file)
    except FileMissing:
        # The link still says all; it may have been removed since.
        return None

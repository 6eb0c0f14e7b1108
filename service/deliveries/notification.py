"""Notifications: an event with everything that a message about it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.channels.base import Channel
from service.errors import NotFound
from service.events.samples import SAMPLE_PATH, sample_job, sample_video
from service.messages.payloads import Notification
from service.model import Delivery, Event, Job, Video
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

    def carries_poster(self, delivery: Delivery) -> bool:
        """Whether the next attempt needs the poster: it is not in the delivery's body yet."""
        channel = self.channels.get(delivery.channel)
        return delivery.body is None and channel is not None and channel.carries_poster


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
    The notification of an event, with its job's current state.

    Args:
        subscription_id: the subscription that the unsubscribe link ends.
        poster: whether the message contains the bytes of the poster.

    Raises:
        NotFound: the job does not exist.
    """
    job_id = "" if event.sample else event.job_id
    job = store.jobs.find(tx, job_id) if job_id else None
    video = store.videos.of_job(tx, job_id) if job_id else None
    one = _notification(context, event, job, video, now, subscription_id)
    return replace(one, poster=_poster(context.storage, one.video)) if poster else one


def build_notifications(
    tx: Connection, context: NotificationContext, events: Sequence[Event], now: datetime
) -> list[Notification]:
    """The notifications of many events, in their order; two queries in total."""
    job_ids = [event.job_id for event in events if event.job_id and not event.sample]
    jobs, videos = store.jobs.of_ids(tx, job_ids), store.videos.of_jobs(tx, job_ids)
    found = [(event, event.job_id or "") for event in events]
    return [
        _notification(context, event, jobs.get(job_id), videos.get(job_id), now)
        for event, job_id in found
    ]


def _notification(
    context: NotificationContext,
    event: Event,
    job: Job | None,
    video: Video | None,
    now: datetime,
    subscription_id: str = "",
) -> Notification:
    if event.sample:
        job, video = sample_job(event), sample_video(event)
    elif event.job_id is not None and job is None:
        raise NotFound(f"event {event.id} has lost its job")
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
        near=tuple(context.settings.allowed_networks),
    )


def _poster(storage: Storage, video: Video | None) -> bytes | None:
    if video is None or not video.poster_file:
        return None
    try:
        return storage.read(video.poster_file)
    except FileMissing:
        # The link is enough; the poster may have been removed since.
        return None

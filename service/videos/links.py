"""The stable links of videos."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service import store
from service.model import Video
from service.settings import Settings
from service.signing import UrlSigner
from service.store.database import Database


def renewed(db: Database, settings: Settings, video: Video, now: datetime) -> Video:
    """The video with a link that works: one whose time is over gets a new time, and so URL."""
    if video.link_expires_at > now:
        return video
    until = now.replace(microsecond=0) + timedelta(seconds=settings.link_ttl)
    with db.write() as tx:
        store.videos.renew_link(tx, video.id, until)
    return replace(video, link_expires_at=until)


def link_of(
    db: Database, links: UrlSigner, settings: Settings, video: Video | None, now: datetime
) -> str | None:
    """The video's stable link, renewed where its time is over; not within a transaction."""
    if video is None:
        return None
    video = renewed(db, settings, video, now)
    return links.url_for(video.link_expires_at, video=video.id)

"""Addresses of a video and its poster within this site."""

from __future__ import annotations

from service.model import Video
from service.web.context import wiring


def video_link(video: Video) -> str:
    """The video's stable link, as a full URL."""
    return wiring().links.url_for(video.link_expires_at, video=video.id)


def video_path(video: Video) -> str:
    """The video's path on this site, whatever host name the site was opened with."""
    return video_link(video).removeprefix(wiring().settings.public_origin)


def poster_path(video: Video | None) -> str | None:
    """The path of its poster; None if it has none."""
    return f"{video_path(video)}/poster.jpg" if video and video.poster_file else None

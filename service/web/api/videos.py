"""``/v/TOKEN``: the stable link, for playing, seeking and downloading."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.errors import BadToken, ExpiredToken
from service.model import Job, Video, VideoState
from service.videos.archive import file_name, viewable
from service.web.context import wiring
from service.web.errors import Problem
from service.web.files import redirected, stored_file

blueprint = Blueprint("videos", __name__)


def _video(token: str) -> tuple[Video, Job]:
    w = wiring()
    try:
        payload = w.links.verify(token, w.clock())
    except ExpiredToken:
        hint = "Ask the sender for a new link: the job's page and the API always show it."
        raise Problem(410, "this link has expired", hint=hint) from None
    except BadToken:
        hint = "Copy the whole link again."
        raise Problem(403, "this link is not one of ours", hint=hint) from None
    video, job = viewable(w.db, payload["video"])
    if video.state is VideoState.DELETED:
        hint = "Make it again with a new job, or ask somebody who saved it."
        raise Problem(410, f"this video is no longer kept: {video.note}", hint=hint)
    return video, job


@blueprint.get("/v/<token>")
def watch(token: str) -> AnyResponse:
    """The stored copy, whole or by ranges. Until it is stored, a redirect to the vendor's link."""
    video, job = _video(token)
    if video.state is VideoState.STORED and video.file:
        name = file_name(job, video.file)
        download = request.args.get("download", "false").lower() not in ("0", "false")
        # A bucket's URL cannot name the file to save.
        elsewhere = None if download else redirected(video.file)
        return elsewhere or stored_file(video.file, name, etag=video.sha256, download=download)
    if not video.provider_url and video.state is VideoState.LOST:
        hint = "Look at the vendor for the task that the job names; its result may still be there."
        raise Problem(410, f"this video could not be copied: {video.note}", hint=hint)
    if not video.provider_url:
        raise Problem(404, "the video is not ready yet", headers={"Retry-After": "5"})
    response = redirect(video.provider_url, 302)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/v/<token>/poster.jpg")
def poster(token: str) -> AnyResponse:
    """A frame of the video."""
    video, job = _video(token)
    if not video.poster_file:
        raise Problem(404, "this video has no poster")
    return stored_file(video.poster_file, file_name(job, video.poster_file))


@blueprint.get("/i/<token>")
def image(token: str) -> AnyResponse:
    """An image that was sent inside a request, for the vendor to fetch."""
    w = wiring()
    try:
        name = w.uploads.file_name(token, w.clock())
    except BadToken:
        raise Problem(403, "this link is not one of ours, or it has expired") from None
    return stored_file(name, name)

"""``/v/TOKEN``: the stable link that plays, seeks and downloads."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from service.errors import BadToken, ExpiredToken
from service.model import Video, VideoState
from service.videos import viewable
from service.web.context import wiring
from service.web.problems import Problem

blueprint = Blueprint("videos", __name__)


def _video(token: str) -> Video:
    w = wiring()
    try:
        video_id = w.links.verify(token, w.clock())
    except ExpiredToken:
        hint = "Ask whoever sent the link for a new one: the job's page and API always show it."
        raise Problem(410, "this link has expired", hint=hint) from None
    except BadToken:
        hint = "Copy the whole link once more."
        raise Problem(403, "this link is not one of ours", hint=hint) from None
    return viewable(w.db, video_id)[0]


@blueprint.get("/v/<token>")
def watch(token: str) -> AnyResponse:
    """The copy, in whole or by ranges; the provider's link until the copy is there."""
    video = _video(token)
    if video.state is VideoState.STORED and video.file:
        name = f"{video.job_id}.mp4"
        return _file(video.file, "video/mp4", name, video.sha256, "download" in request.args)
    if not video.provider_url:
        raise Problem(404, "the video is not here yet", headers={"Retry-After": "5"})
    response = redirect(video.provider_url, 302)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/v/<token>/poster.jpg")
def poster(token: str) -> AnyResponse:
    """A frame of the video."""
    video = _video(token)
    if not video.poster_file:
        raise Problem(404, "this video has no poster")
    return _file(video.poster_file, "image/jpeg", f"{video.job_id}.jpg", None, False)


@blueprint.get("/i/<token>")
def image(token: str) -> AnyResponse:
    """An image that came inside a request, for the provider to fetch."""
    w = wiring()
    try:
        name = w.shelf.file_name(token, w.clock())
    except BadToken:
        raise Problem(403, "this link is not one of ours, or its time is over") from None
    kind = "jpeg" if name.endswith(".jpg") else name.rpartition(".")[2]
    return _file(name, f"image/{kind}", name, None, False)


def _file(name: str, mimetype: str, shown: str, etag: str | None, download: bool) -> Response:
    path = wiring().storage.path(name)
    if not path.is_file():
        raise Problem(404, "the copy is gone from storage")
    response = send_file(
        path,
        mimetype=mimetype,
        as_attachment=download,
        download_name=shown,
        conditional=True,
        etag=etag or True,
    )
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response

"""``/v/TOKEN``: the stable link that plays, seeks, downloads, and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.factories import MOVIE, PICTURE, kept_video, path_of
from support.harness import Harness
from werkzeug.http import parse_options_header
from werkzeug.test import TestResponse

from service import store
from service.model import VideoState
from service.web.app import create_app

PROVIDER = "https://provider.example/a.mp4?sig=1"
DIGEST = "ab" * 32


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, for anybody: without a key."""
    return create_app(harness.wiring).test_client()


def fetch(client: FlaskClient, path: str, **more: Any) -> TestResponse:
    """The whole answer, its file closed again."""
    return client.open(path, buffered=True, **more)


def video(harness: Harness, prompt: str = "A fox", **changes: Any) -> str:
    """The path of the link to a job's video, in storage."""
    given = {"provider_url": PROVIDER} | changes
    return path_of(harness, kept_video(harness, harness.new_job(prompt), **given))


def test_plays(client: FlaskClient, harness: Harness) -> None:
    """The whole copy, as a video, with what a player needs to seek."""
    answer = fetch(client, video(harness))

    assert (200, MOVIE, "video/mp4") == (answer.status_code, answer.data, answer.content_type)
    assert "bytes" == answer.headers["Accept-Ranges"]
    assert f'"{DIGEST}"' == answer.headers["ETag"]
    assert not answer.headers.get("Content-Disposition", "").startswith("attachment")
    assert "nosniff" == answer.headers["X-Content-Type-Options"]


def test_head(client: FlaskClient, harness: Harness) -> None:
    """HEAD tells the same without the bytes."""
    answer = fetch(client, video(harness), method="HEAD")

    assert (200, b"", str(len(MOVIE))) == (
        answer.status_code,
        answer.data,
        answer.headers["Content-Length"],
    )
    assert "bytes" == answer.headers["Accept-Ranges"]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=4-7", slice(4, 8)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=0-999999", slice(0, None)),
    ],
)
def test_range(client: FlaskClient, harness: Harness, wanted: str, part: slice) -> None:
    """A part is 206 with exactly its bytes and where they lie."""
    answer = fetch(client, video(harness), headers={"Range": wanted})
    start, stop, _ = part.indices(len(MOVIE))

    assert (206, MOVIE[part]) == (answer.status_code, answer.data)
    assert f"bytes {start}-{stop - 1}/{len(MOVIE)}" == answer.headers["Content-Range"]


def test_range_outside(client: FlaskClient, harness: Harness) -> None:
    """Beyond the end it is 416, and how long the video is."""
    answer = fetch(client, video(harness), headers={"Range": "bytes=999999-"})

    assert (416, f"bytes */{len(MOVIE)}") == (
        answer.status_code,
        answer.headers.get("Content-Range"),
    )


def test_etag(client: FlaskClient, harness: Harness) -> None:
    """Who has it already gets 304; a range of another version gets the whole."""
    path = video(harness)
    known = fetch(client, path, headers={"If-None-Match": f'"{DIGEST}"'})
    other = fetch(client, path, headers={"If-Range": '"other"', "Range": "bytes=0-3"})

    assert (304, b"") == (known.status_code, known.data)
    assert (200, MOVIE) == (other.status_code, other.data)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A fox", "a-fox-{id}.mp4"),
        ('  "../../etc\\passwd"\r\nX: y; ', "etc-passwd-x-y-{id}.mp4"),
        ("😀 …!", "video-{id}.mp4"),
        ("word " * 30, "word-word-word-word-word-word-word-word-word-word-word-word-{id}.mp4"),
        ("Ein Füchslein", "ein-füchslein-{id}.mp4"),
        ("雪の中の狐、静か", "雪の中の狐-静か-{id}.mp4"),
        ("बर्फ में लोमड़ी", "बर्फ-में-लोमड़ी-{id}.mp4"),
    ],
)
def test_download(client: FlaskClient, harness: Harness, prompt: str, name: str) -> None:
    """With download=1 it is saved, under a name that says what it is in every script."""
    disposition = fetch(client, video(harness, prompt) + "?download=1").headers[
        "Content-Disposition"
    ]
    kind, options = parse_options_header(disposition)
    with harness.db.read() as tx:
        job = store.job_lists.page(tx, harness.account.id, 1)[0]

    assert ("attachment", name.format(id=job.id[-6:])) == (kind, options["filename"])
    assert disposition.isascii(), "gunicorn sends no other header"


def test_poster(client: FlaskClient, harness: Harness) -> None:
    """A frame beside the video; 404 where there is none."""
    answer = fetch(client, video(harness) + "/poster.jpg")

    assert (200, PICTURE, "image/jpeg") == (answer.status_code, answer.data, answer.content_type)
    assert 404 == fetch(client, video(harness, poster_file=None) + "/poster.jpg").status_code


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
        ("m4v", "video/x-m4v"),
        ("webm", "video/webm"),
        ("mkv", "video/x-matroska"),
    ],
)
def test_kinds(client: FlaskClient, harness: Harness, kind: str, media_type: str) -> None:
    """Each kind of film has its own media type and its own name; its poster is a JPEG."""
    kept = kept_video(harness, kind=kind)
    path, name = path_of(harness, kept), f"a-fox-{kept.job_id[-6:]}"
    saved, poster = fetch(client, path + "?download=1"), fetch(client, path + "/poster.jpg")

    assert (200, MOVIE, media_type) == (saved.status_code, saved.data, saved.content_type)
    assert f"attachment; filename={name}.{kind}" == saved.headers["Content-Disposition"]
    assert f"inline; filename={name}.jpg" == poster.headers["Content-Disposition"]
    assert (PICTURE, "image/jpeg") == (poster.data, poster.content_type)


@pytest.mark.parametrize("state", [VideoState.PENDING, VideoState.LOST])
def test_before_the_copy(client: FlaskClient, harness: Harness, state: VideoState) -> None:
    """Until the copy is there the same link leads to the provider, and is never cached."""
    answer = fetch(client, video(harness, state=state, file=None, sha256=None))

    assert (302, PROVIDER) == (answer.status_code, answer.headers["Location"])
    assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("ending", ["", "/poster.jpg"])
def test_forged(client: FlaskClient, harness: Harness, ending: str) -> None:
    """What we did not sign is 403, also when it was signed for something else."""
    path, later = video(harness), harness.clock() + timedelta(days=1)
    callback = harness.wiring.signer.url_for(later, job="job_1").rpartition("/")[2]
    for token in ("x", path[3:-1], path[3:] + "A", callback):
        answer = fetch(client, f"/v/{token}{ending}")
        assert (403, "application/problem+json") == (answer.status_code, answer.content_type)
        assert answer.get_json(force=True)["hint"]


def test_expired(client: FlaskClient, harness: Harness) -> None:
    """After its time the link is 410 and says how to get a new one."""
    path = video(harness)
    harness.clock.advance(90 * 86_400)
    assert 200 == fetch(client, path).status_code
    harness.clock.advance(1)
    answer = fetch(client, path)

    assert (410, True) == (answer.status_code, "new link" in answer.get_json(force=True)["hint"])
    assert 410 == fetch(client, path + "/poster.jpg").status_code


def test_gone(client: FlaskClient, harness: Harness) -> None:
    """A file that was removed, and a video that never was, are 404."""
    path = video(harness)
    for file in harness.wiring.storage.folder.rglob("*.mp4"):
        file.unlink()
    nobody = harness.wiring.links.url_for(harness.clock() + timedelta(days=1), video="vid_x")

    assert 404 == fetch(client, path).status_code
    assert 404 == fetch(client, nobody.removeprefix(harness.wiring.settings.public_url)).status_code

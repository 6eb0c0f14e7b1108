"""Who sends the bytes: this service from folder or bucket, a proxy, or the bucket itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.buckets import Buckets
from support.factories import MOVIE, PICTURE, kept_video, path_of
from support.harness import Harness, TestClock
from werkzeug.test import TestResponse

from service.bootstrap import build
from service.errors import SettingsError
from service.settings import load_settings
from service.web.app import create_app

SERVERS = ("file none", "file x-accel", "s3 none", "s3 presigned")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """The storage, and who sends."""
    found: str = request.param
    return found


@pytest.fixture
def settings_given(server: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings for it."""
    place, accel = server.split()
    if place == "file":
        return {"accel": accel}
    buckets: Buckets = request.getfixturevalue("buckets")
    return {"accel": accel, "storage_url": f"s3://{buckets.new()}/clips"}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness."""
    return create_app(harness.wiring).test_client()


def fetch(client: FlaskClient, path: str, **more: Any) -> TestResponse:
    """The whole answer, its file closed again."""
    return client.open(path, buffered=True, **more)


ours = pytest.mark.parametrize("server", ["file none", "s3 none"], indirect=True)


@ours
@pytest.mark.parametrize("wanted", ["bytes=0-1,4-5", "items=0-1", "bytes=a-b", "seconds", "bytes="])
def test_no_single_range(client: FlaskClient, harness: Harness, wanted: str) -> None:
    """What is no range, of another unit or several ranges at once is answered with the whole."""
    answer = fetch(client, path_of(harness, kept_video(harness)), headers={"Range": wanted})

    assert (200, MOVIE) == (answer.status_code, answer.data)
    assert "bytes" == answer.headers["Accept-Ranges"]


@ours
@pytest.mark.parametrize(
    ("wanted", "part"), [("bytes=4-7", slice(4, 8)), ("bytes=-10", slice(-10, None))]
)
def test_range(client: FlaskClient, harness: Harness, wanted: str, part: slice) -> None:
    """We send the part that is asked for, wherever the file lies."""
    answer = fetch(client, path_of(harness, kept_video(harness)), headers={"Range": wanted})
    start, stop, _ = part.indices(len(MOVIE))

    assert (206, MOVIE[part]) == (answer.status_code, answer.data)
    assert f"bytes {start}-{stop - 1}/{len(MOVIE)}" == answer.headers["Content-Range"]


@ours
def test_whole(client: FlaskClient, harness: Harness) -> None:
    """Video and poster come whole, with their kinds; who has them gets 304."""
    path = path_of(harness, kept_video(harness))
    for ending, content, kind in (("", MOVIE, "video/mp4"), ("/poster.jpg", PICTURE, "image/jpeg")):
        answer = fetch(client, path + ending)
        known = fetch(client, path + ending, headers={"If-None-Match": answer.headers["ETag"]})
        head = fetch(client, path + ending, method="HEAD")

        assert (content, kind, 304) == (answer.data, answer.content_type, known.status_code)
        assert (str(len(content)), b"") == (head.headers["Content-Length"], head.data)


@ours
@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=0-1"}])
def test_another_content(client: FlaskClient, harness: Harness, wanted: dict[str, str]) -> None:
    """Who insists on a content that the file does not have gets nothing of it."""
    path = path_of(harness, kept_video(harness))
    etag = fetch(client, path).headers["ETag"]
    other, same = (
        fetch(client, path, headers=wanted | {"If-Match": one}) for one in ('"other"', etag)
    )

    assert (412, b"") == (other.status_code, other.data)
    assert MOVIE.startswith(same.data) and same.data


@ours
def test_outside(client: FlaskClient, harness: Harness) -> None:
    """Beyond the end it is 416, and a file that is gone 404."""
    video = kept_video(harness)
    path = path_of(harness, video)
    assert 416 == fetch(client, path, headers={"Range": "bytes=999999-"}).status_code
    harness.wiring.storage.delete(video.file or "")

    assert 404 == fetch(client, path).status_code


@pytest.mark.parametrize("server", ["s3 presigned"], indirect=True)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_presigned(client: FlaskClient, harness: Harness, method: str) -> None:
    """The viewer is sent to the bucket, by a URL that holds for the method it came with."""
    answer = fetch(client, path_of(harness, kept_video(harness)), method=method)

    assert (302, "no-store") == (answer.status_code, answer.headers["Cache-Control"])
    assert answer.headers["Location"].startswith(f"{harness.wiring.storage.origin}/")
    assert "X-Amz-Expires=21600&" in answer.headers["Location"]


@pytest.mark.parametrize("server", ["s3 presigned"], indirect=True)
def test_not_presigned(client: FlaskClient, harness: Harness) -> None:
    """A download needs its name and a poster is small: those we send ourselves."""
    path = path_of(harness, kept_video(harness))
    saved = fetch(client, path + "?download=1")

    assert (200, MOVIE) == (saved.status_code, saved.data)
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=a-fox-")
    assert PICTURE == fetch(client, path + "/poster.jpg").data


@ours
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "inline"),
        ("?download=0", "inline"),
        ("?download=False", "inline"),
        ("?download=1", "attachment"),
        ("?download=true", "attachment"),
        ("?download", "attachment"),
    ],
)
def test_saved_or_shown(client: FlaskClient, harness: Harness, query: str, expected: str) -> None:
    """The video is shown unless the link says that it is to be saved."""
    answer = fetch(client, path_of(harness, kept_video(harness)) + query)

    assert expected == answer.headers["Content-Disposition"].partition(";")[0]


@pytest.mark.parametrize("server", ["file x-accel"], indirect=True)
def test_x_accel(client: FlaskClient, harness: Harness) -> None:
    """The proxy gets the name of the file to send, and all that it does not know of it."""
    video = kept_video(harness)
    answer = fetch(client, path_of(harness, video) + "?download=1")
    prefix, inner = "/clipbell-files/", answer.headers["X-Accel-Redirect"]

    assert (200, b"", "video/mp4") == (answer.status_code, answer.data, answer.content_type)
    assert MOVIE == (harness.wiring.storage.folder / inner.removeprefix(prefix)).read_bytes()
    assert inner.startswith(prefix)
    name = f"a-fox-{video.job_id[-6:]}.mp4"
    assert f"attachment; filename={name}" == answer.headers["Content-Disposition"]


@pytest.mark.parametrize("server", ["file x-accel"], indirect=True)
def test_x_accel_of_what_is_gone(client: FlaskClient, harness: Harness) -> None:
    """The proxy is sent to no file that is gone: it is 404, and no browser keeps that."""
    video = kept_video(harness)
    harness.wiring.storage.delete(video.file or "")
    answer = fetch(client, path_of(harness, video))

    assert (404, "no-store") == (answer.status_code, answer.headers["Cache-Control"])
    assert "X-Accel-Redirect" not in answer.headers


@pytest.mark.parametrize("server", ["file x-accel"], indirect=True)
def test_x_accel_of_another_kind(client: FlaskClient, harness: Harness) -> None:
    """The proxy gets the media type of what it sends."""
    answer = fetch(client, path_of(harness, kept_video(harness, kind="webm")))

    assert (200, "video/webm") == (answer.status_code, answer.content_type)
    assert answer.headers["X-Accel-Redirect"].endswith(".webm")


def test_policy_of_pages(client: FlaskClient, harness: Harness, server: str) -> None:
    """A page lets the player follow to the bucket, and nowhere else, only where it is sent."""
    policy = client.get("/login", headers={"Accept": "text/html"}).headers[
        "Content-Security-Policy"
    ]
    origin = harness.wiring.storage.origin
    expected = f"media-src 'self' {origin};" if server == "s3 presigned" else "media-src 'self';"

    assert expected in policy
    assert "{" not in policy


@pytest.mark.parametrize(
    ("accel", "url", "needed"),
    [
        ("x-accel", "s3://clips", "STORAGE_URL=file://"),
        ("presigned", "file:///tmp/x", "STORAGE_URL=s3://"),
    ],
)
def test_sender_does_not_fit(
    accel: str, url: str, needed: str, tmp_path: Path, clock: TestClock
) -> None:
    """A sender that cannot reach the storage stops the start, with what it needs."""
    settings = load_settings({}, data_dir=tmp_path, secret_keys="k" * 40, accel=accel)
    with pytest.raises(SettingsError, match=f"CLIPBELL_ACCEL={accel} needs CLIPBELL_{needed}"):
        build(settings.model_copy(update={"storage_url": url}), clock)

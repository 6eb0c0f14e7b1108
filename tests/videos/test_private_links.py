"""Results behind the vendor's key: copied with it, and their links shown to nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.factories import video_of
from support.film import film
from support.harness import Harness
from support.serving import QuietHandler, Served

from service.model import Job, JobState, VideoState
from service.videos.links import link_of
from service.web.app import create_app

FILM = film()
KEYED = {"openrouter": "/api/v1/videos/t1/content?index=0", "videos": "/v1/videos/t1/content"}
MODELS = {"openrouter": "kling-3.0", "videos": "videos"}


class Elsewhere(Served):
    """A file server that knows nothing of keys; keeps the headers of each request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                server.asked.append({name.lower(): text for name, text in self.headers.items()})
                self.send_response(200)
                self.send_header("Content-Length", str(len(FILM)))
                self.end_headers()
                self.wfile.write(FILM)

        self.serve(Handler)
        self.url = f"{self.origin}/signed.mp4"


class Keyed(Served):
    """A vendor whose addresses all need its key; `done` is what it says besides of a task."""

    def __init__(self) -> None:
        self.done: dict[str, Any] = {}
        self.moved_to = ""
        self.asked: list[str] = []
        vendor = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._say(200, {"id": "t1", "status": "queued"})

            def do_GET(self) -> None:
                vendor.asked.append(self.path)
                if self.headers.get("Authorization") != "Bearer secret":
                    self._say(401, {"error": "who are you"})
                elif "/content" not in self.path:
                    self._say(200, {"id": "t1", "status": "completed"} | vendor.done)
                elif vendor.moved_to:
                    self._say(302, None, Location=vendor.moved_to)
                else:
                    self._say(200, FILM)

            def _say(self, status: int, value: Any, **headers: str) -> None:
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

        self.serve(Handler)


@pytest.fixture
def vendor() -> Iterator[Keyed]:
    """The vendor, listening."""
    with Keyed() as made:
        yield made


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Another origin."""
    with Elsewhere() as made:
        yield made


@pytest.fixture
def settings_given(vendor: Keyed) -> dict[str, Any]:
    """It stands for both."""
    given = {f"{name}_base_url": vendor.origin for name in MODELS}
    given |= {f"{name}_api_key": "secret" for name in MODELS}
    return {**given, "videos_models": "own", "poll_after": 5, "poll_every": 5}


def succeeded(harness: Harness, name: str) -> Job:
    """A job of that vendor's, polled to its end."""
    asked = {"prompt": "A fox", "duration": 5}
    job = harness.new_job(model=MODELS[name], provider=name, input=asked)
    harness.drain("submit")
    harness.clock.advance(301)
    harness.drain("poll")
    assert JobState.SUCCEEDED is harness.job(job).state
    return job


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("names_it", [False, True])
def test_result_behind_the_key(
    harness: Harness, vendor: Keyed, elsewhere: Elsewhere, name: str, moved: bool, names_it: bool
) -> None:
    """It is copied with the key, which no other origin gets, and its link is not given away."""
    if names_it:
        field = {"openrouter": "unsigned_urls", "videos": "url"}[name]
        vendor.done = {field: vendor.origin + KEYED[name]}
    vendor.moved_to = elsewhere.url if moved else ""
    job = succeeded(harness, name)
    assert (None, None) == (video_of(harness, job).provider_url, video_of(harness, job).file)
    harness.drain("archive")
    video = video_of(harness, job)

    assert (VideoState.STORED, FILM) == (
        video.state,
        harness.wiring.storage.read(video.file or ""),
    )
    assert KEYED[name] == vendor.asked[-1]
    assert moved == bool(elsewhere.asked)
    assert not any("authorization" in asked for asked in elsewhere.asked)


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("openrouter", {"urls": ["LINK"], "unsigned_urls": ["ORIGIN/api/v1/videos/t1/content"]}),
        ("openrouter", {"unsigned_urls": ["LINK"]}),
        ("videos", {"url": "LINK"}),
    ],
)
def test_result_elsewhere(
    harness: Harness, vendor: Keyed, elsewhere: Elsewhere, name: str, done: dict[str, Any]
) -> None:
    """A link that is for everybody is taken before one with a key, and without the key."""
    said = json.dumps(done).replace("LINK", elsewhere.url).replace("ORIGIN", vendor.origin)
    vendor.done = json.loads(said)
    job = succeeded(harness, name)
    assert elsewhere.url == video_of(harness, job).provider_url
    harness.drain("archive")

    assert VideoState.STORED is video_of(harness, job).state
    assert "authorization" not in elsewhere.asked[0]


@pytest.mark.parametrize("name", MODELS)
def test_vendor_that_shows_it_late(harness: Harness, vendor: Keyed, name: str) -> None:
    """Where the vendor has no link for a while, or refuses it, it is asked again."""
    vendor.done = {"unsigned_urls": [vendor.origin + KEYED[name]]}
    vendor.moved_to = "http://127.0.0.1:9/nobody"
    job = succeeded(harness, name)
    harness.drain("archive")
    assert "127.0.0.1" in video_of(harness, job).note
    vendor.moved_to, shown, vendor.done = "", vendor.done, {"status": "in_progress"}
    harness.clock.advance(60)
    harness.drain("archive")
    assert "there is no link" in video_of(harness, job).note
    vendor.done = shown
    harness.clock.advance(60)
    harness.drain("archive")

    assert VideoState.STORED is video_of(harness, job).state


def test_lost_for_good(harness: Harness, vendor: Keyed) -> None:
    """A video that never came is not said to be on its way."""
    vendor.moved_to = "http://127.0.0.1:9/nobody"
    job = succeeded(harness, "videos")
    client = create_app(harness.wiring).test_client()
    w, path = harness.wiring, f"/v1/videos/{job.id}/content"
    headers = {"x-api-key": harness.key}

    def answers() -> list[tuple[int, str | None]]:
        found = link_of(w.db, w.links, w.settings, video_of(harness, job), harness.clock()) or ""
        both = [client.get(urlsplit(found).path), client.get(path, headers=headers)]
        return [(answer.status_code, answer.headers.get("Retry-After")) for answer in both]

    before = answers()
    while video_of(harness, job).state is VideoState.PENDING:
        harness.drain("archive")
        harness.clock.advance(1900)

    assert [(404, "5"), (404, None)] == before
    assert VideoState.LOST is video_of(harness, job).state
    assert [(410, None)] * 2 == answers()


def test_only_below_the_vendors_address(harness: Harness, vendor: Keyed) -> None:
    """A link that begins as the vendor's, and leads to another host, is not given the key."""
    link = f"{vendor.origin}@other.example/v1/videos/t1/content"
    vendor.done = {"url": link}
    job = succeeded(harness, "videos")

    assert link == video_of(harness, job).provider_url

"""Copies: whole and true, or not at all; a link that ended is asked for again."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Bench
from servers import Hook
from wire import Wire

from service import store
from service.errors import ProviderError, Unanswered
from service.messages import iso
from service.model import EventType, Job, Outcome, TaskState, Video, VideoState
from service.outcomes import record_outcome
from service.providers.apixo import Apixo
from service.subscribing import Wish, subscribe
from service.videos import archive_video

MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 500
Reply = tuple[int, dict[str, str], bytes]


class Files:
    """A vendor's file server: each GET gets the next of `replies`, then the last."""

    def __init__(self) -> None:
        files = self
        self.replies: list[Reply] = [(200, {}, MP4)]
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = files.replies[min(len(files.paths), len(files.replies) - 1)]
                files.paths.append(self.path)
                files.headers.append(dict(self.headers))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def files() -> Iterator[Files]:
    """A vendor's file server."""
    made = Files()
    yield made
    made.close()


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor; no video may be larger than a million bytes."""
    return {"apixo_base_url": wire.server.url, "poll_after": 30, "archive_max_bytes": 1_000_000}


def succeeded(bench: Bench, url: str) -> Job:
    """A job whose result is said to lie there."""
    job = bench.new_job()
    outcome = Outcome(TaskState.SUCCEEDED, result_url=url)
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "callback", bench.clock())
    return job


def rendered(bench: Bench, wire: Wire, orders: str) -> Job:
    """A job that the sandbox has really made, found by a poll."""
    job = bench.new_job(f"[lose] {orders} A fox")
    bench.drain("submit")
    wire.ended(bench.job(job).task_id or "")
    bench.clock.advance(31)
    bench.drain("reconcile")
    return job


def video_of(bench: Bench, job: Job) -> Video:
    """Our copy as it is now."""
    with bench.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    assert video is not None
    return video


def archive(bench: Bench, rounds: int = 1) -> None:
    """Copy what is due, so often, with time enough between."""
    for _ in range(rounds):
        bench.drain("archive")
        bench.clock.advance(700)


def kept_files(bench: Bench) -> list[str]:
    """Everything below the storage's folder."""
    folder = bench.wiring.storage.folder
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_copied(bench: Bench, wire: Wire) -> None:
    """The copy is the vendor's file byte for byte, with its figures and a poster."""
    job = rendered(bench, wire, "")
    archive(bench)
    video = video_of(bench, job)
    original = wire.call("GET", video.provider_url or "").body
    copy = bench.wiring.storage.path(video.file or "").read_bytes()

    assert VideoState.STORED is video.state
    assert original == copy
    assert (len(original), hashlib.sha256(original).hexdigest()) == (video.bytes, video.sha256)
    assert (160, 90, 5.0) == (video.width, video.height, round(video.seconds or 0, 1))
    assert bench.wiring.storage.exists(video.poster_file or "")


def test_cut_short(bench: Bench, wire: Wire) -> None:
    """Half a file is none; the next try brings it whole."""
    job = rendered(bench, wire, "[cut]")
    bench.drain("archive")
    assert (VideoState.PENDING, []) == (video_of(bench, job).state, kept_files(bench))
    archive(bench, 2)

    assert VideoState.STORED is video_of(bench, job).state


def test_gone_for_good(bench: Bench, wire: Wire) -> None:
    """A result that is nowhere any more is given up, and the job stays succeeded."""
    job = rendered(bench, wire, "[gone]")
    archive(bench, 10)

    assert (VideoState.LOST, None) == (video_of(bench, job).state, video_of(bench, job).due_at)
    assert ("succeeded", True) == (bench.job(job).state, "404" in video_of(bench, job).note)


TOO_LARGE = MP4 + b"\x00" * 1_000_000


@pytest.mark.parametrize("body", [b"<html>expired</html>", b"", b"\x89PNG" + b"0" * 9, TOO_LARGE])
def test_no_mp4_or_too_large(bench: Bench, files: Files, body: bytes) -> None:
    """What is no MP4, or beyond the cap, is not kept, not even in part; the tries end."""
    files.replies = [(200, {}, body)]
    job = succeeded(bench, files.url + "/a")
    archive(bench, 12)

    assert (VideoState.LOST, []) == (video_of(bench, job).state, kept_files(bench))
    assert len(files.paths) <= 8


@pytest.mark.parametrize(("hops", "state"), [(3, VideoState.STORED), (4, VideoState.PENDING)])
def test_redirects(bench: Bench, files: Files, hops: int, state: VideoState) -> None:
    """Three redirects are followed, no fourth, and without any credentials of ours."""
    on: list[Reply] = [(302, {"Location": f"/{number}"}, b"") for number in range(hops)]
    files.replies = [*on, (200, {}, MP4)]
    job = succeeded(bench, files.url + "/start")
    bench.drain("archive")

    assert (state, 4) == (video_of(bench, job).state, len(files.paths))
    assert not {"authorization", "x-api-key"} & {name.lower() for h in files.headers for name in h}


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "http://[::ffff:10.0.0.1]/x", "http://10.1.1.1/x"]
)
@pytest.mark.parametrize("by", ["result", "redirect"])
def test_inner_network(bench: Bench, files: Files, url: str, by: str) -> None:
    """No result, and no redirect of one, makes us look into the inner network."""
    files.replies = [(302, {"Location": url}, b"")]
    job = succeeded(bench, url if by == "result" else files.url + "/a")
    bench.drain("archive")

    assert "not public" in video_of(bench, job).note


class Renewing(Apixo):
    """A vendor that signs a new link whenever it is asked."""

    link = ""
    asked = 0
    trouble: ProviderError | None = None

    def fetch(self, job: Job) -> Outcome:
        """The link of now."""
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return Outcome(TaskState.SUCCEEDED, result_url=self.link)


def archive_with(bench: Bench, provider: Renewing, between: Callable[[], None]) -> None:
    """Copy with that vendor, ten rounds; `between` runs after each."""
    w = bench.wiring
    for _ in range(10):
        archive_video(w.db, {"apixo": provider}, w.outbound, w.storage, w.settings, w.clock)
        between()
        bench.clock.advance(700)


def renewing(bench: Bench, files: Files) -> Renewing:
    """One whose new link works."""
    made = Renewing(bench.wiring.outbound, "http://127.0.0.1:9", "k", 1.0)
    made.link = files.url + "/fresh"
    return made


@pytest.mark.parametrize("before", [[], [503], [503, 500, 503]])
def test_link_that_ended(bench: Bench, files: Files, before: list[int]) -> None:
    """Whenever a link turns out to have ended, a fresh one is asked for and used."""
    ended: list[Reply] = [(status, {}, b"") for status in (*before, 403)]
    files.replies = [*ended, (200, {}, MP4)]
    job = succeeded(bench, files.url + "/old")
    archive_with(bench, renewing(bench, files), lambda: None)

    assert (VideoState.STORED, "/fresh") == (video_of(bench, job).state, files.paths[-1])


def test_vendor_is_away_when_the_link_ended(bench: Bench, files: Files) -> None:
    """A vendor that cannot be asked for a fresh link just now is asked again later."""
    files.replies = [(403, {}, b""), (403, {}, b""), (200, {}, MP4)]
    job = succeeded(bench, files.url + "/old")
    vendor = renewing(bench, files)
    vendor.trouble = Unanswered("PROVIDER_UNAVAILABLE", "away")

    def back() -> None:
        vendor.trouble = None

    archive_with(bench, vendor, back)

    assert VideoState.STORED is video_of(bench, job).state


def test_worker_killed_while_copying(bench: Bench, files: Files) -> None:
    """A copy whose worker died is made again by the next."""
    files.replies = [(403, {}, b""), (200, {}, MP4)]
    job = succeeded(bench, files.url + "/a")

    class Struck(Renewing):
        def fetch(self, job: Job) -> Outcome:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive_with(bench, Struck(bench.wiring.outbound, "", "k", 1.0), lambda: None)
    assert not bench.unit("archive")
    archive(bench, 2)

    assert VideoState.STORED is video_of(bench, job).state


def subscribed(bench: Bench, hook: Hook) -> None:
    """The hook hears of the account's jobs."""
    with bench.db.write() as tx:
        wish = Wish("webhook", hook.url)
        subscribe(tx, bench.wiring.sealer, bench.account.id, wish, bench.clock())


def test_delivered_before_the_copy(bench: Bench, files: Files) -> None:
    """The link is told once, after a wait at most, and stays the same when the copy comes."""
    with Hook() as hook:
        subscribed(bench, hook)
        job = succeeded(bench, files.url + "/a")
        bench.drain("deliver")
        assert [] == hook.hits
        bench.clock.advance(30)
        bench.drain("deliver")
        archive(bench)
        bench.drain("deliver")
        told = hook.hits[0].json()["data"]["video"]["url"]

    video = video_of(bench, job)
    assert [told] == [bench.wiring.links.url_for(video.id, video.link_expires_at)]
    assert 1 == len(hook.hits)


def test_copy_hurries_the_delivery(bench: Bench, files: Files) -> None:
    """Once the copy is there nobody waits any longer."""
    with Hook() as hook:
        subscribed(bench, hook)
        job = succeeded(bench, files.url + "/a")
        bench.drain("archive", "deliver")
        told = hook.hits[0].json()

    assert (EventType.JOB_SUCCEEDED, job.id) == (told["type"], told["data"]["id"])
    assert (len(MP4), iso(bench.clock())) == (told["data"]["video"]["bytes"], told["timestamp"])

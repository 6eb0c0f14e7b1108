"""Segmind v1 through the whole walk: its own slots, its interruption, its answer on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.film import record
from support.harness import Harness
from support.sandboxes import SandboxClient
from support.servers import Clipbell, eventually
from support.serving import QuietHandler, Served

from service import store
from service.model import JobState, VideoState
from service.sandbox.rendering.render import Scene, render_video
from service.storage import FileStorage

KLING_2: dict[str, Any] = {"model": "kling-2", "input": {"prompt": "A fox", "duration": 5}}


@pytest.fixture
def clipbell(sandbox: SandboxClient, tmp_path: Path) -> Iterator[Clipbell]:
    """A running service that speaks v1 to its vendor."""
    with Clipbell(tmp_path, sandbox.server.url, segmind_api="v1", sync_timeout="3") as made:
        yield made.start()


def steps(clipbell: Clipbell, job_id: str) -> dict[str, str]:
    """What the timeline says, by kind."""
    entries = clipbell.call("GET", f"/v1/jobs/{job_id}/timeline").json()["data"]
    return {entry["kind"]: entry["message"] for entry in entries}


def test_answer_is_the_video(clipbell: Clipbell) -> None:
    """The body of the one request becomes our copy; its headers are kept."""
    made = clipbell.call("POST", "/v1/jobs", KLING_2).json()
    job = clipbell.await_state(made["id"], "succeeded")
    copied = eventually(lambda: clipbell.job(job["id"])["video"]["sha256"])
    video = clipbell.call("GET", job["video"]["url"])

    assert (1.75, None) == (job["cost"]["actual"], job["video"]["provider_url"])
    assert b"ftyp" == video.body[4:8]
    assert copied
    for name in ("x-request-id", "x-cost", "x-remaining-credits"):
        assert name in steps(clipbell, job["id"])["submitted"]


def test_credits_left(clipbell: Clipbell, sandbox: SandboxClient) -> None:
    """Without a budget the v1 request and `/v1/providers` say what the vendor said last."""
    answer = clipbell.call("POST", "/v1/kling-2", KLING_2["input"])
    rows = {row["id"]: row for row in clipbell.call("GET", "/v1/providers").json()["data"]}
    left = round(sandbox.server.renderer.book.credits, 3)

    assert left == float(answer.headers["x-remaining-credits"])
    assert {"segmind": left, "apixo": None} == {k: row["credits_left"] for k, row in rows.items()}


def test_answer_is_json(clipbell: Clipbell) -> None:
    """Where the answer names a video instead of being one, it is copied from there."""
    body = {**KLING_2, "input": {"prompt": "[json] A fox", "duration": 5}}
    made = clipbell.call("POST", "/v1/jobs", body).json()
    job = clipbell.await_state(made["id"], "succeeded")

    assert job["video"]["provider_url"].startswith("http")
    eventually(lambda: clipbell.job(job["id"])["video"]["sha256"])


def test_interrupted(clipbell: Clipbell, sandbox: SandboxClient) -> None:
    """A worker that dies during the call leaves the job unknown, and it is not sent again."""
    before = len(sandbox.server.renderer.book.all())
    body = {**KLING_2, "input": {"prompt": "[slow 60] A fox", "duration": 5}}
    made = clipbell.call("POST", "/v1/jobs", body).json()
    eventually(lambda: len(sandbox.server.renderer.book.all()) > before)
    clipbell.kill("worker")
    clipbell.start_later_worker()
    job = clipbell.await_state(made["id"], "unknown")

    assert "SUBMIT_TIMEOUT_UNKNOWN" == job["error"]["code"]
    assert 1 == len(sandbox.server.renderer.book.all()) - before


@pytest.mark.parametrize("settings_given", [{"segmind_api": "v1"}])
def test_answer_on_disk(harness: Harness) -> None:
    """Struck between the whole answer and its record, the video is found on our own disk."""
    job = harness.new_job(**KLING_2)
    with harness.db.write() as tx:
        store.jobs.claim_queued(tx, ["segmind"], harness.clock(), 60)
    name = f"vid_{job.id.removeprefix('job_')}.mp4"
    with FileStorage(harness.wiring.settings.answers).writing(name) as file:
        scene = Scene(prompt="A fox", seconds=5, aspect_ratio="16:9")
        render_video(Path(file.name), scene, short_side=90)
    harness.clock.advance(61)
    harness.drain("poll", "reconcile", "archive")
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)

    assert JobState.SUCCEEDED is harness.job(job).state
    assert video is not None
    assert (VideoState.STORED, len(harness.wiring.storage.read(name))) == (video.state, video.bytes)
    assert not FileStorage(harness.wiring.settings.answers).exists(name)


WEBM = record(kind="webm", codec="libvpx-vp9")


class Vendor(Served):
    """Answers every POST with a WebM film."""

    def __init__(self) -> None:
        class Handler(QuietHandler):
            def do_POST(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/webm")
                self.send_header("Content-Length", str(len(WEBM)))
                self.end_headers()
                self.wfile.write(WEBM)

        self.serve(Handler)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor whose films are WebM."""
    with Vendor() as made:
        yield made


@pytest.fixture
def settings_given(vendor: Vendor) -> dict[str, Any]:
    """That vendor speaks v1."""
    return {"segmind_api": "v1", "segmind_base_url": vendor.origin}


def test_answer_of_another_kind(harness: Harness) -> None:
    """An answer that is a film of any kind is ours, and paid for once."""
    job = harness.new_job(**KLING_2)
    harness.drain("generate", "archive")
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)

    assert (JobState.SUCCEEDED, True) == (harness.job(job).state, video is not None)
    assert video and (VideoState.STORED, 3.0) == (video.state, video.seconds)
    assert (video.file or "").endswith(".webm")
    assert WEBM == harness.wiring.storage.read(video.file or "")

"""A job's way with a bucket for storage: copied, served, carried along; troubles waited for."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.buckets import Buckets
from support.factories import rendered, video_of
from support.harness import Harness
from support.sandboxes import SandboxClient, png
from support.servers import free_port

from service import store
from service.bootstrap import build
from service.catalogue.models import MODELS
from service.model import JobState, VideoState
from service.web.app import create_app


@pytest.fixture
def settings_given(sandbox: SandboxClient, buckets: Buckets) -> dict[str, Any]:
    """The sandbox is the vendor, a new bucket the storage."""
    return {
        "apixo_base_url": sandbox.server.url,
        "segmind_base_url": sandbox.server.url,
        "poll_after": 30,
        "storage_url": f"s3://{buckets.new()}/clips",
    }


def test_copied(harness: Harness, sandbox: SandboxClient) -> None:
    """The bucket gets the vendor's file and a poster, nothing stays here, and the link plays."""
    job = rendered(harness, sandbox)
    harness.drain("archive")
    video, storage = video_of(harness, job), harness.wiring.storage
    original = sandbox.call("GET", video.provider_url or "").body
    url = harness.wiring.links.url_for(video.link_expires_at, video=video.id)
    client = create_app(harness.wiring).test_client()
    watched = client.get(url.removeprefix(harness.wiring.settings.public_url), buffered=True)

    assert (VideoState.STORED, len(original)) == (video.state, video.bytes)
    assert original == storage.read(video.file or "") == watched.data
    assert b"\xff\xd8\xff" == storage.read(video.poster_file or "")[:3]
    assert [] == list(storage.folder.iterdir())


def test_bucket_is_away(
    harness: Harness, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the bucket is away, no video is given up, and one line tells of it."""
    job = rendered(harness, sandbox)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    away = build(harness.wiring.settings, harness.clock)
    for _ in range(10):
        while away.units()["archive"]():
            pass
        harness.clock.advance(601)
    away.close()
    with harness.db.read() as tx:
        report = [step for step in store.steps.of_job(tx, job.id) if step.kind == "copy failed"]
    assert (VideoState.PENDING, 1) == (video_of(harness, job).state, len(report))
    harness.drain("archive")

    assert VideoState.STORED is video_of(harness, job).state


def test_answer_while_the_bucket_is_away(
    harness: Harness, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video that is itself the answer, and paid for, waits on this machine for the bucket."""
    job = harness.new_job("A fox", model="kling-2")
    settings = harness.wiring.settings.model_copy(update={"segmind_api": "v1"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    away = build(settings, harness.clock)
    sent, tried = away.units()["generate"](), away.units()["archive"]()
    away.close()

    assert sent and tried
    assert JobState.SUCCEEDED is harness.job(job).state
    assert VideoState.PENDING is video_of(harness, job).state
    harness.clock.advance(601)
    harness.drain("archive")
    assert VideoState.STORED is video_of(harness, job).state
    assert b"ftyp" == harness.wiring.storage.read(video_of(harness, job).file or "")[4:8]
    assert [] == list(settings.answers.glob("*/*"))


def test_inline_image(harness: Harness) -> None:
    """An image inside a request lies in the bucket, and the vendor gets its bytes."""
    uploads, model = harness.wiring.uploads, MODELS["kling-2.5-turbo"]
    inline = base64.b64encode(png("red")).decode()
    put = uploads.save(model, {"prompt": "A fox", "image_url": inline}, harness.clock())

    assert uploads.holds(put["image_url"])
    assert inline == uploads.inlined(model, put, harness.clock())["image_url"]
    assert 1 == len(list(harness.wiring.storage.names("img")))
    client = create_app(harness.wiring).test_client()
    path = put["image_url"].removeprefix(harness.wiring.settings.public_url)
    assert (png("red"), "image/png") == (
        (answer := client.get(path, buffered=True)).data,
        answer.content_type,
    )

"""A job's way with a bucket for storage: copied, served, carried along; troubles waited for."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from conftest import Bench
from support.buckets import Buckets
from support.factories import rendered, video_of
from support.sandboxes import Wire, png
from support.servers import free_port

from service import store
from service.bootstrap import build
from service.catalogue.models import MODELS
from service.model import JobState, VideoState
from service.web.app import create_app


@pytest.fixture
def settings_given(wire: Wire, buckets: Buckets) -> dict[str, Any]:
    """The sandbox is the vendor, a new bucket the storage."""
    return {
        "apixo_base_url": wire.server.url,
        "segmind_base_url": wire.server.url,
        "poll_after": 30,
        "storage_url": f"s3://{buckets.new()}/clips",
    }


def test_copied(bench: Bench, wire: Wire) -> None:
    """The bucket gets the vendor's file and a poster, nothing stays here, and the link plays."""
    job = rendered(bench, wire)
    bench.drain("archive")
    video, storage = video_of(bench, job), bench.wiring.storage
    original = wire.call("GET", video.provider_url or "").body
    url = bench.wiring.links.url_for(video.link_expires_at, video=video.id)
    client = create_app(bench.wiring).test_client()
    watched = client.get(url.removeprefix(bench.wiring.settings.public_url), buffered=True)

    assert (VideoState.STORED, len(original)) == (video.state, video.bytes)
    assert original == storage.read(video.file or "") == watched.data
    assert b"\xff\xd8\xff" == storage.read(video.poster_file or "")[:3]
    assert [] == list(storage.folder.iterdir())


def test_bucket_is_away(bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the bucket is away, no video is given up, and one line tells of it."""
    job = rendered(bench, wire)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    away = build(bench.wiring.settings, bench.clock)
    for _ in range(10):
        while away.units()["archive"]():
            pass
        bench.clock.advance(601)
    away.close()
    with bench.db.read() as tx:
        told = [step for step in store.jobs.all_steps(tx, job.id) if step.kind == "copy failed"]
    assert (VideoState.PENDING, 1) == (video_of(bench, job).state, len(told))
    bench.drain("archive")

    assert VideoState.STORED is video_of(bench, job).state


def test_answer_while_the_bucket_is_away(
    bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video that is itself the answer, and paid for, waits on this machine for the bucket."""
    job = bench.new_job("A fox", model="kling-2")
    settings = bench.wiring.settings.model_copy(update={"segmind_api": "v1"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    away = build(settings, bench.clock)
    sent, tried = away.units()["generate"](), away.units()["archive"]()
    away.close()

    assert sent and tried
    assert JobState.SUCCEEDED is bench.job(job).state
    assert VideoState.PENDING is video_of(bench, job).state
    bench.clock.advance(601)
    bench.drain("archive")
    assert VideoState.STORED is video_of(bench, job).state
    assert b"ftyp" == bench.wiring.storage.read(video_of(bench, job).file or "")[4:8]
    assert [] == list(settings.answers.glob("*/*"))


def test_inline_image(bench: Bench) -> None:
    """An image inside a request lies in the bucket, and the vendor gets its bytes."""
    uploads, model = bench.wiring.uploads, MODELS["kling-2.5-turbo"]
    inline = base64.b64encode(png("red")).decode()
    put = uploads.save(model, {"prompt": "A fox", "image_url": inline}, bench.clock())

    assert uploads.holds(put["image_url"])
    assert inline == uploads.inlined(model, put, bench.clock())["image_url"]
    assert 1 == len(list(bench.wiring.storage.names("img")))
    client = create_app(bench.wiring).test_client()
    path = put["image_url"].removeprefix(bench.wiring.settings.public_url)
    assert (png("red"), "image/png") == (
        (answer := client.get(path, buffered=True)).data,
        answer.content_type,
    )

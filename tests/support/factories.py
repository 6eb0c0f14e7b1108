"""Videos: rows with their files as if they had been copied, and jobs whose copy is to come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conftest import Bench

from service import store
from service.model import Job, Video, VideoState, new_id
from support.sandboxes import Wire

MOVIE = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 20
PICTURE = b"\xff\xd8\xff" + b"jpeg" * 50


def kept_video(bench: Bench, job: Job | None = None, kind: str = "mp4", **changes: Any) -> Video:
    """A job's video and poster, in storage now."""
    now, job = bench.clock(), job or bench.new_job()
    id_ = new_id("vid", now)
    for name, content in ((f"{id_}.{kind}", MOVIE), (f"{id_}.jpg", PICTURE)):
        with bench.wiring.storage.writing(name) as file:
            file.write(content)
    given: dict[str, Any] = {
        "id": id_,
        "account_id": job.account_id,
        "job_id": job.id,
        "state": VideoState.STORED,
        "provider_url": "https://provider.example/a.mp4",
        "provider_expires_at": None,
        "bytes": len(MOVIE),
        "file": f"{id_}.{kind}",
        "poster_file": f"{id_}.jpg",
        "sha256": "ab" * 32,
        "seconds": 5.0,
        "width": 1280,
        "height": 720,
        "attempts": 1,
        "note": "",
        "claims": 1,
        "due_at": None,
        "link_expires_at": now + timedelta(days=90),
        "created_at": now,
        "stored_at": now,
    }
    row = Video(**given | changes)
    with bench.db.write() as tx:
        store.videos.insert(tx, row)
    return row


def path_of(bench: Bench, video: Video) -> str:
    """The path of its link."""
    url = bench.wiring.links.url_for(video.link_expires_at, video=video.id)
    return url.removeprefix(bench.wiring.settings.public_url)


def rendered(bench: Bench, wire: Wire, orders: str = "") -> Job:
    """A job that the sandbox has really made, found by a poll; its copy is still to come."""
    job = bench.new_job(f"[lose] {orders} A fox")
    bench.drain("submit")
    wire.ended(bench.job(job).task_id or "")
    bench.clock.advance(31)
    bench.drain("poll", "reconcile")
    return job


def video_of(bench: Bench, job: Job) -> Video:
    """Our copy of the job's result, as it is now."""
    with bench.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    assert video is not None
    return video

"""Videos: rows with their files as if they had been copied, and jobs whose copy is to come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from service import store
from service.model import Job, Video, VideoState, new_id
from support.harness import Harness
from support.sandboxes import SandboxClient

MOVIE = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 20
PICTURE = b"\xff\xd8\xff" + b"jpeg" * 50


def kept_video(
    harness: Harness, job: Job | None = None, kind: str = "mp4", **changes: Any
) -> Video:
    """A job's video and poster, in storage now."""
    now, job = harness.clock(), job or harness.new_job()
    id_ = new_id("vid", now)
    for name, content in ((f"{id_}.{kind}", MOVIE), (f"{id_}.jpg", PICTURE)):
        with harness.wiring.storage.writing(name) as file:
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
    with harness.db.write() as tx:
        store.videos.insert(tx, row)
    return row


def path_of(harness: Harness, video: Video) -> str:
    """The path of its link."""
    url = harness.wiring.links.url_for(video.link_expires_at, video=video.id)
    return url.removeprefix(harness.wiring.settings.public_url)


def rendered(harness: Harness, sandbox: SandboxClient, orders: str = "") -> Job:
    """A job that the sandbox has really made, found by a poll; its copy is still to come."""
    job = harness.new_job(f"[lose] {orders} A fox")
    harness.drain("submit")
    sandbox.ended(harness.job(job).task_id or "")
    harness.clock.advance(31)
    harness.drain("poll", "reconcile")
    return job


def video_of(harness: Harness, job: Job) -> Video:
    """Our copy of the job's result, as it is now."""
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    assert video is not None
    return video

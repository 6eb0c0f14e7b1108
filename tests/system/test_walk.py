"""The whole walk over real sockets and real processes, and its deaths."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import pytest
from standardwebhooks import Webhook
from support.sandboxes import HEIGHT, SandboxClient, start_sandbox
from support.servers import Clipbell, Hook, eventually

from service.sandbox.vendors.tasks import Task

pytestmark = pytest.mark.postgresql


@pytest.fixture
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SandboxClient]:
    """A sandbox that repeats callbacks quickly; a test may choose the height of its videos."""
    height = getattr(request, "param", HEIGHT)
    with start_sandbox(tmp_path / "sandbox", height=height, retry_delays=(0.2,) * 30) as server:
        yield SandboxClient(server)


@pytest.fixture
def clipbell(provider: SandboxClient, tmp_path: Path, database_url: str) -> Iterator[Clipbell]:
    """A fresh service on either database, its processes not yet started."""
    with Clipbell(
        tmp_path,
        provider.server.url,
        database_url=database_url,
        retry_schedule="0,0.1,0.2,0.4,1,1,1,1",
        submit_timeout="2",
        poll_after="30",
    ) as made:
        yield made


@pytest.mark.parametrize("provider", [720], indirect=True)
def test_walk(clipbell: Clipbell, provider: SandboxClient, tmp_path: Path) -> None:
    """A job goes out, its callback comes in, the hook gets a link that plays."""
    clipbell.start()
    with Hook() as hook:
        made = clipbell.call(
            "POST", "/v1/subscriptions", {"channel": "webhook", "target": hook.url}
        ).json()
        job = clipbell.submit("A fox in the snow", metadata={"order": 7})
        hit = eventually(lambda: hook.hits)[0]
        report = Webhook(made["secret"]).verify(hit.body.decode(), hit.headers)

    assert ("job.succeeded", job["id"]) == (report["type"], report["data"]["id"])
    assert {"order": 7} == report["data"]["metadata"]
    _assert_plays(clipbell, report["data"]["video"], tmp_path)
    _assert_timeline(clipbell, job["id"])
    task = task_of(provider, report["data"]["task_id"])
    assert "callback" == (task.callback_url or "").split("/")[3][:-1]
    assert [200] == [attempt.status for attempt in task.attempts]


def task_of(provider: SandboxClient, task_id: str) -> Task:
    """The task as the sandbox has it."""
    task = provider.server.renderer.book.find(task_id)
    assert task is not None
    return task


def _assert_plays(clipbell: Clipbell, video: dict[str, Any], folder: Path) -> None:
    whole = clipbell.call("GET", video["url"])
    part = clipbell.call("GET", video["url"], headers={"Range": "bytes=4-7"})
    (folder / "video.mp4").write_bytes(whole.body)
    with av.open(str(folder / "video.mp4")) as container:
        stream = container.streams.video[0]
        found = (stream.codec_context.name, stream.width, stream.height)
        seconds = round((container.duration or 0) / av.time_base, 1)

    assert (200, "video/mp4") == (whole.status, whole.headers["Content-Type"])
    assert video["bytes"] == len(whole.body)
    assert (206, b"ftyp") == (part.status, part.body)
    assert ("h264", 1280, 720) == found
    assert (5.0, video["seconds"]) == (seconds, seconds)


def _assert_timeline(clipbell: Clipbell, job_id: str) -> None:
    entries = clipbell.call("GET", f"/v1/jobs/{job_id}/timeline").json()["data"]
    kinds = [entry["kind"] for entry in entries]

    for kind in ("requested", "submitting", "submitted", "callback", "succeeded", "attempt"):
        assert kind in kinds
    # As texts they are in no order: one at a whole second has no fraction.
    moments = [datetime.fromisoformat(entry["at"]) for entry in entries]
    assert sorted(moments) == moments


def test_worker_killed_while_sending(clipbell: Clipbell, provider: SandboxClient) -> None:
    """Struck between sending and the answer, the callback adopts the job; it is paid once."""
    clipbell.start()
    before = len(provider.server.renderer.book.all())
    with Hook() as hook:
        job = clipbell.submit("[hang] A fox", notify=[f"webhook:{hook.url}"])
        eventually(lambda: len(provider.server.renderer.book.all()) > before)
        clipbell.kill("worker")
        clipbell.start_later_worker()
        done = clipbell.await_state(job["id"], "succeeded")
        hits = eventually(lambda: [h for h in hook.hits if h.json()["type"] == "job.succeeded"])

    assert done["video"]["url"] == hits[0].json()["data"]["video"]["url"]
    assert 1 == len(provider.server.renderer.book.all()) - before
    kinds = [
        e["kind"] for e in clipbell.call("GET", f"/v1/jobs/{job['id']}/timeline").json()["data"]
    ]
    assert "adopted" in kinds


def test_web_killed_during_callback(clipbell: Clipbell, provider: SandboxClient) -> None:
    """A callback that finds nobody is repeated by the provider and counts then."""
    clipbell.start()
    with Hook() as hook:
        job = clipbell.submit("[slow 1] A fox", notify=[f"webhook:{hook.url}"])
        clipbell.await_state(job["id"], "submitted")
        clipbell.kill("serve")
        task_id = provider.server.renderer.book.all()[-1].id
        eventually(lambda: task_of(provider, task_id).attempts)
        clipbell.start_web()
        eventually(lambda: hook.hits)

    assert job["id"] == hook.hits[0].json()["data"]["id"]


@pytest.mark.parametrize("kind", ["submitted", "callback", "succeeded"])
def test_worker_killed_anywhere(clipbell: Clipbell, kind: str) -> None:
    """Whatever was under way when the worker died, the link is delivered afterwards."""
    clipbell.start()
    with Hook() as hook:
        job = clipbell.submit("A fox", notify=[f"webhook:{hook.url}"])
        path = f"/v1/jobs/{job['id']}/timeline"

        def reached() -> bool:
            return kind in [entry["kind"] for entry in clipbell.call("GET", path).json()["data"]]

        eventually(reached)
        clipbell.kill("worker")
        clipbell.start_later_worker()
        eventually(lambda: hook.hits)

    assert "job.succeeded" == hook.hits[0].json()["type"]


def test_stops_cleanly(clipbell: Clipbell) -> None:
    """SIGTERM ends web and worker with exit code 0 and no traceback."""
    clipbell.start()

    assert 0 == clipbell.stop("worker")
    assert 0 == clipbell.stop("serve")
    assert "Traceback" not in clipbell.log("worker") + clipbell.log("serve")

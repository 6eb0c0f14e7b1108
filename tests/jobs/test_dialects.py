"""Jobs at a vendor that words its answers in its own way, from the create to the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.harness import Harness
from support.serving import QuietHandler, Served

from service import store
from service.model import Job, JobState

OURS, OTHERS = "https://cdn.example/ours.mp4", "https://cdn.example/others.mp4"


class Dialect(Served):
    """A vendor that says what it is given: to a create, and in turn to the questions."""

    def __init__(self) -> None:
        self.created: Any = {"code": 200, "data": {"taskId": "t1"}}
        self.statuses: list[Any] = []
        vendor = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._say(vendor.created)

            def do_GET(self) -> None:
                self._say(vendor.statuses.pop(0))

            def _say(self, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.serve(Handler)


@pytest.fixture
def vendor() -> Iterator[Dialect]:
    """The vendor, listening."""
    with Dialect() as dialect:
        yield dialect


@pytest.fixture
def settings_given(vendor: Dialect) -> dict[str, Any]:
    """It stands for APIXO."""
    return {"apixo_base_url": vendor.origin, "poll_after": 5, "poll_every": 5}


def ended(harness: Harness) -> tuple[Job, str | None, list[str]]:
    """A job after it was sent and polled to its end: its row, its link, its timeline."""
    job = harness.new_job()
    harness.drain("submit")
    for _ in range(5):
        if harness.job(job).is_final:
            break
        harness.clock.advance(301)
        harness.drain("poll")
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
        steps = [step.message for step in store.steps.of_job(tx, job.id)]
    return harness.job(job), video.provider_url if video else None, steps


def test_relative_of_apixo(harness: Harness, vendor: Dialect) -> None:
    """Codes as text, ids as numbers, a state in capitals, one link instead of a list."""
    vendor.created = {"code": "200", "msg": "success", "data": {"task_id": 7}}
    result = {"resultUrls": OURS}
    done = {"task_id": 7, "state": "SUCCESS", "resultJson": json.dumps(json.dumps(result))}
    vendor.statuses = [{"code": "0", "data": {"state": "queuing"}}, {"code": 0, "data": done}]
    job, link, _ = ended(harness)

    assert (JobState.SUCCEEDED, "7", OURS) == (job.state, job.task_id, link)


def test_failure_of_a_relative(harness: Harness, vendor: Dialect) -> None:
    """The reason for a failure is the vendor's, whatever it calls the failure."""
    failed = {"taskId": "t1", "state": "fail", "failCode": "NSFW", "failMsg": "it broke"}
    vendor.statuses = [{"code": 200, "msg": "success", "data": failed}]
    job, _, steps = ended(harness)
    error = job.error or {}

    assert (JobState.FAILED, "CONTENT_VIOLATION") == (job.state, error["code"])
    assert ("it broke", "NSFW") == (error["message"], error["provider_code"])
    assert any("it broke" in step for step in steps)


def test_answers_about_another_task(harness: Harness, vendor: Dialect) -> None:
    """Another job's video is not delivered: the timeline says so, and the vendor is asked again."""
    result = {"state": "success", "resultJson": json.dumps({"resultUrls": [OTHERS]})}
    other = {"code": 200, "data": {"taskId": "t2"} | result}
    ours = {"taskId": "t1", "state": "success", "resultJson": {"resultUrls": [OURS]}}
    vendor.statuses = [other, other, {"code": 200, "data": ours}]
    job, link, steps = ended(harness)

    assert (JobState.SUCCEEDED, OURS) == (job.state, link)
    assert 1 == sum("task t2 instead of t1" in step for step in steps)


def test_word_that_nobody_knows(harness: Harness, vendor: Dialect) -> None:
    """It ends nothing, and stands in the timeline with the vendor's message."""
    odd = {"taskId": "t1", "state": "POLISHING", "msg": "nearly there", "resultUrls": [OTHERS]}
    done = {"taskId": "t1", "state": "Completed", "video": {"url": f" {OURS} "}}
    vendor.statuses = [{"code": 200, "data": data} for data in (odd, odd, done)]
    job, link, steps = ended(harness)

    assert (JobState.SUCCEEDED, OURS) == (job.state, link)
    assert 1 == sum("'POLISHING'" in step and "nearly there" in step for step in steps)

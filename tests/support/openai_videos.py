"""Videos at OpenAI's API: creates that are answered, and the jobs behind them."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from service import store
from service.model import Job
from support.harness import Harness

VIDEOS = "/v1/videos"
FOX: dict[str, Any] = {"model": "kling-2", "prompt": "A fox"}
IMAGE = "https://pictures.example/a.jpg"


def made(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    """A video that was created, and answered with 200."""
    answer = client.post(VIDEOS, json=FOX | fields)
    assert 200 == answer.status_code, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def job_of(harness: Harness, video: dict[str, Any]) -> Job:
    """The job behind a video."""
    with harness.db.read() as tx:
        job = store.jobs.find(tx, video["id"])
    assert job is not None
    return job

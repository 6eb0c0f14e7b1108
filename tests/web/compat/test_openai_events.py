"""Events in OpenAI's shape, verified and read by OpenAI's own library."""

from __future__ import annotations

from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from support.servers import Clipbell, Hook, eventually

FORMAT = {"channel": "webhook", "format": "openai"}


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("A fox", "video.completed"), ("[fail NSFW] A fox", "video.failed")],
)
def test_unwrap(clipbell: Clipbell, prompt: str, expected: str) -> None:
    """The end of a job is one event that `unwrap` verifies, with the id to ask with."""
    with Hook() as hook:
        job = clipbell.submit(prompt, notify=[{**FORMAT, "target": hook.url}])
        hit = eventually(lambda: hook.hits)[0]
        with OpenAI(api_key="x", webhook_secret=clipbell.webhook_secret) as client:
            event: Any = client.webhooks.unwrap(hit.body, hit.headers)
        with OpenAI(api_key="x") as client, pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.unwrap(hit.body, hit.headers, secret="whsec_" + "A" * 32)

    assert (expected, "event", job["id"]) == (event.type, event.object, event.data.id)
    assert event.id == hit.headers["webhook-id"]


def test_only_ends_can_be_reported(clipbell: Clipbell) -> None:
    """OpenAI has events for the ends only: others are refused, and named if none is."""
    spec = {**FORMAT, "target": "http://127.0.0.1:9/"}
    refused = clipbell.call("POST", "/v1/subscriptions", {**spec, "events": ["job.held"]})
    made = clipbell.call("POST", "/v1/subscriptions", spec).json()
    clipbell.call("DELETE", f"/v1/subscriptions/{made['id']}")

    assert (422, "/format") == (refused.status, refused.json()["errors"][0]["pointer"])
    assert ["job.succeeded", "job.failed", "job.canceled"] == made["events"]

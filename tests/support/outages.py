"""Questions to a running service while something around it is broken."""

from __future__ import annotations

import uuid
from typing import Any

from service.sandbox.vendors.tasks import Task
from support.sandboxes import SandboxClient
from support.servers import Clipbell, Reply, eventually

#: Settings for who cannot wait long.
QUICK = {
    "retry_schedule": "0" + ",0.5" * 200,
    "submit_timeout": "20",
    "poll_after": "90",
    "archive_wait": "0",
}


def tasks(provider: SandboxClient, prompt: str) -> list[Task]:
    """What the provider was asked to make, and paid for, with that prompt."""
    return [t for t in provider.server.renderer.book.all() if t.values["prompt"] == prompt]


def fresh(what: str) -> str:
    """A prompt that no other test has."""
    return f"{what} {uuid.uuid4().hex[:12]}"


def readyz(clipbell: Clipbell) -> tuple[int, Any]:
    """Status, and what it says."""
    answer = clipbell.call("GET", "/readyz")
    return answer.status, answer.json()


def await_words(clipbell: Clipbell, status: int, check: str, *words: str) -> None:
    """Until `/readyz` answers so, and says all these words of that check."""

    def said() -> bool:
        found, body = readyz(clipbell)
        return found == status and all(word in body["checks"][check] for word in words)

    eventually(said)


def steps(clipbell: Clipbell, job_id: str) -> list[str]:
    """The kinds of the job's timeline."""
    entries = clipbell.call("GET", f"/v1/jobs/{job_id}/timeline").json()["data"]
    return [entry["kind"] for entry in entries]


def ask(clipbell: Clipbell, prompt: str, key: str, **more: Any) -> Reply:
    """Ask for a job, with an `Idempotency-Key`."""
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": prompt}, "notify": []} | more
    return clipbell.call("POST", "/v1/jobs", body, {"Idempotency-Key": key})

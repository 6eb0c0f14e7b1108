"""`export` and the filters of `jobs`: what is reported of jobs, and what never is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from support.servers import Clipbell

from service import store
from service.bootstrap import Wiring
from service.model import Attempt, JobState

HEADERS = {"User-Agent": "apixo", "Authorization": "Bearer hush", "X-Signature": "hush"}


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json").stdout)


def test_whole_and_harmless(clipbell: Clipbell, worker: Wiring) -> None:
    """The export holds callbacks and deliveries whole, but no token, secret or proof."""
    notify = ("--notify", "webhook:https://example.com/hook?key=hush")
    job = shown(clipbell, "submit", "kling-2-5-turbo-pro", "--prompt", "A fox", *notify)
    now = worker.clock()
    url = worker.signer.url_for(now + timedelta(days=1), job=job["id"], provider="apixo")
    body = json.dumps({"data": {"callback_url": url, "state": "failed"}}).encode()
    worker.ingest.insert(job["id"], "apixo", HEADERS, body, now)
    shown(clipbell, "cancel", job["id"])
    clipbell.run("subscriptions", "list")
    with worker.db.write() as tx:
        for delivery in store.deliveries.of_job(tx, job["id"]):
            tried = Attempt(delivery.id, 1, 500, "it answered 500", "oops", 7, now)
            store.deliveries.add_attempt(tx, tried)
    text = clipbell.run("export", job["id"]).stdout
    found = json.loads(text)

    assert found == shown(clipbell, "export", job["id"])
    assert {"job", "timeline", "callbacks", "deliveries"} == found.keys()
    assert (job["id"], "canceled") == (found["job"]["id"], found["job"]["state"])
    assert {"requested", "canceled", "event"} <= {entry["kind"] for entry in found["timeline"]}
    (callback,) = found["callbacks"]
    assert f"{clipbell.url}/callbacks/***" == json.loads(callback["body"])["data"]["callback_url"]
    assert {"User-Agent": "apixo"} == {k: v for k, v in callback["headers"].items() if v != "***"}
    assert url.rpartition("/")[2] not in text
    assert "hush" not in text


def test_filters(clipbell: Clipbell, worker: Wiring) -> None:
    """State, model, age and the beginning of an id narrow the list, alone and together."""
    made = [
        shown(clipbell, "submit", model, "--prompt", "A fox")["id"]
        for model in ("kling-2", "kling-2.5-turbo")
    ]
    with worker.db.write() as tx:
        changes = {"state": JobState.SUBMITTED, "task_id": "task-7"}
        store.jobs.change(tx, made[0], list(JobState), **changes)

    def ids(*arguments: str) -> list[str]:
        return [job["id"] for job in shown(clipbell, "jobs", *arguments)]

    assert [made[0]] == ids("--state", "submitted") == ids("--q", "task-") == ids("-q", made[0])
    assert [made[1]] == ids("--model", "kling-2.5-turbo", "--since", "1h", "--state", "queued")
    assert [] == ids("--since", "2030-01-01")
    assert "No job matches" in clipbell.run("jobs", "--model", "kling-text2video").stdout

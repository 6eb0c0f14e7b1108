"""The operator's routes, and ending an unknown job by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service import store
from service.accounts import create_key
from service.jobs.answers import hold_job, mark_unknown
from service.model import Job, JobState
from service.model.error_codes import job_error
from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, with the operator's key on every request."""
    made = create_app(harness.wiring).test_client()
    made.environ_base["HTTP_X_API_KEY"] = harness.key
    return made


def claimed(harness: Harness) -> Job:
    """A job that a worker has just taken."""
    harness.new_job()
    with harness.db.write() as tx:
        job = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60)
    assert job is not None
    return job


def test_hold_and_resume(harness: Harness, client: FlaskClient) -> None:
    """A held provider is shown as held; resuming queues its held jobs again."""
    job = claimed(harness)
    with harness.db.write() as tx:
        hold_job(tx, job, job_error("INSUFFICIENT_CREDITS", "none left"), None, harness.clock())
    held = client.post("/v1/providers/apixo/hold").get_json()
    resumed = client.post("/v1/providers/apixo/resume").get_json()

    assert ("held by an operator", None) == (held["held"], resumed["held"])
    assert JobState.QUEUED is harness.job(job).state


def test_wait_is_shown_and_ended(harness: Harness, client: FlaskClient) -> None:
    """A vendor that asked for time is shown with what is left of it; resuming ends that."""
    with harness.db.write() as tx:
        store.providers.pause(tx, "apixo", harness.clock() + timedelta(seconds=900))
    (waiting,) = [
        one for one in client.get("/v1/providers").get_json()["data"] if one["id"] == "apixo"
    ]
    resumed = client.post("/v1/providers/apixo/resume").get_json()

    assert (900.0, 0.0) == (waiting["paused_seconds"], resumed["paused_seconds"])


def test_held_providers_get_nothing(harness: Harness, client: FlaskClient) -> None:
    """While it is held, nothing is claimed for it."""
    harness.new_job()
    client.post("/v1/providers/apixo/hold")
    with harness.db.write() as tx:
        assert store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60) is None


def test_operators_only(harness: Harness, client: FlaskClient) -> None:
    """A key without the scope operator cannot stop a provider for everybody."""
    with harness.db.write() as tx:
        key = create_key(tx, harness.account.id, "admin", ("read", "admin"), harness.clock())
    answer = client.post("/v1/providers/apixo/hold", headers={"x-api-key": key})

    assert 403 == answer.status_code
    assert 404 == client.post("/v1/providers/nobody/hold").status_code


def unknown(harness: Harness) -> Job:
    """A job that may have been sent."""
    job = claimed(harness)
    with harness.db.write() as tx:
        mark_unknown(tx, job, "no answer", harness.clock())
    return job


@pytest.mark.parametrize(
    ("body", "state", "task_id"),
    [
        ({"task_id": "t1"}, "submitted", "t1"),
        ({"resend": True}, "queued", None),
        ({"fail": True}, "failed", None),
    ],
)
def test_resolve(
    harness: Harness, client: FlaskClient, body: dict[str, object], state: str, task_id: str | None
) -> None:
    """A person says what became of an unknown job: its task, once more, or nothing."""
    job = unknown(harness)
    found = client.post(f"/v1/jobs/{job.id}/resolve", json=body).get_json()

    assert (state, task_id) == (found["state"], found["task_id"])


@pytest.mark.parametrize("task_id", [" ", "two words", "a" * 201, "a" * 5000])
def test_no_task_id(harness: Harness, client: FlaskClient, task_id: str) -> None:
    """What can be no id of a task is refused, and the job stays as it was."""
    job = unknown(harness)
    answer = client.post(f"/v1/jobs/{job.id}/resolve", json={"task_id": task_id})
    (fault,) = answer.get_json()["errors"]

    assert (422, "/task_id") == (answer.status_code, fault["pointer"])
    assert JobState.UNKNOWN is harness.job(job).state


def test_resolve_refusals(harness: Harness, client: FlaskClient) -> None:
    """Only unknown jobs, only one way at a time, never another job's task."""
    first, second = unknown(harness), unknown(harness)
    queued = harness.new_job()
    client.post(f"/v1/jobs/{first.id}/resolve", json={"task_id": "t1"})
    found = [
        client.post(f"/v1/jobs/{second.id}/resolve", json={"task_id": "t1"}),
        client.post(f"/v1/jobs/{queued.id}/resolve", json={"fail": True}),
        client.post(f"/v1/jobs/{second.id}/resolve", json={"fail": True, "resend": True}),
        client.post(f"/v1/jobs/{second.id}/resolve", json={"task_id": ""}),
        client.post(f"/v1/jobs/{second.id}/resolve", json={"task_id": "t\x00"}),
    ]

    assert [409, 409, 422, 422, 422] == [answer.status_code for answer in found]
    assert JobState.UNKNOWN is harness.job(second).state

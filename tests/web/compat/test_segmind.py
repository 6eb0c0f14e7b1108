"""Segmind's API: its statuses, its headers, its waiting."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.factories import MOVIE, kept_video
from support.harness import Harness
from support.sandboxes import SandboxClient, png
from support.servers import Clipbell, Reply, eventually

from service import store
from service.accounts import create_key
from service.jobs.answers import settle_refused
from service.jobs.journal import Refusal
from service.model import JobState
from service.web.app import create_app

FOX = {"prompt": "A fox", "duration": 5}


@pytest.fixture(scope="module")
def clipbell(
    sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clipbell]:
    """A running service with one slot for requests that wait."""
    folder = tmp_path_factory.mktemp("clipbell")
    settings = {"poll_after": "0.2", "poll_every": "0.2", "sync_waiters": "1", "sync_timeout": "3"}
    settings["budget"] = "1000"
    with Clipbell(folder, sandbox.server.url, **settings) as made:
        yield made.start()


def test_answers_json_unless_video_is_asked_for(clipbell: Clipbell) -> None:
    """Without a video type in Accept the answer is JSON with our stable link and the facts."""
    answer = clipbell.call("POST", "/v1/kling-2", FOX)
    body = answer.json()

    assert (200, "application/json") == (answer.status, answer.headers["Content-Type"])
    assert "COMPLETED" == body["status"]
    assert body["output"].startswith(f"{clipbell.url}/v/")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Accept" == answer.headers["Vary"]
    assert 1.75 == body["metrics"]["cost"]
    assert "1.75" == answer.headers["x-cost"]
    assert 0 < float(answer.headers["x-remaining-credits"]) <= 1000 - 1.75


@pytest.mark.parametrize(
    ("prompt", "status"),
    [("[fail NSFW_DETECTED] A fox", 400), ("[refuse 403 broken] A fox", 403)],
)
def test_failed_jobs_have_the_vendors_status(clipbell: Clipbell, prompt: str, status: int) -> None:
    """What went wrong at the vendor comes with one of its documented statuses and `error`."""
    answer = clipbell.call("POST", "/v1/kling-2", {**FOX, "prompt": prompt})

    assert status == answer.status
    assert answer.json()["error"]


def test_time_over_names_the_job_which_goes_on(clipbell: Clipbell) -> None:
    """A 504 tells the job; asked later, it is there."""
    answer = clipbell.call("POST", "/v1/kling-2", {**FOX, "prompt": "[slow 5] A fox"})
    job_id = answer.headers["x-request-id"]

    assert 504 == answer.status
    assert job_id in answer.json()["error"]
    assert "succeeded" == clipbell.await_state(job_id, "succeeded")["state"]
    assert 200 == clipbell.call("GET", f"/v2/requests/{job_id}").status


def test_no_free_slot_is_429_before_any_job(clipbell: Clipbell) -> None:
    """When all slots wait, the next gets 503 with Retry-After, and nothing was made."""
    slow = {**FOX, "prompt": "[slow 2] A slow fox"}
    first = threading.Thread(target=clipbell.call, args=("POST", "/v1/kling-2", slow))
    first.start()
    eventually(lambda: _named(clipbell, "slow fox"))
    answer = clipbell.call("POST", "/v1/kling-2", {**FOX, "prompt": "One too many"})
    first.join()

    assert (429, True) == (answer.status, "Retry-After" in answer.headers)
    assert [] == _named(clipbell, "One too many")


def _named(clipbell: Clipbell, words: str) -> list[dict[str, Any]]:
    jobs = clipbell.call("GET", "/v1/jobs?limit=100").json()["data"]
    return [job for job in jobs if words in job["input"]["prompt"]]


def test_respond_async(clipbell: Clipbell) -> None:
    """`Prefer: respond-async` is 202 at once, with where to look."""
    answer = clipbell.call("POST", "/v1/kling-2", FOX, {"Prefer": "respond-async"})

    assert (202, "respond-async") == (answer.status, answer.headers["Preference-Applied"])
    assert answer.headers["Location"].endswith(answer.json()["request_id"])


def test_same_key_is_one_job(clipbell: Clipbell) -> None:
    """The same request under the same key is one job; its answer is replayed."""
    key = {"Idempotency-Key": "once"}
    body = {**FOX, "prompt": "A fox for once"}
    first = clipbell.call("POST", "/v1/kling-2", body, key)
    second = clipbell.call("POST", "/v1/kling-2", body, key)
    other = clipbell.call("POST", "/v1/kling-2", {**body, "duration": 10}, key)

    assert (200, 200, first.body) == (first.status, second.status, second.body)
    assert "true" == second.headers["Idempotency-Replayed"]
    assert 400 == other.status
    assert 1 == len(_named(clipbell, "fox for once"))


def test_shutdown_frees_those_who_wait(sandbox: SandboxClient, tmp_path: Path) -> None:
    """SIGTERM answers 504 at once to those who wait; their job goes on."""
    answers: list[Reply] = []
    with Clipbell(tmp_path, sandbox.server.url) as clipbell:
        clipbell.start()

        def wait() -> None:
            body = {**FOX, "prompt": "[slow 30] A fox"}
            answers.append(clipbell.call("POST", "/v1/kling-2", body))

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: clipbell.call("GET", "/v1/jobs").json()["data"])
        clipbell.stop("serve")
        waiting.join(10)

    assert [504] == [answer.status for answer in answers]


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app without processes, on either database."""
    return create_app(harness.wiring).test_client()


def head(harness: Harness) -> dict[str, str]:
    """What every request carries."""
    return {"x-api-key": harness.key}


@pytest.mark.parametrize(
    ("kind", "accept", "expected"),
    [
        ("mp4", "video/mp4", "video/mp4"),
        ("webm", "video/mp4", "video/webm"),
        ("webm", "video/*", "video/webm"),
        ("webm", "video/webm, application/json;q=0.5", "video/webm"),
        ("mov", "video/*", "video/quicktime"),
        ("webm", "application/json", "application/json"),
        ("mp4", "video/webm", "application/json"),
    ],
)
def test_kind_of_the_video(
    harness: Harness, client: FlaskClient, kind: str, accept: str, expected: str
) -> None:
    """Whoever asks for the video gets it as what it is; a label that is not true helps nobody."""
    headers = {**head(harness), "Idempotency-Key": "once"}
    later = {**headers, "Prefer": "respond-async"}
    made = client.post("/v1/kling-2", json=FOX, headers=later).get_json()
    with harness.db.write() as tx:
        store.jobs.change(tx, made["request_id"], [JobState.QUEUED], state=JobState.SUCCEEDED)
        job = store.jobs.find(tx, made["request_id"])
    assert job is not None
    kept_video(harness, job, kind=kind)
    answer = client.post(
        "/v1/kling-2", json=FOX, headers={**headers, "Accept": accept}, buffered=True
    )

    assert (200, expected) == (answer.status_code, answer.mimetype)
    if expected != "application/json":
        name = f"{job.id}.{kind}"
        assert (MOVIE, f"inline; filename={name}") == (
            answer.data,
            answer.headers["Content-Disposition"],
        )


def test_refusals(harness: Harness, client: FlaskClient) -> None:
    """Key, model, method, content type and body have the statuses of the vendor's pages."""
    headers = head(harness)
    found = [
        client.post("/v1/kling-2", json=FOX),
        client.post("/v1/kling-9", json=FOX, headers=headers),
        client.get("/v1/kling-2", headers=headers),
        client.post("/v1/kling-2", data="x", content_type="text/plain", headers=headers),
        client.post("/v1/kling-2", data="{", content_type="application/json", headers=headers),
        client.post("/v1/kling-2", json={"prompt": "A fox", "duration": 7}, headers=headers),
        client.post("/v2/kling-9", json=FOX, headers=headers),
        client.get("/v2/requests/job_0", headers=headers),
        client.get("/v1/requests/job_0", headers=headers),
        client.get("/v2/kling-2", headers=headers),
        client.post("/v2/kling-2/", json=FOX, headers=headers),
        client.delete("/v1/requests/job_0", headers=headers),
    ]

    statuses = [answer.status_code for answer in found]
    assert [401, 404, 405, 406, 400, 400, 404, 404, 404, 405, 404, 405] == statuses
    assert all("application/json" == answer.content_type for answer in found)
    assert all(answer.get_json()["error"] for answer in found)
    assert "OPTIONS, POST" == found[2].headers["Allow"]


@pytest.mark.parametrize("path", ["/v1/kling-2", "/v2/kling-2"])
def test_fault_outside_the_body(harness: Harness, client: FlaskClient, path: str) -> None:
    """A fault of a header or of the query is named, with what is right."""
    headers = head(harness)
    answers = [
        client.post(path, json=FOX, headers=headers | {"Idempotency-Key": "k" * 256}),
        client.post(f"{path}?colour=%00", json=FOX, headers=headers),
    ]

    assert [
        "Idempotency-Key: must have from 1 to 255 characters",
        "colour: must hold no NUL",
    ] == [answer.get_json()["error"] for answer in answers]


def test_replay_without_waiting(harness: Harness, client: FlaskClient) -> None:
    """Who wants no wait and asks again under one key gets the same job, marked as a replay."""
    headers = head(harness) | {"Idempotency-Key": "k", "Prefer": "respond-async"}
    first, again = (client.post("/v1/kling-2", json=FOX, headers=headers) for _ in range(2))

    assert (202, first.data) == (again.status_code, again.data)
    assert [None, "true"] == [a.headers.get("Idempotency-Replayed") for a in (first, again)]


def test_coded_body(harness: Harness, client: FlaskClient) -> None:
    """The API reads gzip; under one key the same request is one job, coded or in clear."""
    headers = head(harness) | {"Content-Type": "application/json", "Idempotency-Key": "k"}
    body = json.dumps(FOX).encode()
    answers = [
        client.post("/v2/kling-2", data=data, headers=headers | {"Content-Encoding": header})
        for header, data in (("gzip", gzip.compress(body)), ("identity", body), ("compress", body))
    ]

    assert [200, 200, 406] == [answer.status_code for answer in answers]
    assert answers[0].get_json() == answers[1].get_json()


@pytest.mark.parametrize("settings_given", [{"budget": 2.0}])
def test_no_budget_is_406_at_once(harness: Harness, client: FlaskClient) -> None:
    """The API never holds a job: what the budget does not cover is refused, and not made."""
    harness.drain("submit")
    answer = client.post("/v2/kling-2", json={**FOX, "duration": 10}, headers=head(harness))

    assert 406 == answer.status_code
    assert "Insufficient credits" in answer.get_json()["error"]
    assert [] == client.get("/v1/jobs", headers=head(harness)).get_json()["data"]


def test_held_provider_is_406_at_once(harness: Harness, client: FlaskClient) -> None:
    """While the vendor's own credits are gone, its API says so before any job exists."""
    with harness.db.write() as tx:
        store.providers.hold(tx, "segmind", "INSUFFICIENT_CREDITS: none left")
    answer = client.post("/v2/kling-2", json=FOX, headers=head(harness))

    assert 406 == answer.status_code


def test_who_waits_is_refused_when_the_credits_end(harness: Harness, client: FlaskClient) -> None:
    """Such a job that is queued when the vendor's credits end is refused, not held."""
    path = client.post("/v2/kling-2", json=FOX, headers=head(harness)).get_json()["response_url"]
    own = harness.new_job(model="kling-2", input=FOX)
    with harness.db.write() as tx:
        first = store.jobs.claim_queued(tx, ["segmind"], harness.clock(), 60)
        assert first is not None
        refused = Refusal("INSUFFICIENT_CREDITS", "none left")
        settle_refused(tx, first, refused, harness.clock())
    answer = client.get(
        path.removeprefix(harness.wiring.settings.public_url), headers=head(harness)
    )

    assert (422, "FAILED") == (answer.status_code, answer.get_json()["status"])
    assert JobState.QUEUED is harness.job(own).state


@pytest.mark.parametrize(("megabytes", "status"), [(9, 200), (11, 400)])
def test_large_images(harness: Harness, client: FlaskClient, megabytes: int, status: int) -> None:
    """An inline image may have up to 10 MB, and one that is larger gets an error that says so."""
    image = png("#c81e1e") + b"0" * (megabytes * 1024 * 1024)
    body = {**FOX, "start_image": base64.b64encode(image).decode()}
    answer = client.post("/v2/kling-2", json=body, headers=head(harness))

    assert status == answer.status_code
    assert status == 200 or "10 MB" in answer.get_json()["error"]


def test_scope(harness: Harness, client: FlaskClient) -> None:
    """A key that may only read gets the vendor's 403."""
    with harness.db.write() as tx:
        key = create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
    answer = client.post("/v1/kling-2", json=FOX, headers={"x-api-key": key})

    assert (403, True) == (answer.status_code, bool(answer.get_json()["error"]))


def test_others_see_nothing(harness: Harness, client: FlaskClient) -> None:
    """Another account's key finds no request of ours."""
    made = client.post("/v2/kling-2", json=FOX, headers=head(harness)).get_json()
    _, charlie = harness.new_account("charlie")
    path = f"/v2/requests/{made['request_id']}"

    assert 200 == client.get(path, headers=head(harness)).status_code
    assert 404 == client.get(path, headers={"x-api-key": charlie}).status_code

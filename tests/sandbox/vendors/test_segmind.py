"""Segmind's wire as the sandbox speaks it, both versions."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
from support.sandboxes import Response, SandboxClient, start_sandbox

from service.catalogue.models import MODELS

TURBO = "kling-2.5-turbo"
FOX = {"prompt": "A fox", "duration": 5}
METRICS = {
    "cost",
    "remaining_credits",
    "inference_time",
    "queue_time",
    "total_time",
    "retry_count",
}


def submit(sandbox: SandboxClient, slug: str, **body: Any) -> str:
    """Sends a request to version 2 and waits for its end; returns its id."""
    answer = sandbox.call("POST", f"/v2/{slug}", FOX | body)
    assert 200 == answer.status, answer.body
    return sandbox.ended(answer.json()["request_id"]).id


def result(sandbox: SandboxClient, request_id: str) -> Response:
    """Version 2's result."""
    return sandbox.call("GET", f"/v2/requests/{request_id}")


@pytest.mark.parametrize("slug", [TURBO, "kling-text2video", "kling-2"])
def test_version_1_is_the_video(sandbox: SandboxClient, slug: str) -> None:
    """The answer is the file itself, with cost and credits in its headers."""
    answer = sandbox.call("POST", f"/v1/{slug}", FOX)

    assert (200, "video/mp4") == (answer.status, answer.headers["content-type"])
    assert b"ftyp" == answer.body[4:8]
    assert 32 == len(answer.headers["x-request-id"])
    assert MODELS[slug].price_min == float(answer.headers["x-cost"])
    assert float(answer.headers["x-remaining-credits"]) < 1e6
    assert float(answer.headers["x-generation-time"]) > 0


def test_version_1_as_json(sandbox: SandboxClient) -> None:
    """Ordered so, it answers with the file's address instead."""
    body = sandbox.call("POST", f"/v1/{TURBO}", FOX | {"prompt": "A fox [json]"}).json()

    assert "COMPLETED" == body["status"]
    assert b"ftyp" == sandbox.call("GET", body["output"]).body[4:8]


def test_version_1_failure(sandbox: SandboxClient) -> None:
    """A failed generation is an error with the reason, and costs nothing."""
    before = sandbox.server.renderer.book.credits
    answer = sandbox.call("POST", f"/v1/{TURBO}", FOX | {"prompt": "A fox [fail NSFW]"})

    assert (500, ["error"]) == (answer.status, list(answer.json()))
    assert "NSFW" in answer.json()["error"]
    assert before == sandbox.server.renderer.book.credits


def test_version_1_cut(sandbox: SandboxClient) -> None:
    """The held connection can break in the middle of the video."""
    with pytest.raises(http.client.IncompleteRead):
        sandbox.call("POST", f"/v1/{TURBO}", FOX | {"prompt": "A fox [cut]"})


def test_version_2_submit(sandbox: SandboxClient) -> None:
    """A submit answers at once with the addresses to ask."""
    body = sandbox.call("POST", f"/v2/{TURBO}", FOX).json()
    request_id, url = body["request_id"], sandbox.server.url

    expected = {
        "request_id": request_id,
        "status": "QUEUED",
        "poll_url": f"{url}/v1/requests/{request_id}",
        "status_url": f"{url}/v2/requests/{request_id}/status",
        "response_url": f"{url}/v2/requests/{request_id}",
    }
    assert expected == body


def test_version_2_under_way(sandbox: SandboxClient) -> None:
    """Before its end a request has neither output nor metrics."""
    body = sandbox.call("POST", f"/v2/{TURBO}", FOX | {"prompt": "A fox [slow 3600]"}).json()
    sandbox.when(body["request_id"], lambda task: task.started is not None)

    expected = {"request_id": body["request_id"], "status": "PROCESSING"}
    assert expected == sandbox.call("GET", body["status_url"]).json()
    assert expected == sandbox.call("GET", body["response_url"]).json()


def test_version_2_completed(sandbox: SandboxClient) -> None:
    """Status tells the metrics, result and the older address the output too."""
    request_id = submit(sandbox, TURBO)
    status = sandbox.call("GET", f"/v2/requests/{request_id}/status").json()
    body = result(sandbox, request_id).json()
    older = sandbox.call("GET", f"/v1/requests/{request_id}").json()

    assert ("COMPLETED", "COMPLETED") == (status["status"], body["status"])
    assert "output" not in status
    assert body["output"] == older["output"] == f"{sandbox.server.url}/files/{request_id}.mp4"
    assert METRICS == set(body["metrics"])
    assert 0.44 == body["metrics"]["cost"]


def test_version_2_failed(sandbox: SandboxClient) -> None:
    """A failure is an HTTP 422 on both addresses."""
    request_id = submit(sandbox, TURBO, prompt="A fox [fail CONTENT_VIOLATION]")
    answers = [
        result(sandbox, request_id),
        sandbox.call("GET", f"/v2/requests/{request_id}/status"),
    ]

    for answer in answers:
        assert (422, "FAILED") == (answer.status, answer.json()["status"])
        assert "CONTENT_VIOLATION" in answer.json()["error"]
        assert 0.0 == answer.json()["metrics"]["cost"]


def test_version_2_faults(sandbox: SandboxClient) -> None:
    """Gateway pages, unheard-of states and empty results come here as well."""
    html, odd = (
        submit(sandbox, TURBO, prompt="[html] A"),
        submit(sandbox, TURBO, prompt="[empty] A"),
    )
    new = submit(sandbox, TURBO, prompt="A [unknown-state THROTTLED]")

    assert [502, 502, 200] == [result(sandbox, html).status for _ in range(3)]
    assert None is result(sandbox, odd).json()["output"]
    states = [result(sandbox, new).json()["status"] for _ in range(3)]
    assert ["THROTTLED", "THROTTLED", "COMPLETED"] == states


def test_version_2_drop(sandbox: SandboxClient) -> None:
    """A submit can be lost on its way back although it was taken."""
    before = len(sandbox.server.renderer.book.all())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        sandbox.call("POST", f"/v2/{TURBO}", FOX | {"prompt": "A fox [drop]"})

    assert before + 1 == len(sandbox.server.renderer.book.all())


def test_records_fade(tmp_path: Path) -> None:
    """After its time a request is unknown, while its file is still served."""
    with start_sandbox(tmp_path, record_seconds=0.0) as server:
        sandbox = SandboxClient(server)
        request_id = submit(sandbox, TURBO)

        assert 404 == result(sandbox, request_id).status
        assert 200 == sandbox.call("GET", f"/files/{request_id}.mp4").status


@pytest.mark.parametrize("headers", [{"x-api-key": ""}, {"x-api-key": "  "}])
def test_bearer_is_no_key(sandbox: SandboxClient, headers: dict[str, str]) -> None:
    """Without x-api-key it is a 401, whatever the bearer token says."""
    for method, path in (("POST", f"/v1/{TURBO}"), ("POST", f"/v2/{TURBO}")):
        answer = sandbox.call(method, path, FOX, headers)
        assert 401 == answer.status
        assert {"error", "error_description", "status_code"} == set(answer.json())


def test_requests_of_another_key(tmp_path: Path) -> None:
    """Charlie gets no API, and bob sees nothing of alice's."""
    with start_sandbox(tmp_path, api_keys=frozenset({"alice", "bob"})) as server:
        sandbox = SandboxClient(server)
        keys = [{"x-api-key": name} for name in ("alice", "bob", "charlie")]
        path = sandbox.call("POST", f"/v2/{TURBO}", FOX, keys[0]).json()["response_url"]

        assert [200, 404, 401] == [sandbox.call("GET", path, headers=key).status for key in keys]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/kling-9", 404, "application/json"),
        ("POST", "/v2/kling-2-5-turbo-pro", 404, "application/json"),
        ("GET", "/v2/requests/" + "f" * 32, 404, "application/json"),
        ("GET", f"/v1/{TURBO}", 405, "text/html; charset=utf-8"),
        ("GET", "/v2/nowhere/at/all", 404, "application/json"),
    ],
)
def test_nothing_there(
    sandbox: SandboxClient, method: str, path: str, status: int, kind: str
) -> None:
    """Unknown models and requests are JSON, a wrong method is a page."""
    answer = sandbox.call(method, path, FOX if method == "POST" else None)

    assert (status, kind) == (answer.status, answer.headers["content-type"])


@pytest.mark.parametrize(
    ("order", "status", "message"),
    [
        ("refuse 406", 406, "Insufficient credits"),
        ("refuse 406 Team spend limit reached", 406, "Team spend limit reached"),
        ("refuse 504", 504, "Timeout"),
        ("refuse 410 Model retired", 410, "Model retired"),
        ("refuse 429", 429, "Rate limit exceeded"),
    ],
)
def test_refuse(sandbox: SandboxClient, order: str, status: int, message: str) -> None:
    """An ordered refusal speaks with the vendor's words unless it is given others."""
    answer = sandbox.call("POST", f"/v2/{TURBO}", FOX | {"prompt": f"A fox [{order}]"})

    assert (status, message) == (answer.status, answer.json()["error"])


def test_refuse_405_is_html(sandbox: SandboxClient) -> None:
    """The vendor's 405 is no JSON."""
    answer = sandbox.call("POST", f"/v2/{TURBO}", FOX | {"prompt": "A fox [refuse 405]"})

    assert (405, "text/html; charset=utf-8") == (answer.status, answer.headers["content-type"])


def test_content_type(sandbox: SandboxClient) -> None:
    """A body not said to be JSON is the 406 that looks like a billing error."""
    answer = sandbox.call("POST", f"/v1/{TURBO}", FOX, {"Content-Type": "text/plain"})

    assert (406, {"error": "Invalid content type"}) == (answer.status, answer.json())


def test_credits_run_out(tmp_path: Path) -> None:
    """A request that costs more than is left is a 406, and nothing is made."""
    with start_sandbox(tmp_path, credits=0.5) as server:
        sandbox = SandboxClient(server)
        submit(sandbox, TURBO)
        answer = sandbox.call("POST", f"/v1/{TURBO}", FOX)

        assert (406, {"error": "Insufficient credits"}) == (answer.status, answer.json())
        assert 1 == len(server.renderer.book.all())

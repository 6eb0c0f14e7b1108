"""APIXO's wire as the sandbox speaks it: envelopes, strictness, images, callbacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.sandboxes import (
    APIXO,
    APIXO_STATUS,
    Pictures,
    Response,
    SandboxClient,
    png,
    start_sandbox,
)
from support.servers import free_port

GOOD = {"prompt": "A fox", "mode": "text-to-video", "duration": 5}
FRAMES = {"prompt": "A fox", "mode": "image-to-video", "duration": 5}
URL = "https://example.com/a.png"


def refused(answer: Response) -> tuple[int, int, str]:
    """HTTP status, the envelope's code, and its detail; the shape is checked on the way."""
    body = answer.json()
    assert {"code", "message", "data"} == set(body)
    assert ["error"] == list(body["data"])
    return answer.status, body["code"], body["data"]["error"]


def test_create_answer(sandbox: SandboxClient) -> None:
    """A create answers with the envelope and an id of 32 hex digits."""
    answer = sandbox.apixo("A fox")
    body = answer.json()

    assert (200, 200, "success") == (answer.status, body["code"], body["message"])
    assert ["taskId"] == list(body["data"])
    assert re.fullmatch("[0-9a-f]{32}", body["data"]["taskId"])


def test_success(sandbox: SandboxClient) -> None:
    """The result is a JSON text inside JSON; times are milliseconds."""
    data = sandbox.status(sandbox.apixo_task("A fox"))

    assert "success" == data["state"]
    assert isinstance(data["resultJson"], str)
    assert 1 == len(json.loads(data["resultJson"])["resultUrls"])
    assert data["completeTime"] - data["createTime"] == pytest.approx(data["costTime"], abs=2)
    assert data["createTime"] > 1_600_000_000_000


def test_under_way(sandbox: SandboxClient) -> None:
    """Until its end a task says so, with neither result nor end time."""
    task_id = sandbox.apixo("A fox [slow 3600]").json()["data"]["taskId"]
    sandbox.when(task_id, lambda task: task.started is not None)

    data = sandbox.status(task_id)
    assert "processing" == data["state"]
    assert {"taskId", "state", "createTime"} == set(data)


def test_failure_is_a_successful_answer(sandbox: SandboxClient) -> None:
    """A failed task is reported with HTTP 200 and code 200; the state alone tells."""
    task_id = sandbox.apixo_task("A fox [fail CONTENT_VIOLATION]")
    answer = sandbox.call("GET", APIXO_STATUS + task_id)
    data = answer.json()["data"]

    assert (200, 200, "success") == (answer.status, answer.json()["code"], answer.json()["message"])
    assert ("failed", "CONTENT_VIOLATION") == (data["state"], data["failCode"])
    assert "Content violates usage policy" == data["failMsg"]
    assert "resultJson" not in data


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer", "Basic k", "k"], ids=lambda header: header or "none"
)
def test_without_a_key(sandbox: SandboxClient, header: str) -> None:
    """Only a bearer key opens, and x-api-key is nothing here."""
    answer = sandbox.call("POST", APIXO, {"input": GOOD}, {"Authorization": header})

    assert (401, 401) == refused(answer)[:2]


def test_keys_and_their_tasks(tmp_path: Path) -> None:
    """A named key opens, another does not, and nobody sees the task of another key."""
    with start_sandbox(tmp_path, api_keys=frozenset({"alice", "bob"})) as server:
        sandbox = SandboxClient(server)
        alice, bob, charlie = (
            {"Authorization": f"Bearer {n}"} for n in ("alice", "bob", "charlie")
        )
        task_id = sandbox.call("POST", APIXO, {"input": GOOD}, alice).json()["data"]["taskId"]
        path = APIXO_STATUS + task_id

        statuses = [sandbox.call("GET", path, headers=key).status for key in (alice, bob, charlie)]
        assert [200, 404, 401] == statuses


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"prompt": None}, "Missing required field: input.prompt"),
        ({"prompt": ""}, "Missing required field: input.prompt"),
        ({"prompt": "x" * 2501}, "input.prompt"),
        ({"prompt": 7}, "input.prompt"),
        ({"mode": None}, "Missing required field: input.mode"),
        ({"mode": "pro"}, "input.mode"),
        ({"duration": None}, "Missing required field: input.duration"),
        ({"duration": 6}, "input.duration"),
        ({"duration": "6"}, "input.duration"),
        ({"duration": True}, "input.duration"),
        ({"duration": 5.5}, "input.duration"),
        ({"aspect_ratio": "4:3"}, "input.aspect_ratio"),
        ({"cfg_scale": 1.1}, "input.cfg_scale"),
        ({"cfg_scale": -0.1}, "input.cfg_scale"),
        ({"cfg_scale": 0.55}, "input.cfg_scale"),
        ({"cfg_scale": "0.5"}, "input.cfg_scale"),
        ({"negative_prompt": "x" * 2501}, "input.negative_prompt"),
        ({"seed": 1}, "input.seed"),
        ({"image_urls": [URL]}, "input.image_urls"),
        (FRAMES, "input.image_urls"),
        (FRAMES | {"image_urls": []}, "input.image_urls"),
        (FRAMES | {"image_urls": [URL] * 3}, "input.image_urls"),
        (FRAMES | {"image_urls": URL}, "input.image_urls"),
        (FRAMES | {"image_urls": [URL], "aspect_ratio": "16:9"}, "input.aspect_ratio"),
        (FRAMES | {"image_urls": ["data:image/png;base64,AAAA"]}, "input.image_urls[0]"),
        (FRAMES | {"image_urls": [URL, "ftp://example.com/b"]}, "input.image_urls[1]"),
    ],
)
def test_input_refused(sandbox: SandboxClient, change: dict[str, Any], detail: str) -> None:
    """What the documents refuse is a 400 that names the field."""
    status, code, report = refused(sandbox.call("POST", APIXO, {"input": GOOD | change}))

    assert (400, 400) == (status, code)
    assert detail in report


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"{}",
        {"input": "A fox"},
        {"input": GOOD, "request_type": "sync"},
        {"input": GOOD, "request_type": "callback"},
        {"input": GOOD, "request_type": "callback", "callback_url": "mailto:a@example.com"},
        {"input": GOOD, "provider": "best"},
    ],
)
def test_envelope_refused(sandbox: SandboxClient, body: Any) -> None:
    """What stands around the input is checked as strictly."""
    assert (400, 400) == refused(sandbox.call("POST", APIXO, body))[:2]


def test_wrong_content_type(sandbox: SandboxClient) -> None:
    """A body that is not said to be JSON is not read."""
    answer = sandbox.call("POST", APIXO, {"input": GOOD}, {"Content-Type": "text/plain"})

    assert (400, 400) == refused(answer)[:2]


@pytest.mark.parametrize(
    "body",
    [
        {"input": GOOD | {"duration": "5"}},
        {"input": GOOD | {"cfg_scale": 0.7, "negative_prompt": "blur", "aspect_ratio": "1:1"}},
        {"input": GOOD | {"prompt": "x" * 2500}},
        {"input": GOOD, "request_type": "async", "provider": "official", "source": "client"},
    ],
)
def test_input_taken(sandbox: SandboxClient, body: Any) -> None:
    """What the documents allow is taken, durations as text and unknown envelope fields too."""
    answer = sandbox.call("POST", APIXO, body)

    assert 200 == answer.status
    assert "success" == sandbox.ended(answer.json()["data"]["taskId"]).state


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/generateTask/kling-9", 404),
        ("POST", "/api/v1/generateTask/kling-2", 404),
        ("GET", "/api/v1/statusTask/kling-9?taskId=1", 404),
        ("GET", APIXO_STATUS + "f" * 32, 404),
        ("GET", APIXO_STATUS, 400),
        ("GET", APIXO, 405),
        ("GET", "/api/v1/nowhere", 404),
    ],
)
def test_nothing_there(sandbox: SandboxClient, method: str, path: str, status: int) -> None:
    """Unknown models, tasks and routes are reported in the vendor's own envelope."""
    assert (status, status) == refused(sandbox.call(method, path, {"input": GOOD}))[:2]


def test_requests_per_minute(tmp_path: Path) -> None:
    """Beyond the limit a key, and only that one, is asked to wait."""
    with start_sandbox(tmp_path, requests_per_minute=2) as server:
        sandbox = SandboxClient(server)
        answers = [sandbox.call("GET", APIXO_STATUS + "f") for _ in range(3)]
        other = sandbox.call("GET", APIXO_STATUS + "f", headers={"Authorization": "Bearer other"})

    assert [404, 404, 429] == [answer.status for answer in answers]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert 404 == other.status


def test_concurrent_tasks(tmp_path: Path) -> None:
    """A task that is over makes room for the next."""
    with start_sandbox(tmp_path, concurrent_tasks=1) as server:
        sandbox = SandboxClient(server)
        first = sandbox.apixo("A fox [slow 3600]")
        second = sandbox.apixo("A fox")

        assert [200, 429] == [first.status, second.status]
        assert "retry-after" in second.headers


def test_credits_run_out(tmp_path: Path) -> None:
    """Credits are taken at create and come back for a task that fails."""
    with start_sandbox(tmp_path, credits=0.4) as server:
        sandbox = SandboxClient(server)
        sandbox.apixo_task("A fox [fail GENERATION_FAILED]")
        sandbox.apixo_task("A fox")

        assert (402, 402) == refused(sandbox.apixo("A fox"))[:2]


def test_images_are_fetched(sandbox: SandboxClient) -> None:
    """Two images make a video of their ratio."""
    with Pictures(png("#c04020"), png("#2040c0")) as pictures:
        urls = [pictures.url(0), pictures.url(1)]
        body = {"input": FRAMES | {"image_urls": urls}}
        task = sandbox.ended(sandbox.call("POST", APIXO, body).json()["data"]["taskId"])

    assert ("success", "") == (task.state, task.fail_message)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"GIF89a no such thing", "UNSUPPORTED_FORMAT"),
        (png("#c04020")[:40], "UNSUPPORTED_FORMAT"),
        (bytes(10 * 1024 * 1024 + 1), "IMAGE_TOO_LARGE"),
        (None, "INVALID_IMAGE_URL"),
    ],
)
def test_bad_image_fails_the_task(sandbox: SandboxClient, content: bytes | None, code: str) -> None:
    """The create call succeeds, and the task then fails with the vendor's own word."""
    with Pictures(content or b"") as pictures:
        gone = f"http://127.0.0.1:{free_port()}/0"
        body = {"input": FRAMES | {"image_urls": [gone if content is None else pictures.url(0)]}}
        task_id = sandbox.ended(sandbox.call("POST", APIXO, body).json()["data"]["taskId"]).id

    data = sandbox.status(task_id)
    assert ("failed", code) == (data["state"], data["failCode"])

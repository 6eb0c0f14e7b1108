"""APIXO's API: its envelopes, both request types, the signed callback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from support.harness import Harness
from support.servers import Clipbell, Hook, Reply, eventually

from service.web.app import create_app

CREATE = "/api/v1/generateTask/kling-2-5-turbo-pro"
STATUS = "/api/v1/statusTask/kling-2-5-turbo-pro"
FOX = {"mode": "text-to-video", "prompt": "A fox", "duration": 5}


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def call(clipbell: Clipbell, method: str, path: str, body: Any = None) -> Reply:
    """One request as an APIXO client makes it."""
    headers = {"x-api-key": "", "Authorization": f"Bearer {clipbell.key}"}
    return clipbell.call(method, path, body, headers)


def finished(clipbell: Clipbell, task_id: str) -> dict[str, Any]:
    """The envelope's data once the task has ended."""

    def look() -> dict[str, Any] | None:
        data: dict[str, Any] = call(clipbell, "GET", f"{STATUS}?taskId={task_id}").json()["data"]
        return data if data["state"] in ("success", "failed") else None

    found = eventually(look)
    assert found is not None
    return found


def test_async(clipbell: Clipbell) -> None:
    """A task is polled to `success`, whose resultJson is text naming a link that plays."""
    made = call(clipbell, "POST", CREATE, {"input": FOX}).json()
    data = finished(clipbell, made["data"]["taskId"])
    url = json.loads(data["resultJson"])["resultUrls"][0]

    assert (200, "success") == (made["code"], made["message"])
    assert b"ftyp" == clipbell.call("GET", url).body[4:8]
    assert data["completeTime"] - data["createTime"] == data["costTime"]


def test_callback(clipbell: Clipbell) -> None:
    """In callback mode the URL gets the status envelope, signed by the account's secret."""
    with Hook() as hook:
        body = {"request_type": "callback", "callback_url": hook.url, "input": FOX}
        task_id = call(clipbell, "POST", CREATE, body).json()["data"]["taskId"]
        hit = eventually(lambda: hook.hits)[0]
        report = Webhook(clipbell.webhook_secret).verify(hit.body.decode(), hit.headers)

    assert (task_id, "success") == (report["data"]["taskId"], report["data"]["state"])


def test_failure(clipbell: Clipbell) -> None:
    """A failed task has code 200, state failed, and a code with words."""
    body = {"input": {**FOX, "prompt": "[fail SensitiveContentDetected] A fox"}}
    made = call(clipbell, "POST", CREATE, body).json()
    data = finished(clipbell, made["data"]["taskId"])

    assert ("failed", "CONTENT_VIOLATION") == (data["state"], data["failCode"])
    assert data["failMsg"]


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app without processes, on either database."""
    return create_app(harness.wiring).test_client()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "input"),
        ({"input": {}}, "prompt"),
        ({"input": {**FOX, "duration": 6}}, "duration"),
        ({"input": FOX, "request_type": "push"}, "request_type"),
        ({"input": FOX, "request_type": "callback"}, "callback_url"),
        ({"input": FOX, "request_type": "callback", "callback_url": "ftp://x"}, "callback_url"),
        ({"input": FOX, "provider": "cheapest"}, "provider"),
        ({"input": {**FOX, "mode": "image-to-video"}}, "image_urls"),
        ({"input": FOX, "priority": 1}, "priority"),
        ([], "object"),
    ],
)
def test_bad_requests(harness: Harness, client: FlaskClient, body: Any, words: str) -> None:
    """A 400 is an envelope that names the field, and nothing was made."""
    headers = {"Authorization": f"Bearer {harness.key}"}
    answer = client.post(CREATE, json=body, headers=headers)
    envelope = answer.get_json()

    assert (400, 400) == (answer.status_code, envelope["code"])
    assert words in envelope["data"]["error"]
    assert [] == client.get("/v1/jobs", headers=headers).get_json()["data"]


def test_refusals(harness: Harness, client: FlaskClient) -> None:
    """Key, model and task have APIXO's codes, as status and in the envelope."""
    headers = {"Authorization": f"Bearer {harness.key}"}
    found = [
        client.post(CREATE, json={"input": FOX}),
        client.post("/api/v1/generateTask/kling-9", json={"input": FOX}, headers=headers),
        client.get(f"{STATUS}?taskId=job_0", headers=headers),
        client.get(STATUS, headers=headers),
        client.post(CREATE, data="{", content_type="application/json", headers=headers),
        client.get(CREATE, headers=headers),
        client.get("/api/v1/user", headers=headers),
    ]

    codes = [401, 404, 404, 400, 400, 405, 404]
    assert codes == [answer.status_code for answer in found]
    assert codes == [answer.get_json()["code"] for answer in found]


@pytest.mark.parametrize("settings_given", [{"budget": 5.0}])
def test_unknown_price_under_a_budget_is_402(harness: Harness, client: FlaskClient) -> None:
    """APIXO states no price: under a budget its API refuses until PRICES names one."""
    answer = client.post(CREATE, json={"input": FOX}, headers={"x-api-key": harness.key})

    assert (402, 402) == (answer.status_code, answer.get_json()["code"])

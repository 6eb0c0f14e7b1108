"""Webhook endpoints of OpenAI's API: the unchanged libraries make, test, change and end them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openai import BadRequestError, InvalidWebhookSignatureError, NotFoundError, OpenAI
from support.harness import Harness
from support.node import need_node, npm_install, run
from support.servers import Clipbell, Hook, eventually

CLIENTS = Path(__file__).parent / "clients"
ENDPOINTS = "/v1/webhook_endpoints"
BOTH = ["video.completed", "video.failed"]


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def test_python_library(clipbell: Clipbell) -> None:
    """From the endpoint's creation over a real event to its end, by the library of PyPI."""
    with Hook() as hook, OpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as openai:
        webhooks = openai.webhooks
        made = webhooks.create(event_types=["video.failed"], name="Orders", url=hook.url)
        tested = webhooks.test(made.id, event_type="video.failed")
        sample = json.loads(hook.hits[0].body)
        job = clipbell.submit("[fail NSFW] A fox")
        hit = eventually(lambda: hook.hits[1:])[0]
        event: Any = webhooks.unwrap(hit.body, hit.headers, secret=made.signing_secret)
        rotated = webhooks.rotate_secret(made.id)
        webhooks.test(made.id, event_type="video.completed")
        last = hook.hits[-1]
        webhooks.unwrap(last.body, last.headers, secret=rotated.signing_secret)
        with pytest.raises(InvalidWebhookSignatureError):
            webhooks.unwrap(last.body, last.headers, secret=made.signing_secret)
        changed = webhooks.update(made.id, name="Sales", event_types=["video.completed"])
        found = webhooks.retrieve(made.id)
        listed = [one.id for one in webhooks.list(limit=1)]
        deleted = webhooks.delete(made.id)
        with pytest.raises(NotFoundError):
            webhooks.retrieve(made.id)
        types = webhooks.event_types.list().data

    assert ("webhook_endpoint", ["video.failed"], "Orders", hook.url) == (
        made.object,
        made.event_types,
        made.name,
        made.url,
    )
    assert made.signing_secret_hint == f"whsec_…{made.signing_secret[-4:]}"
    assert (200, "video.failed", True) == (tested.status_code, sample["type"], sample["sample"])
    assert ("video.failed", job["id"]) == (event.type, event.data.id)
    assert changed == found
    assert ("Sales", ["video.completed"]) == (found.name, found.event_types)
    assert made.id in listed
    assert (True, "webhook_endpoint.deleted") == (deleted.deleted, deleted.object)
    assert types == BOTH


def test_node_library(clipbell: Clipbell, tmp_path: Path) -> None:
    """The same by the library of npm, whose versions for an older Node.js have no endpoints."""
    need_node(22)
    npm_install(tmp_path, "openai")
    (tmp_path / "endpoints.mjs").write_text((CLIENTS / "endpoints.mjs").read_text())
    environ = {"OPENAI_BASE_URL": f"{clipbell.url}/v1", "OPENAI_API_KEY": clipbell.key}
    with Hook() as hook:
        said = json.loads(run(["node", "endpoints.mjs", hook.url], tmp_path, **environ))

    assert {
        "types": BOTH,
        "tested": 200,
        "rotated": True,
        "changed": "Sales",
        "listed": True,
        "deleted": True,
        "gone": 404,
    } == said


def test_old_secret_for_a_day(clipbell: Clipbell) -> None:
    """Where it is asked for, the old secret signs beside the new one."""
    with Hook() as hook, OpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as openai:
        webhooks = openai.webhooks
        made = webhooks.create(event_types=["video.failed"], name="Orders", url=hook.url)
        new = webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        webhooks.test(made.id, event_type="video.failed")
        hit = hook.hits[0]
        for secret in (made.signing_secret, new.signing_secret):
            webhooks.unwrap(hit.body, hit.headers, secret=secret)
        webhooks.delete(made.id)


def test_no_answer(clipbell: Clipbell) -> None:
    """A test that nobody answers is an error that says so, at once."""
    with OpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as openai:
        made = openai.webhooks.create(
            event_types=["video.failed"], name="Nobody", url="http://127.0.0.1:9/"
        )
        with pytest.raises(BadRequestError) as caught:
            openai.webhooks.test(made.id, event_type="video.failed")
        openai.webhooks.delete(made.id)

    assert "test_failed" == caught.value.code
    assert "did not answer" in caught.value.message


NEW: dict[str, Any] = {
    "event_types": ["video.completed"],
    "name": "Orders",
    "url": "https://example.com/videos",
}


def test_subscriptions(client: FlaskClient) -> None:
    """An endpoint is a subscription of the same id; one of another format is no endpoint."""
    made = client.post(ENDPOINTS, json=NEW | {"event_types": BOTH}).get_json()
    ours = client.get(f"/v1/subscriptions/{made['id']}").get_json()
    slack = {"channel": "slack", "target": "https://hooks.slack.com/services/T0/B0/x"}
    other = client.post("/v1/subscriptions", json=slack).get_json()

    assert ("openai", ["job.succeeded", "job.failed", "job.canceled"], "Orders") == (
        ours["format"],
        ours["events"],
        ours["name"],
    )
    assert [made["id"]] == [one["id"] for one in client.get(ENDPOINTS).get_json()["data"]]
    assert 404 == client.get(f"{ENDPOINTS}/{other['id']}").status_code


def test_pages(client: FlaskClient) -> None:
    """Newest first, a page at a time."""
    ids = [client.post(ENDPOINTS, json=NEW).get_json()["id"] for _ in range(3)]
    first = client.get(f"{ENDPOINTS}?limit=2").get_json()
    second = client.get(f"{ENDPOINTS}?limit=2&after={first['last_id']}").get_json()

    assert 400 == client.get(f"{ENDPOINTS}?after=garbage").status_code
    assert sorted(ids, reverse=True) == [one["id"] for one in first["data"] + second["data"]]
    assert (True, False) == (first["has_more"], second["has_more"])
    assert (first["data"][0]["id"], second["data"][0]["id"]) == (
        first["first_id"],
        second["last_id"],
    )


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"event_types": ["batch.completed"]}, "event_types", "video.completed, video.failed"),
        ({"event_types": []}, "event_types", "one or more"),
        ({"event_types": "video.completed"}, "event_types", "list"),
        ({"url": "ftp://example.com"}, "url", "http"),
        ({"url": ""}, "url", "needs one"),
        ({"name": None}, "name", "needs one"),
        ({"name": "x\ny"}, "name", "one line"),
        ({"secret": "whsec_x"}, "secret", "takes event_types, name, url"),
    ],
)
def test_refusals(client: FlaskClient, change: dict[str, Any], param: str, words: str) -> None:
    """A wrong field is named in OpenAI's shape, with what is taken; nothing is made."""
    answer = client.post(ENDPOINTS, json=NEW | change)
    error = answer.get_json()["error"]

    assert (400, "invalid_request_error", param) == (
        answer.status_code,
        error["type"],
        error["param"],
    )
    assert words in error["message"]
    assert [] == client.get(ENDPOINTS).get_json()["data"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"event_types": ["x"]}, "event_types"),
        ("", {"url": "x"}, "url"),
        ("/rotate_secret", {"keep_old_secret_active_for_24_hours": "yes"}, "keep_old"),
        ("/test", {"event_type": "batch.completed"}, "event_type"),
        ("/test", {}, "event_type"),
    ],
)
def test_refused_changes(client: FlaskClient, path: str, body: dict[str, Any], param: str) -> None:
    """So is one of a change, and nothing is changed."""
    made = client.post(ENDPOINTS, json=NEW).get_json()
    refused = client.post(f"{ENDPOINTS}/{made['id']}{path}", json=body)
    found = client.get(f"{ENDPOINTS}/{made['id']}").get_json()

    assert 400 == refused.status_code
    assert refused.get_json()["error"]["param"].startswith(param)
    assert found == {name: value for name, value in made.items() if name != "signing_secret"}


def test_nobody_elses(harness: Harness, client: FlaskClient) -> None:
    """Another account sees none of them; without a key nobody does, in OpenAI's shape."""
    made = client.post(ENDPOINTS, json=NEW).get_json()
    _, key = harness.new_account("bob")
    as_bob = {"Authorization": f"Bearer {key}"}
    found = [
        client.get(f"{ENDPOINTS}/{made['id']}", headers=as_bob),
        client.delete(f"{ENDPOINTS}/{made['id']}", headers=as_bob),
        client.get(ENDPOINTS, headers={"Authorization": ""}),
        client.put(ENDPOINTS),
    ]

    assert [404, 404, 401, 405] == [answer.status_code for answer in found]
    assert all(answer.get_json()["error"]["message"] for answer in found)
    assert [] == client.get(ENDPOINTS, headers=as_bob).get_json()["data"]

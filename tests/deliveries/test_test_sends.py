"""Tests of subscriptions by hand: a labelled sample at once, and before anything is saved."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from support.harness import Harness
from support.servers import Hook, eventually

from service import store
from service.web.app import TEST_SENDS_AT_ONCE, create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def made(client: FlaskClient, target: str, **more: object) -> dict[str, str]:
    """A subscription."""
    spec = {"channel": "webhook", "target": target} | more
    answer: dict[str, str] = client.post("/v1/subscriptions", json=spec).get_json()
    return answer


def test_test_send(client: FlaskClient, harness: Harness) -> None:
    """The sample arrives at once, signed and labelled, and leaves no row behind."""
    with Hook() as hook:
        subscription = made(client, hook.url, events=["job.failed"])
        client.patch(f"/v1/subscriptions/{subscription['id']}", json={"enabled": False})
        report = client.post(f"/v1/subscriptions/{subscription['id']}/test").get_json()
    (hit,) = hook.hits
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    found = {name.lower(): value for name, value in hit.headers.items()}
    signature = Webhook(subscription["secret"]).sign(
        found["webhook-id"], harness.clock(), hit.body.decode()
    )

    assert (True, 200, None) == (report["delivered"], report["status"], report["error"])
    assert (True, "job.failed") == (hit.json()["sample"], hit.json()["type"])
    assert signature == found[names[2]]
    assert [] == client.get("/v1/deliveries").get_json()["data"]


@pytest.mark.parametrize("answer", [500, 410, 302])
def test_failed_test_send(client: FlaskClient, answer: int) -> None:
    """What the endpoint said is reported; the subscription is as it was."""
    with Hook(answers=[answer]) as hook:
        path = f"/v1/subscriptions/{made(client, hook.url)['id']}"
        before = client.get(path).get_json()
        report = client.post(f"{path}/test").get_json()

    assert (False, answer) == (report["delivered"], report["status"])
    assert str(answer) in report["error"]
    assert before == client.get(path).get_json()


def test_before_save(client: FlaskClient, harness: Harness) -> None:
    """With ?test=true only what works is saved, with the secret that signed the test."""
    with Hook(answers=[500, 200]) as hook:
        spec = {"channel": "webhook", "target": hook.url}
        refused = client.post("/v1/subscriptions?test=true", json=spec)
        assert [] == client.get("/v1/subscriptions").get_json()["data"]
        saved = client.post("/v1/subscriptions?test=true", json=spec).get_json()
    (fault,) = refused.get_json(force=True)["errors"]
    found = {name.lower(): value for name, value in hook.hits[1].headers.items()}
    signature = Webhook(saved["secret"]).sign(
        found["webhook-id"], harness.clock(), hook.hits[1].body.decode()
    )

    assert (422, "/target", "test_failed") == (
        refused.status_code,
        fault["pointer"],
        fault["code"],
    )
    assert "500" in fault["message"]
    assert "secret" not in fault["message"]
    assert signature == found["webhook-signature"]


def test_endpoint_that_checks_signatures(client: FlaskClient) -> None:
    """It refuses a test signed with a secret not known to it; the answer says what to do."""
    with Hook(answers=[401]) as hook:
        spec = {"channel": "webhook", "target": hook.url}
        refused = client.post("/v1/subscriptions?test=true", json=spec)
    (fault,) = refused.get_json(force=True)["errors"]

    assert "save without a test, give it the secret, then test" in fault["message"]


def test_test_sends_leave_threads_for_others(harness: Harness) -> None:
    """While so many hang, one more is asked to come back."""
    app = create_app(harness.wiring)
    slots = app.extensions["test_sends"]
    for _ in range(TEST_SENDS_AT_ONCE):
        assert slots.acquire(blocking=False)
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    answer = client.post(f"/v1/subscriptions/{made(client, 'http://127.0.0.1:9/')['id']}/test")

    assert (503, "5") == (answer.status_code, answer.headers["Retry-After"])


def test_rotation(client: FlaskClient, harness: Harness) -> None:
    """Two signatures for a day; then, or as soon as the old one is revoked, one."""
    with Hook() as hook:
        first = made(client, hook.url)
        path = f"/v1/subscriptions/{first['id']}"
        second = client.post(f"{path}/rotate-secret").get_json()
        client.post(f"{path}/test")
        revoked = client.post(f"{path}/rotate-secret", json={"revoke": True}).get_json()
        client.post(f"{path}/test")
        third = client.post(f"{path}/rotate-secret", json={"revoke": True}).get_json()
        client.post(f"{path}/test")
        client.post(f"{path}/rotate-secret", json={})
        harness.clock.advance(24 * 3600)
        client.post(f"{path}/test")
    found = [hit.headers["webhook-signature"].split(" ") for hit in hook.hits]

    assert [2, 1, 1, 1] == [len(signatures) for signatures in found]
    secrets = [body["secret"] for body in (first, second, revoked, third)]
    assert secrets[1] == secrets[2]
    assert 3 == len(set(secrets))
    expected = Webhook(secrets[0]).sign(
        hook.hits[0].headers["webhook-id"],
        harness.clock.now.replace(day=1),
        hook.hits[0].body.decode(),
    )
    assert expected == found[0][1]


@pytest.mark.parametrize("body", [[], {"revoke": 1}, {"now": True}])
def test_bad_rotation(client: FlaskClient, body: object) -> None:
    """What is no yes or no changes nothing."""
    path = f"/v1/subscriptions/{made(client, 'http://127.0.0.1:9/')['id']}"

    assert 422 == client.post(f"{path}/rotate-secret", json=body).status_code


def test_secrets_are_sealed(client: FlaskClient, harness: Harness) -> None:
    """Neither the new secret nor the old one stands in the database."""
    first = made(client, "http://127.0.0.1:9/")
    path = f"/v1/subscriptions/{first['id']}"
    second = client.post(f"{path}/rotate-secret").get_json()
    with harness.db.read() as tx:
        row = repr(store.subscriptions.find(tx, first["id"]))

    assert first["secret"].removeprefix("whsec_") not in row
    assert second["secret"].removeprefix("whsec_") not in row


def test_recover_over_http(client: FlaskClient, harness: Harness) -> None:
    """Only what failed is sent, unless the missing is asked for; a dry run only counts."""
    client.post(f"/v1/jobs/{harness.new_job().id}/cancel")
    subscription = made(client, "http://127.0.0.1:9/", events=["job.canceled"])
    path = f"/v1/subscriptions/{subscription['id']}/recover"
    since = "since=2026-01-01T00:00:00Z"
    queries = ("", "&missing=true&dry_run=true", "&missing=true", "&missing=true")
    found = [client.post(f"{path}?{since}{query}") for query in queries]

    assert [(0, False), (1, True), (1, False), (0, False)] == [
        (answer.get_json()["recovered"], answer.get_json()["dry_run"]) for answer in found
    ]
    assert [422, 422] == [
        client.post(path).status_code,
        client.post(f"{path}?since=x").status_code,
    ]


def test_filters_over_http(client: FlaskClient) -> None:
    """Models and metadata are shown, changed and checked like everything else."""
    narrow = {"models": ["kling-2"], "metadata": {"team": "a", "paid": True}}
    subscription = made(client, "http://127.0.0.1:9/", **narrow)
    path = f"/v1/subscriptions/{subscription['id']}"
    assert narrow == {name: subscription[name] for name in narrow}
    client.patch(path, json={"models": []})
    bad = {"models": ["x"], "metadata": {"a": {}}}
    refused = client.patch(path, json=bad).get_json(force=True)

    assert ["/metadata/a", "/models/0"] == sorted(f["pointer"] for f in refused["errors"])
    assert [] == client.get(path).get_json()["models"]
    assert (
        422
        == client.post(
            "/v1/subscriptions",
            json={
                "channel": "webhook",
                "target": "http://127.0.0.1:9/",
                "format": "apixo",
                "events": ["subscription.disabled"],
            },
        ).status_code
    )


def test_two_test_sends_at_once(client: FlaskClient, harness: Harness) -> None:
    """A slot is free again after its test, so that many in a row are all made."""
    with Hook() as hook:
        path = f"/v1/subscriptions/{made(client, hook.url)['id']}/test"
        send = partial(client.post, path)
        threads = [threading.Thread(target=send) for _ in range(TEST_SENDS_AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(3):
            assert 200 == client.post(path).status_code
        eventually(lambda: len(hook.hits) >= 3)

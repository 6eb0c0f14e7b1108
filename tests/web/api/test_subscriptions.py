"""``/v1/subscriptions`` and ``/v1/hooks``: made, seen, changed, ended."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.servers import Hook
from werkzeug.test import TestResponse

from service import store
from service.deliveries.custom_headers import decrypt_headers
from service.jobs.outcomes import fail_job
from service.model import DEFAULT_EVENTS, EventType
from service.model.error_codes import job_error
from service.signing import webhook_fault
from service.web.app import create_app

TARGET = "http://127.0.0.1:9/hook"
GOOD: dict[str, Any] = {"channel": "webhook", "target": TARGET}
DEFAULTS = ["job.succeeded", "job.failed", "job.unknown", "job.held"]


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def pointers(answer: TestResponse) -> list[str]:
    """Where a 422 points to."""
    assert (422, "application/problem+json") == (answer.status_code, answer.content_type)
    problem = answer.get_json(force=True)
    assert problem["hint"]
    return sorted(fault["pointer"] for fault in problem["errors"])


def test_made(client: FlaskClient, harness: Harness) -> None:
    """201 with its place and, this once, its secret; the default events are reported."""
    answer = client.post("/v1/subscriptions", json=GOOD)
    made = answer.get_json()
    seen = client.get(answer.headers["Location"]).get_json()

    assert (201, TARGET, DEFAULTS) == (answer.status_code, made["target"], made["events"])
    assert made.pop("secret").startswith("whsec_")
    assert made == seen
    assert {"data": [made], "next_cursor": None} == client.get("/v1/subscriptions").get_json()
    assert DEFAULTS == [event.value for event in DEFAULT_EVENTS]


def test_target_is_sealed(client: FlaskClient, harness: Harness) -> None:
    """Neither the target nor the secret stands in the database."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    with harness.db.read() as tx:
        row = store.subscriptions.find(tx, made["id"])

    assert TARGET not in repr(row)
    assert made["secret"].removeprefix("whsec_") not in repr(row)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"channel": None}, ["/channel"]),
        ({"channel": "pigeon"}, ["/channel"]),
        ({"target": None}, ["/target"]),
        ({"target": 7}, ["/target"]),
        ({"target": "ftp://x"}, ["/target"]),
        ({"target": "http://192.168.0.1/"}, ["/target"]),
        ({"target": "http://169.254.169.254/latest"}, ["/target"]),
        ({"events": "job.failed"}, ["/events"]),
        ({"events": True, "format": "apixo"}, ["/events"]),
        ({"events": ["job.failed", "job.exploded", 7]}, ["/events/1", "/events/2"]),
        ({"format": "xml"}, ["/format"]),
        ({"colour": "red"}, ["/colour"]),
        ({"a/b~": 1}, ["/a~1b~0"]),
        (
            {"target": "", "events": ["x"], "format": 1, "colour": 1},
            ["/colour", "/events/0", "/format", "/target"],
        ),
        ({"channel": "x", "events": ["x"], "colour": 1}, ["/channel", "/colour", "/events/0"]),
    ],
)
def test_invalid(client: FlaskClient, change: dict[str, Any], expected: list[str]) -> None:
    """Every wrong field at once, and nothing is made."""
    assert expected == pointers(client.post("/v1/subscriptions", json=GOOD | change))
    assert [] == client.get("/v1/subscriptions").get_json()["data"]


def test_changed(client: FlaskClient) -> None:
    """What is given changes, the rest stays."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    path = f"/v1/subscriptions/{made['id']}"
    off = client.patch(path, json={"enabled": False}).get_json()
    other = client.patch(path, json={"events": ["job.failed"], "format": "flat"}).get_json()
    on = client.patch(path, json={"enabled": True, "target": TARGET + "2"}).get_json()

    assert (False, TARGET) == (off["enabled"], off["target"])
    assert (False, ["job.failed"], "flat") == (other["enabled"], other["events"], other["format"])
    assert (True, TARGET + "2", "flat") == (on["enabled"], on["target"], on["format"])
    assert on == client.get(path).get_json() == client.patch(path, json={}).get_json()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [""]),
        ({"enabled": "no"}, ["/enabled"]),
        ({"events": ["x"]}, ["/events/0"]),
        ({"secret": "whsec_mine"}, ["/secret"]),
        ({"channel": "slack"}, ["/channel"]),
        (
            {"enabled": 1, "color": "red", "channel": "slack", "secret": "x", "events": ["x"]},
            ["/channel", "/color", "/enabled", "/events/0", "/secret"],
        ),
    ],
)
def test_invalid_change(client: FlaskClient, body: Any, expected: list[str]) -> None:
    """A change that cannot be made is refused whole."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    path = f"/v1/subscriptions/{made['id']}"

    assert expected == sorted(pointers(client.patch(path, json=body)))
    assert TARGET == client.get(path).get_json()["target"]


def test_unknown_field_of_a_change(client: FlaskClient) -> None:
    """The refusal names the fields that a change takes, and no others."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    refused = client.patch(f"/v1/subscriptions/{made['id']}", json={"color": "red"}).get_json()

    fields = "enabled, target, events, format, models, metadata, name, headers"
    assert f"takes {fields}" == refused["errors"][0]["message"]


def test_removed(client: FlaskClient, harness: Harness) -> None:
    """A removed subscription is gone, and gets no event any more."""
    path = client.post("/v1/subscriptions", json=GOOD).headers["Location"]

    assert [204, 404, 404] == [
        client.delete(path).status_code,
        client.get(path).status_code,
        client.delete(path).status_code,
    ]
    job = harness.new_job()
    client.post(f"/v1/jobs/{job.id}/cancel")
    assert [] == client.get("/v1/deliveries").get_json()["data"]


def test_others_see_nothing(client: FlaskClient, harness: Harness) -> None:
    """Bob and charlie cannot see, change or end alice's subscription or hook."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    for name in ("bob", "charlie"):
        headers = {"x-api-key": harness.new_account(name)[1]}
        assert [] == client.get("/v1/subscriptions", headers=headers).get_json()["data"]
        for kind in ("subscriptions", "hooks"):
            path = f"/v1/{kind}/{made['id']}"
            assert 404 == client.get(path, headers=headers).status_code
        path = f"/v1/subscriptions/{made['id']}"
        assert 404 == client.patch(path, headers=headers, json={"enabled": False}).status_code
        assert 404 == client.delete(path, headers=headers).status_code
        assert 204 == client.delete(f"/v1/hooks/{made['id']}", headers=headers).status_code

    assert client.get(f"/v1/subscriptions/{made['id']}").get_json()["enabled"]


@pytest.mark.parametrize("name", ["target_url", "targetUrl", "hookUrl", "url"])
@pytest.mark.parametrize("event", [None, "job.succeeded"])
def test_hook(client: FlaskClient, name: str, event: str | None) -> None:
    """Each tool's spelling of the target makes a hook, flat, for its event."""
    answer = client.post("/v1/hooks", json={name: TARGET} | ({"event": event} if event else {}))
    made = answer.get_json()

    assert (201, f"/v1/hooks/{made['id']}") == (answer.status_code, answer.headers["Location"])
    assert (TARGET, event, "flat") == (made["target_url"], made["event"], made["format"])
    assert made.pop("secret").startswith("whsec_")
    assert made == client.get(answer.headers["Location"]).get_json()


@pytest.mark.parametrize("event", [None, *EventType])
def test_same_hook_again(client: FlaskClient, event: str | None) -> None:
    """The same pair is the same hook, on again after it was switched off."""
    body = {"target_url": TARGET, "event": event}
    first = client.post("/v1/hooks", json=body).get_json()
    client.patch(f"/v1/subscriptions/{first['id']}", json={"enabled": False})
    again = client.post("/v1/hooks", json={"hookUrl": TARGET, "event": event})

    assert (200, first["id"]) == (again.status_code, again.get_json()["id"])
    assert again.get_json()["enabled"]
    assert "secret" not in again.get_json()
    assert (
        201
        == client.post("/v1/hooks", json=body | {"url": TARGET + "2", "target_url": ""}).status_code
    )


def test_same_events_in_another_order(client: FlaskClient) -> None:
    """The pair is the target and its events, however they are listed."""
    lists = [["job.failed", "job.held"], ["job.held", "job.failed"], ["job.held"] * 2]
    ids = [
        client.post("/v1/hooks", json={"url": TARGET, "events": events}).get_json()["id"]
        for events in [*lists, "job.held"]
    ]

    assert [ids[0], ids[0], ids[2], ids[2]] == ids
    assert ids[0] != ids[2]


def test_same_hook_at_once(client: FlaskClient, harness: Harness) -> None:
    """Eight requests at once for one pair make one hook."""
    app, headers = create_app(harness.wiring), {"x-api-key": harness.key}
    together = Barrier(8)

    def make(_: int) -> str:
        together.wait(10)
        body = {"url": TARGET, "event": "job.failed"}
        made = app.test_client().post("/v1/hooks", json=body, headers=headers)
        return str(made.get_json()["id"])

    with ThreadPoolExecutor(8) as pool:
        assert 1 == len(set(pool.map(make, range(8))))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "/target_url"),
        ([], ""),
        ({"url": "ftp://x"}, "/url"),
        ({"targetUrl": 7}, "/targetUrl"),
        ({"url": TARGET, "event": "job.exploded"}, "/event"),
        ({"url": TARGET, "event": 7}, "/event"),
        ({"url": TARGET, "event": False}, "/event"),
        ({"url": TARGET, "format": False}, "/format"),
    ],
)
def test_invalid_hook(client: FlaskClient, body: Any, expected: str) -> None:
    """A fault points at the field as it was sent."""
    assert [expected] == pointers(client.post("/v1/hooks", json=body))


def test_unsubscribed(client: FlaskClient) -> None:
    """Ending a hook is 204 however often; the pair can be taken again."""
    made = client.post("/v1/hooks", json={"url": TARGET}).get_json()
    path = f"/v1/hooks/{made['id']}"

    assert [204, 204, 404] == [
        client.delete(path).status_code,
        client.delete(path).status_code,
        client.get(path).status_code,
    ]
    assert 204 == client.delete("/v1/hooks/sub_nobody").status_code
    again = client.post("/v1/hooks", json={"url": TARGET})
    assert (201, True) == (again.status_code, "secret" in again.get_json())


OWN_SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def test_name_headers_and_secret_of_ones_own(client: FlaskClient, harness: Harness) -> None:
    """The endpoint gets its headers and the caller's own signature; neither is shown again."""
    own = {"name": "Orders", "headers": {"X-Api-Key": "open sesame"}, "secret": OWN_SECRET}
    with Hook() as hook:
        given = {"channel": "webhook", "target": hook.url} | own
        made = client.post("/v1/subscriptions?test=true", json=given).get_json()
        client.post(f"/v1/subscriptions/{made['id']}/test")
        harness.clock.advance(1)
        job = harness.new_job()
        with harness.db.write() as tx:
            fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", harness.clock())
        harness.drain("deliver")
    seen = client.get(f"/v1/subscriptions/{made['id']}").get_json()
    delivery = client.get("/v1/deliveries").get_json()["data"][0]["id"]
    shown = client.get(f"/v1/deliveries/{delivery}").text

    assert OWN_SECRET == made.pop("secret")
    assert made == seen
    assert ("Orders", {"X-Api-Key": "***"}) == (seen["name"], seen["headers"])
    assert ["open sesame"] * 3 == [hit.headers["X-Api-Key"] for hit in hook.hits]
    sent = hook.hits[-1]
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert webhook_fault([OWN_SECRET], headers, sent.body, harness.clock()) is None
    assert "sesame" not in shown and '"X-Api-Key": "***"' in shown
    with harness.db.read() as tx:
        assert "sesame" not in repr(store.subscriptions.find(tx, made["id"]))


def test_headers_are_changed_without_being_known(client: FlaskClient, harness: Harness) -> None:
    """In a change three stars keep a stored value; what is not named goes."""
    headers = {"X-One": "first", "X-Two": "second"}
    made = client.post("/v1/subscriptions", json=GOOD | {"headers": headers}).get_json()
    path = f"/v1/subscriptions/{made['id']}"
    client.patch(path, json={"name": "  Orders  of May "})
    changed = client.patch(path, json={"headers": {"X-One": "***", "X-Three": "third"}})
    with harness.db.read() as tx:
        row = store.subscriptions.find(tx, made["id"])
    assert row is not None

    assert {"X-One": "***", "X-Three": "***"} == changed.get_json()["headers"]
    assert {"X-One": "first", "X-Three": "third"} == decrypt_headers(
        harness.wiring.encryptor, row.headers
    )
    assert "Orders of May" == row.name
    assert {} == client.patch(path, json={"headers": {}}).get_json()["headers"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"headers": {"Webhook-Signature": "x"}}, "/headers/Webhook-Signature"),
        ({"headers": {"transfer-encoding": "chunked"}}, "/headers/transfer-encoding"),
        ({"headers": {"X Key": "x"}}, "/headers/X Key"),
        ({"headers": {"X-Key": "a\r\nHost: b"}}, "/headers/X-Key"),
        ({"headers": {"X-Key": "ключ"}}, "/headers/X-Key"),
        ({"headers": {"X-Key": ""}}, "/headers/X-Key"),
        ({"headers": {"X-Key": "***"}}, "/headers/X-Key"),
        ({"headers": {"X-Key": "a", "x-key": "b"}}, "/headers/x-key"),
        ({"headers": {f"X-{n}": "a" for n in range(21)}}, "/headers"),
        ({"headers": ["X-Key: a"]}, "/headers"),
        ({"name": "x" * 81}, "/name"),
        ({"name": {}}, "/name"),
        ({"name": []}, "/name"),
        ({"name": False}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"secret": "secret"}, "/secret"),
        ({"secret": "whsec_c2hvcnQ="}, "/secret"),
        ({"channel": "slack", "headers": {"X-Key": "a"}}, "/headers"),
        ({"channel": "slack", "secret": OWN_SECRET}, "/secret"),
    ],
)
def test_refused_name_header_or_secret(
    client: FlaskClient, change: dict[str, Any], expected: str
) -> None:
    """What HTTP or Clipbell itself sets cannot be set, nor what no header can carry."""
    assert [expected] == pointers(client.post("/v1/subscriptions", json=GOOD | change))


def test_rotated_to_ones_own_secret(client: FlaskClient, harness: Harness) -> None:
    """A secret of another sender is taken over, beside the old one or instead of it."""
    made = client.post("/v1/subscriptions", json=GOOD).get_json()
    path = f"/v1/subscriptions/{made['id']}"
    both = client.post(f"{path}/rotate-secret", json={"secret": OWN_SECRET}).get_json()
    bad = client.post(f"{path}/rotate-secret", json={"secret": "x"})
    alone = client.post(
        f"{path}/rotate-secret", json={"secret": made["secret"], "revoke": True}
    ).get_json()

    assert (OWN_SECRET, made["secret"]) == (both["secret"], alone["secret"])
    assert (True, None) == (bool(both["old_secret_until"]), alone["old_secret_until"])
    assert ["/secret"] == pointers(bad)
    assert ["/secret"] == pointers(client.patch(path, json={"secret": OWN_SECRET}))

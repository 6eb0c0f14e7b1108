"""``/v1/deliveries``: what was sent where, each attempt, and once more by hand."""

from __future__ import annotations

import base64
import shlex
import subprocess
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.servers import Hook

from service import store
from service.deliveries.exchanges import as_curl, exchanges_of
from service.formatting import mask_target
from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def canceled(client: FlaskClient, harness: Harness, *targets: str) -> str:
    """A job whose end is news for these targets; its id."""
    for target in targets:
        spec = {"channel": "webhook", "target": target, "events": ["job.canceled"]}
        assert 201 == client.post("/v1/subscriptions", json=spec).status_code
    harness.clock.advance(1)
    job = harness.new_job()
    assert 200 == client.post(f"/v1/jobs/{job.id}/cancel").status_code
    return job.id


def listed(client: FlaskClient, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """The deliveries of a query."""
    found: list[dict[str, Any]] = client.get(f"/v1/deliveries?{query}", headers=headers).get_json()[
        "data"
    ]
    return found


def test_pending(client: FlaskClient, harness: Harness) -> None:
    """A delivery names its event, job, subscription, channel and state."""
    job_id = canceled(client, harness, "http://127.0.0.1:9/hook")
    (found,) = listed(client)
    subscription = client.get("/v1/subscriptions").get_json()["data"][0]

    assert (job_id, subscription["id"]) == (found["job_id"], found["subscription_id"])
    assert ("webhook", "pending", []) == (found["channel"], found["state"], found["attempts"])
    assert found["event_id"].startswith("evt_")
    assert ("job.canceled", "webhook http://127.0.0.1:9/…hook") == (found["type"], found["to"])
    one = client.get(f"/v1/deliveries/{found['id']}").get_json()
    assert one == {name: found[name] for name in one}


def test_attempts(client: FlaskClient, harness: Harness) -> None:
    """Each attempt is reported: its time, status, milliseconds, what went wrong."""
    with Hook(answers=[500, 200]) as hook:
        canceled(client, harness, hook.url)
        assert harness.unit("deliver")
        harness.clock.advance(3600)
        assert harness.unit("deliver")
    (found,) = listed(client)
    first, second = found["attempts"]

    assert ("delivered", 2) == (found["state"], len(hook.hits))
    assert [(1, 500), (2, 200)] == [(a["number"], a["status"]) for a in (first, second)]
    assert (True, None) == ("500" in first["error"], second["error"])
    assert {"started_at", "milliseconds", "response"} <= first.keys()


def test_filters(client: FlaskClient, harness: Harness) -> None:
    """Each name narrows the list."""
    with Hook() as hook:
        old = canceled(client, harness, hook.url)
        harness.drain("deliver")
    new = canceled(client, harness)
    (pending,) = listed(client, "state=pending")
    expected = {
        "": [new, old],
        "state=delivered": [old],
        "state=exhausted": [],
        f"job_id={old}": [old],
        f"event_id={pending['event_id']}": [new],
        f"subscription_id={pending['subscription_id']}": [new, old],
        "channel=webhook": [new, old],
        "channel=slack": [],
    }

    assert expected == {q: [d["job_id"] for d in listed(client, q)] for q in expected}
    assert 422 == client.get("/v1/deliveries?colour=red").status_code


def test_unknown_state(client: FlaskClient) -> None:
    """A state that does not exist is refused, as it is for jobs."""
    assert 422 == client.get("/v1/deliveries?state=done").status_code


def test_pages(client: FlaskClient, harness: Harness) -> None:
    """Cursor and Link lead through all, newest first, each once."""
    canceled(client, harness, "http://127.0.0.1:9/hook")
    for _ in range(4):
        canceled(client, harness)
    path, found = "/v1/deliveries?limit=2&channel=webhook", []
    while path:
        answer = client.get(path)
        found += [delivery["id"] for delivery in answer.get_json()["data"]]
        path = answer.headers.get("Link", "").removeprefix("<").partition(">")[0]

    assert (5, sorted(found, reverse=True)) == (len(found), found)


def test_resend(client: FlaskClient, harness: Harness) -> None:
    """Sent once more by hand: the same bytes under the same id, another attempt."""
    with Hook() as hook:
        canceled(client, harness, hook.url)
        harness.drain("deliver")
        harness.clock.advance(60)
        (done,) = listed(client)
        answer = client.post(f"/v1/deliveries/{done['id']}/resend")
        harness.drain("deliver")
    first, second = hook.hits

    assert (202, "pending") == (answer.status_code, answer.get_json()["state"])
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert [1, 2] == [attempt["number"] for attempt in listed(client)[0]["attempts"]]


def test_resend_of_an_exhausted_one(client: FlaskClient, harness: Harness) -> None:
    """What had used up its attempts gets its one more, and is exhausted again after it."""
    with Hook(answers=[500]) as hook:
        canceled(client, harness, hook.url)
        for _ in range(8):
            assert harness.unit("deliver")
            harness.clock.advance(100_000)
        assert not harness.unit("deliver")
        (done,) = listed(client, "state=exhausted")
        assert 202 == client.post(f"/v1/deliveries/{done['id']}/resend").status_code
        harness.drain("deliver")

    assert (9, 9) == (len(hook.hits), len(listed(client, "state=exhausted")[0]["attempts"]))


def test_resend_is_never_swallowed(client: FlaskClient, harness: Harness) -> None:
    """Of a subscription that is off, sending again is refused or done, not accepted and dropped."""
    with Hook(answers=[410, 200]) as hook:
        canceled(client, harness, hook.url)
        harness.drain("deliver")
        (done,) = listed(client)
        answer = client.post(f"/v1/deliveries/{done['id']}/resend")
        harness.drain("deliver")

    assert (answer.status_code, len(hook.hits)) in ((409, 1), (202, 2))


def test_hostile_retry_after(client: FlaskClient, harness: Harness) -> None:
    """A receiver's header cannot keep its delivery from being settled."""
    hostile = {"Retry-After": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"}
    with Hook(answers=[(503, hostile)]) as hook:
        canceled(client, harness, hook.url)
        assert harness.unit("deliver")

    assert [503] == [attempt["status"] for attempt in listed(client)[0]["attempts"]]


def test_others_see_nothing(client: FlaskClient, harness: Harness) -> None:
    """Bob and charlie neither see alice's deliveries nor send them again."""
    job_id = canceled(client, harness, "http://127.0.0.1:9/hook")
    (mine,) = listed(client)
    for name in ("bob", "charlie"):
        headers = {"x-api-key": harness.new_account(name)[1]}
        assert [] == listed(client, f"job_id={job_id}", **headers)
        path = f"/v1/deliveries/{mine['id']}"
        assert 404 == client.get(path, headers=headers).status_code
        assert 404 == client.post(f"{path}/resend", headers=headers).status_code

    assert [mine] == listed(client)


def test_mute_ends_what_is_pending(client: FlaskClient, harness: Harness) -> None:
    """Nothing is sent of a muted job; to mute it once more changes nothing."""
    with Hook() as hook:
        job_id = canceled(client, harness, hook.url)
        for _ in range(2):
            assert 200 == client.post(f"/v1/jobs/{job_id}/mute").status_code
        harness.drain("deliver")
    timeline = client.get(f"/v1/jobs/{job_id}/timeline").get_json()["data"]

    assert ([], "exhausted") == (hook.hits, listed(client)[0]["state"])
    assert ["1 pending delivery ended"] == [t["message"] for t in timeline if t["kind"] == "muted"]


def test_request_and_answer(client: FlaskClient, harness: Harness) -> None:
    """Each attempt is shown with the very bytes that were sent, and with its answer."""
    with Hook(answers=[500, 200]) as hook:
        canceled(client, harness, f"{hook.url}?k=1")
        harness.drain("deliver")
        harness.clock.advance(3600)
        harness.drain("deliver")
    found = client.get(f"/v1/deliveries/{listed(client)[0]['id']}").get_json()
    first, second = found["attempts"]

    assert [("POST", f"{hook.url}?k=1")] * 2 == [
        (one["request"]["method"], one["request"]["url"]) for one in (first, second)
    ]
    for attempt, hit in zip((first, second), hook.hits, strict=True):
        assert hit.body.decode() == attempt["request"]["body"]
        sent = {name.lower(): value for name, value in hit.headers.items()}
        shown = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
        assert shown == {name: sent[name] for name in shown}
        assert sent.keys() - shown.keys() == {"host"}
    assert [500, 200] == [one["answer"]["status"] for one in (first, second)]
    assert "Server" in first["answer"]["headers"]
    assert {"number", "status", "error"} < listed(client)[0]["attempts"][0].keys()
    assert "request" not in listed(client)[0]["attempts"][0]


def test_changed_target_is_masked(client: FlaskClient, harness: Harness) -> None:
    """Where a delivery went before its subscription was changed is shown in part only."""
    with Hook() as hook:
        canceled(client, harness, hook.url)
        harness.drain("deliver")
    (delivery,) = listed(client)
    changed = {"target": "http://127.0.0.1:9/other"}
    client.patch(f"/v1/subscriptions/{delivery['subscription_id']}", json=changed)
    (attempt,) = client.get(f"/v1/deliveries/{delivery['id']}").get_json()["attempts"]

    assert mask_target(hook.url) == attempt["request"]["url"]


def test_answer_is_kept_to_64_kib(client: FlaskClient, harness: Harness) -> None:
    """The first 64 KiB of an answer are kept; one that is no text is shown in base64."""
    with Hook(said=b"\xff" * 70_000) as hook:
        canceled(client, harness, hook.url)
        harness.drain("deliver")
    (delivery,) = listed(client)
    (attempt,) = client.get(f"/v1/deliveries/{delivery['id']}").get_json()["attempts"]

    answer = attempt["answer"]
    assert ("base64", True) == (answer["encoding"], answer["truncated"])
    assert b"\xff" * 65_536 == base64.b64decode(answer["body"])


def test_curl(client: FlaskClient, harness: Harness) -> None:
    """The command that repeats a request sends the same body and headers."""
    with Hook() as hook:
        canceled(client, harness, hook.url)
        harness.drain("deliver")
        with harness.db.read() as tx:
            (delivery,) = store.deliveries.page(tx, harness.account.id, 5)
            exchanges = exchanges_of(tx, harness.wiring.encryptor, [delivery])
        sent = exchanges[delivery.id, 1]
        body = (delivery.body or b"").decode()
        command = as_curl(sent.method, sent.url, sent.headers, body)
        words = shlex.split(command.replace("\\\n", " "))
        subprocess.run([*words, "--silent", "--noproxy", "*"], check=True, capture_output=True)
    first, second = hook.hits

    assert first.body == second.body
    for name in ("webhook-id", "webhook-signature", "Content-Type", "User-Agent"):
        assert first.headers[name] == second.headers[name]

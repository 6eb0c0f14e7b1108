"""``/v1/events``: catching up by cursor, and samples in the shape of the push."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from support.harness import Harness
from support.servers import Hook

from service import store
from service.events import samples
from service.model import EventType
from service.web import app
from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def canceled(client: FlaskClient, harness: Harness, count: int = 1) -> list[str]:
    """Jobs that were canceled, and their events numbered."""
    found = [harness.new_job().id for _ in range(count)]
    for job_id in found:
        harness.clock.advance(1)
        assert 200 == client.post(f"/v1/jobs/{job_id}/cancel").status_code
    harness.drain("number")
    return found


def test_pages(client: FlaskClient, harness: Harness) -> None:
    """Cursor or Link lead through all events in order, and then stay at the end for more."""
    jobs = canceled(client, harness, 5)
    path, found = "/v1/events?limit=2", []
    for _ in range(4):
        answer = client.get(path)
        found += answer.get_json()["data"]
        path = answer.headers["Link"].removeprefix("<").partition(">")[0]
    assert (jobs, [1, 2, 3, 4, 5]) == ([e["data"]["id"] for e in found], [e["seq"] for e in found])
    (later,) = canceled(client, harness)

    assert [later] == [event["data"]["id"] for event in client.get(path).get_json()["data"]]


def test_queries_of_a_page(client: FlaskClient, harness: Harness) -> None:
    """A page of many events asks the database no more often than a page of one."""
    canceled(client, harness, 5)
    asked, here = list[str](), threading.get_ident()

    @event.listens_for(harness.db.engine, "before_cursor_execute")
    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # Another thread writes when the key was last used.
        if threading.get_ident() == here:
            asked.append(statement)

    def queries(limit: int) -> int:
        asked.clear()
        assert limit == len(client.get(f"/v1/events?limit={limit}").get_json()["data"])
        return len(asked)

    # The first one also looks up who asks.
    queries(1)

    assert queries(1) == queries(5)


def test_body_is_that_of_the_push(client: FlaskClient, harness: Harness) -> None:
    """Who catches up reads what was pushed, and the event's id and number."""
    with Hook() as hook:
        spec = {"channel": "webhook", "target": hook.url, "events": ["job.canceled"]}
        client.post("/v1/subscriptions", json=spec)
        canceled(client, harness)
        harness.drain("deliver")
    (entry,) = client.get("/v1/events").get_json()["data"]
    pushed = hook.hits[0]

    assert pushed.headers["webhook-id"] == entry.pop("id")
    assert 1 == entry.pop("seq")
    assert pushed.json() == entry


def test_types(client: FlaskClient, harness: Harness) -> None:
    """A filter passes over the others, and its cursor does too."""
    canceled(client, harness, 3)
    answer = client.get("/v1/events?type=job.failed,job.held").get_json()

    assert ([], "3") == (answer["data"], answer["next_cursor"])
    assert 3 == len(client.get("/v1/events?type=job.canceled").get_json()["data"])


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "type=x", "type=", "limit=0", "colour=red"]
)
def test_invalid(client: FlaskClient, query: str) -> None:
    """What is no cursor, type or limit is refused."""
    assert 422 == client.get(f"/v1/events?{query}").status_code


def test_blank_cursor(client: FlaskClient, harness: Harness) -> None:
    """A program that has no cursor yet and sends it all the same gets the feed from its start."""
    canceled(client, harness, 2)

    assert client.get("/v1/events").get_json() == client.get("/v1/events?after=").get_json()


def test_cursor_that_would_skip(client: FlaskClient, harness: Harness) -> None:
    """Older than what is kept, or newer than all there is: 410, and where to go on."""
    canceled(client, harness, 3)
    with harness.db.write() as tx:
        oldest = store.events.feed(tx, harness.account.id, 0, 2, [], 2)
        store.retention.drop_events(tx, [event.id for event in oldest])
    found = {after: client.get(f"/v1/events?after={after}") for after in (0, 1, 2, 3, 4)}

    assert [410, 410, 200, 200, 410] == [answer.status_code for answer in found.values()]
    assert "after=2" in found[1].get_json(force=True)["detail"]
    assert [3] == [event["seq"] for event in client.get("/v1/events").get_json()["data"]]


def test_others_see_nothing(client: FlaskClient, harness: Harness) -> None:
    """Bob's feed has nothing of alice's, and his samples neither."""
    (job,) = canceled(client, harness)
    headers = {"x-api-key": harness.new_account("bob")[1]}

    assert [] == client.get("/v1/events", headers=headers).get_json()["data"]
    assert job not in client.get("/v1/events/samples?event=job.canceled", headers=headers).get_data(
        as_text=True
    )


@pytest.mark.parametrize("type_", list(EventType))
def test_static_samples(client: FlaskClient, type_: EventType) -> None:
    """Never empty: without any event there is one that says that it is a sample."""
    for format_ in ("flat", "standard", "apixo", "openai"):
        path = f"/v1/events/samples?event={type_}&format={format_}"
        (sample,) = client.get(path).get_json()
        assert sample["sample"] is True
    (sample,) = client.get(f"/v1/events/samples?event={type_}").get_json()

    assert type_ == sample["type"]
    assert sample["id"].startswith("evt_")


def test_own_samples(client: FlaskClient, harness: Harness) -> None:
    """With events of its own the account sees these, newest first, as they are pushed."""
    with Hook() as hook:
        client.post("/v1/hooks", json={"target_url": hook.url, "event": "job.canceled"})
        for _ in range(4):
            canceled(client, harness)
            harness.clock.advance(1)
        harness.drain("deliver")
    found = client.get("/v1/events/samples?event=job.canceled").get_json()
    pushed = sorted((hit.json() for hit in hook.hits), key=lambda body: str(body["id"]))

    assert list(reversed(pushed))[:3] == found


def test_unknown_sample(client: FlaskClient) -> None:
    """An event that does not exist has no samples."""
    assert 422 == client.get("/v1/events/samples?event=job.exploded").status_code


def test_sample_plays(client: FlaskClient) -> None:
    """The video of a sample is there for everybody, and is what the sample says of it."""
    (sample,) = client.get("/v1/events/samples?format=standard").get_json()
    video = sample["data"]["video"]
    content = (Path(app.__file__).parent / samples.SAMPLE_PATH.lstrip("/")).read_bytes()
    path = video["url"].removeprefix("http://127.0.0.1:9")

    with client.get(path, headers={"x-api-key": ""}) as answer:
        assert content == answer.data
    assert (len(content), hashlib.sha256(content).hexdigest()) == (video["bytes"], video["sha256"])
    assert json.dumps(sample).count(samples.SAMPLE_JOB) >= 1

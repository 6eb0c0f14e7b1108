"""What all routes share: keys, scopes, owners, lists, errors; and the machine's questions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from werkzeug.test import TestResponse

from service import store
from service.accounts import SCOPES, create_key
from service.bootstrap import build
from service.catalogue.models import MODELS
from service.formatting import iso
from service.model import JobState, new_id
from service.settings import load_settings
from service.web.app import create_app
from service.web.pagination import encode_cursor

MODEL = "kling-2-5-turbo-pro"
GOOD = {"model": MODEL, "input": {"prompt": "A fox"}}
ROUTES = [
    ("POST", "/v1/jobs", "submit"),
    ("GET", "/v1/jobs", "read"),
    ("GET", "/v1/jobs/x", "read"),
    ("GET", "/v1/jobs/x/timeline", "read"),
    ("POST", "/v1/jobs/x/cancel", "submit"),
    ("POST", "/v1/jobs/x/mute", "submit"),
    ("GET", "/v1/models", "read"),
    ("POST", "/v1/subscriptions", "admin"),
    ("GET", "/v1/subscriptions", "read"),
    ("GET", "/v1/subscriptions/x", "read"),
    ("PATCH", "/v1/subscriptions/x", "admin"),
    ("DELETE", "/v1/subscriptions/x", "admin"),
    ("POST", "/v1/hooks", "admin"),
    ("GET", "/v1/hooks/x", "read"),
    ("DELETE", "/v1/hooks/x", "admin"),
    ("GET", "/v1/deliveries", "read"),
    ("GET", "/v1/deliveries/x", "read"),
    ("POST", "/v1/deliveries/x/resend", "submit"),
    ("GET", "/v1/callbacks", "read"),
    ("GET", "/v1/callbacks/x", "read"),
    ("POST", "/v1/callbacks/x/replay", "submit"),
    ("GET", "/v1/providers", "operator"),
    ("POST", "/v1/providers/apixo/hold", "operator"),
    ("POST", "/v1/providers/apixo/resume", "operator"),
    ("GET", "/v1/me", "read"),
    ("GET", "/v1/keys", "admin"),
    ("POST", "/v1/keys", "admin"),
    ("DELETE", "/v1/keys/x", "admin"),
]


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def refused(answer: TestResponse, status: int) -> dict[str, Any]:
    """The problem of a refusal, which has the promised shape."""
    assert status == answer.status_code, answer.text
    assert "application/problem+json" == answer.content_type
    problem: dict[str, Any] = answer.get_json(force=True)
    assert (status, True, True) == (
        problem["status"],
        bool(problem["title"]),
        bool(problem["detail"]),
    )
    return problem


def test_no_key(harness: Harness) -> None:
    """Without a key of ours every route says 401 and how to come in."""
    client = create_app(harness.wiring).test_client()
    for method, path, _ in ROUTES:
        for headers in ({}, {"x-api-key": "clb_x"}, {"Authorization": "Basic YTpi"}):
            answer = client.open(path, method=method, headers=headers)
            assert refused(answer, 401)["hint"]
            assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scope", SCOPES)
def test_scope(harness: Harness, scope: str) -> None:
    """A key with every other scope is refused with 403; the one scope is enough."""
    with harness.db.write() as tx:
        rest = tuple(other for other in SCOPES if other != scope)
        others = create_key(tx, harness.account.id, "x", rest, harness.clock())
        alone = create_key(tx, harness.account.id, "y", (scope,), harness.clock())
    client = create_app(harness.wiring).test_client()
    for method, path, needed in ROUTES:
        if needed == scope:
            answer = client.open(path, method=method, headers={"x-api-key": others})
            assert scope in refused(answer, 403)["detail"], path
            answer = client.open(path, method=method, headers={"x-api-key": alone})
            assert answer.status_code in (200, 204, 404, 415), path


@pytest.mark.parametrize(
    "header", ["x-api-key: {}", "Authorization: Bearer {}", "authorization: bearer {}"]
)
def test_key(harness: Harness, header: str) -> None:
    """A key is taken in either header."""
    name, _, value = header.format(harness.key).partition(": ")
    answer = create_app(harness.wiring).test_client().get("/v1/me", headers={name: value})

    assert (200, harness.account.id) == (answer.status_code, answer.get_json()["id"])


def test_revoked_key(client: FlaskClient, harness: Harness) -> None:
    """A revoked key ends with the next request."""
    with harness.db.write() as tx:
        key = store.accounts.keys(tx, harness.account.id)[0]
        store.accounts.revoke_key(tx, key.id, harness.clock())

    refused(client.get("/v1/jobs"), 401)


def test_jobs_of_others(client: FlaskClient, harness: Harness) -> None:
    """Bob and charlie see nothing of alice's job and can do nothing with it."""
    job = harness.new_job()
    actions = [("GET", ""), ("GET", "/timeline"), ("POST", "/cancel"), ("POST", "/mute")]
    for name in ("bob", "charlie"):
        headers = {"x-api-key": harness.new_account(name)[1]}
        assert [] == client.get("/v1/jobs", headers=headers).get_json()["data"]
        assert [] == client.get(f"/v1/jobs?q={job.id}", headers=headers).get_json()["data"]
        for method, path in actions:
            refused(client.open(f"/v1/jobs/{job.id}{path}", method=method, headers=headers), 404)

    assert (JobState.QUEUED, False) == (harness.job(job).state, harness.job(job).muted)
    assert [job.id] == [one["id"] for one in client.get("/v1/jobs").get_json()["data"]]


def test_pages(client: FlaskClient, harness: Harness) -> None:
    """Cursor and Link lead through all jobs, newest first, each once; filters stay on."""
    made = [harness.new_job(f"fox {n}").id for n in range(5) if harness.clock.advance(1)]
    harness.new_job("other", model="kling-2")
    path, found = f"/v1/jobs?limit=2&model={MODEL}", []
    while path:
        answer = client.get(path)
        page = answer.get_json()
        found += [job["id"] for job in page["data"]]
        path = answer.headers.get("Link", "").removeprefix("<").partition(">")[0]
        assert bool(path) == (page["next_cursor"] is not None)

    assert made[::-1] == found


def test_filters(client: FlaskClient, harness: Harness) -> None:
    """state, model, since and the prefix of an id each narrow the list."""
    old = harness.new_job()
    later = harness.clock.advance(3600)
    new = harness.new_job(model="kling-2")
    client.post(f"/v1/jobs/{old.id}/cancel")
    expected = {
        "state=canceled": [old.id],
        "state=held": [],
        "model=kling-2": [new.id],
        f"since={iso(later)}": [new.id],
        f"since={iso(later + timedelta(seconds=1))}": [],
        f"q={old.id}": [old.id],
        f"q={old.id[:16]}": [old.id],
        "q=job_": [new.id, old.id],
        "q=%25": [],
    }
    found = {query: client.get(f"/v1/jobs?{query}").get_json().get("data") for query in expected}

    assert expected == {q: found[q] and [job["id"] for job in found[q]] for q in found}


@pytest.mark.parametrize(
    "query",
    [
        *["state=done", "since=yesterday", "since=2026-01-01T00:00:00", "limit=0", "limit=101"],
        *["limit=x", "limit=00000000150", "limit=000000001" + "0" * 30, "cursor=%FF", "cursor=!!"],
        *["colour=red", "limit=1&limit=2"],
    ],
)
def test_bad_query(client: FlaskClient, query: str) -> None:
    """A query that is not understood is refused by name, never ignored."""
    problem = refused(client.get(f"/v1/jobs?{query}"), 422)

    assert [f"?{query.partition('=')[0]}"] == [fault["pointer"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs", "/v1/deliveries", "/v1/callbacks", "/v1/callbacks/rejected"],
)
def test_cursor_of_another_list(client: FlaskClient, harness: Harness, path: str) -> None:
    """A cursor that leads through another list is refused: no page would be the next one."""
    for kind in ("vid", "job_", "evt"):
        foreign = encode_cursor(new_id(kind, harness.clock()))
        problem = refused(client.get(f"{path}?cursor={foreign}"), 422)
        assert ["?cursor"] == [fault["pointer"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    "path",
    [
        *["/v1/jobs?q=%00", "/v1/jobs?model=%00", "/v1/jobs/%00", "/v1/jobs/%00/timeline"],
        *["/v1/jobs?cursor=AA", "/v1/deliveries?job_id=%00", "/v1/deliveries/%00"],
        *["/v1/subscriptions/%00", "/v1/hooks/%00", "/v/%00"],
        *["/v1/jobs?since=0001-01-01T00:00:00%2B23:59", "/v1/jobs?since=9999-12-31T23:59:59-12:00"],
    ],
)
def test_hostile_address(client: FlaskClient, path: str) -> None:
    """No text in an address makes the service fail."""
    assert client.get(path).status_code in (200, 403, 404, 422)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/v1/jobs/", 404, None),
        ("DELETE", "/v1/jobs", 405, "GET, HEAD, OPTIONS, POST"),
        ("GET", "/v1/hooks", 405, "OPTIONS, POST"),
        ("PUT", "/callbacks/x", 405, "GET, HEAD, OPTIONS, POST"),
        ("POST", "/v/x", 405, "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", 405, "GET, HEAD, OPTIONS"),
    ],
)
def test_no_such_route(
    client: FlaskClient, method: str, path: str, status: int, allow: str | None
) -> None:
    """Errors of the framework have the same shape; 405 names what is allowed."""
    answer = client.open(path, method=method)

    assert refused(answer, status)
    assert allow == answer.headers.get("Allow")


def test_me(client: FlaskClient, harness: Harness) -> None:
    """Whose key this is; without a budget nothing is limited."""
    assert {
        "id": harness.account.id,
        "name": "alice",
        "scopes": ["read", "submit", "admin", "operator"],
        "spent_today": 0.0,
        "remaining_budget": None,
    } == client.get("/v1/me").get_json()


def test_models(client: FlaskClient) -> None:
    """Each model with its schema, price, time and provider."""
    found = {model["id"]: model for model in client.get("/v1/models").get_json()["data"]}

    assert MODELS.keys() == found.keys()
    two = found["kling-2"]
    assert ("segmind", 1.75, 3.5) == (two["provider"], two["price"]["min"], two["price"]["max"])
    assert ["prompt"] == two["input_schema"]["required"]
    assert {"5": 317.18, "10": 317.18} == two["expected_seconds"]


def test_ready(client: FlaskClient, harness: Harness) -> None:
    """Ready with a worker that was seen lately; 503 with the reason without one."""
    assert "clipbell worker" in client.get("/readyz").get_json()["checks"]["worker"]
    assert 503 == client.get("/readyz").status_code
    with harness.db.write() as tx:
        store.work.beat(tx, "w1", harness.clock())
    assert (200, "ready") == (
        client.get("/readyz").status_code,
        client.get("/readyz").get_json()["status"],
    )
    harness.clock.advance(60)
    assert [503, 200] == [client.get(path).status_code for path in ("/readyz", "/healthz")]


def test_not_ready_without_tables(tmp_path: Path) -> None:
    """Over a database that is not migrated /readyz says 503 and what to run."""
    wiring = build(load_settings({}, data_dir=tmp_path, secret_keys="k" * 40))
    answer = create_app(wiring).test_client().get("/readyz")
    wiring.close()

    assert 503 == answer.status_code
    assert "clipbell migrate" in answer.get_json()["checks"]["database"]

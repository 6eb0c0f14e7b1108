"""``/v1/batches``: jobs that are made once for good, all or none."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.sandboxes import png

from service import store
from service.web.app import create_app

JOB = {"model": "kling-2", "input": {"prompt": "A fox", "duration": 5}}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def batch(*keys: str, job: Any = JOB) -> dict[str, Any]:
    """A body with a row of each key."""
    return {"rows": [{"key": key, "job": job} for key in keys]}


def count(client: FlaskClient) -> int:
    """How many jobs there are."""
    return len(client.get("/v1/jobs").get_json()["data"])


def test_made_once(client: FlaskClient, harness: Harness) -> None:
    """A key is one job for good; the order of the answer is that of the rows."""
    first = client.post("/v1/batches", json=batch("a", "b"))
    harness.clock.advance(30 * 86_400)
    again = client.post("/v1/batches", json=batch("c", "b", "a")).get_json()["data"]

    assert (202, 3) == (first.status_code, count(client))
    made = first.get_json()["data"]
    assert [row["job_id"] for row in made] == [again[2]["job_id"], again[1]["job_id"]]
    assert [False, True, True] == [row["repeated"] for row in again]
    assert ["c", "b", "a"] == [row["key"] for row in again]


def test_dry_run(client: FlaskClient) -> None:
    """It prices the new jobs and makes none."""
    client.post("/v1/batches", json=batch("a"))
    plan = client.post("/v1/batches/dry-run", json=batch("a", "b", "c")).get_json()

    assert {
        "dry_run": True,
        "jobs": 2,
        "repeated": 1,
        "estimated_min": 3.5,
        "estimated_max": 3.5,
        "without_price": 0,
    } == plan
    assert 1 == count(client)


def test_other_content(client: FlaskClient) -> None:
    """A key with another content is refused with its job, and its batch makes nothing."""
    client.post("/v1/batches", json=batch("a"))
    other = JOB | {"input": {"prompt": "A hen", "duration": 5}}
    rows = batch("b")["rows"] + batch("a", job=other)["rows"]
    faults = [
        client.post(path, json={"rows": rows}).get_json()["errors"]
        for path in ("/v1/batches", "/v1/batches/dry-run")
    ]

    assert [["/rows/1/key"]] * 2 == [[fault["pointer"] for fault in found] for found in faults]
    assert 1 == count(client)


def test_same_key_twice_in_one_batch(client: FlaskClient) -> None:
    """Two rows of one key are one job, also in its price; with two contents they are refused."""
    plan = client.post("/v1/batches/dry-run", json=batch("a", "a")).get_json()
    two = client.post("/v1/batches", json=batch("a", "a")).get_json()["data"]
    other = JOB | {"metadata": {"order": 7}}
    rows = batch("b")["rows"] + batch("b", job=other)["rows"]
    paths = ("/v1/batches", "/v1/batches/dry-run")
    refused = [client.post(path, json={"rows": rows}).get_json() for path in paths]

    assert (1, 1, 1.75) == (plan["jobs"], plan["repeated"], plan["estimated_max"])
    assert two[0]["job_id"] == two[1]["job_id"] and two[1]["repeated"]
    assert [["/rows/1/key"]] * 2 == [[one["pointer"] for one in r["errors"]] for r in refused]
    assert "job_" not in refused[0]["errors"][0]["message"]
    assert 1 == count(client)


def test_other_account(client: FlaskClient, harness: Harness) -> None:
    """Another account's keys are its own."""
    _, key = harness.new_account("bob")
    client.post("/v1/batches", json=batch("a"))
    made = client.post("/v1/batches", json=batch("a"), headers={"x-api-key": key})

    assert not made.get_json()["data"][0]["repeated"]


def test_images_are_stored_once(client: FlaskClient, harness: Harness) -> None:
    """An inline image of a row that is sent again leaves no second file."""
    job = {
        "model": "kling-2",
        "input": {"prompt": "A fox", "start_image": base64.b64encode(png("teal")).decode()},
    }
    found = [client.post("/v1/batches", json=batch("a", job=job)) for _ in range(2)]
    with harness.db.read() as tx:
        (row,) = store.job_lists.page(tx, harness.account.id, 10)

    assert [202, 202] == [answer.status_code for answer in found], found[0].text
    assert "/i/" in str(row.input)
    assert 1 == len(list(harness.wiring.settings.data_dir.rglob("img_*")))


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/rows"]),
        ({"rows": []}, ["/rows"]),
        (batch(*"a" * 51), ["/rows"]),
        (batch("a") | {"more": 1}, ["/more"]),
        (
            {"rows": [7, {"key": "a"}, {"key": "a", "job": JOB, "x": 1}]},
            ["/rows/0", "/rows/1", "/rows/2"],
        ),
        (batch("", "x" * 41, "a b", "é", job=JOB), [f"/rows/{n}/key" for n in range(4)]),
        (batch("a", job=None), ["/rows/0/job"]),
        (
            batch("a", job={"model": "kling-2", "input": {"prompt": "", "duration": 7}}),
            ["/rows/0/job/input/prompt", "/rows/0/job/input/duration"],
        ),
        (batch("a", "b", job={"model": "kling-9"}), ["/rows/0/job/", "/rows/1/job/"]),
    ],
)
def test_refused(client: FlaskClient, body: Any, pointers: list[str]) -> None:
    """Every fault of every row is named, and nothing is stored."""
    for path in ("/v1/batches", "/v1/batches/dry-run"):
        answer = client.post(path, json=body)
        found = [fault["pointer"] for fault in answer.get_json()["errors"]]
        assert 422 == answer.status_code
        assert all(any(one.startswith(wanted) for one in found) for wanted in pointers), found
        assert all(any(one.startswith(wanted) for wanted in pointers) for one in found), found
    assert 0 == count(client)

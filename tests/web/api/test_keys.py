"""``/v1/keys``: made within one's own rights, listed without the key, revoked at once."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service.accounts import create_key
from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def status(client: FlaskClient, key: str, path: str = "/v1/me") -> int:
    """What that key gets."""
    return client.get(path, headers={"x-api-key": key}).status_code


def test_made_used_and_revoked(client: FlaskClient, harness: Harness) -> None:
    """A key is shown once, works with its scopes, and ends at once."""
    made = client.post("/v1/keys", json={"name": "ci", "scopes": ["read"]})
    key = made.get_json().pop("api_key")
    path = f"/v1/keys/{made.get_json()['id']}"
    before = (status(client, key), status(client, key, "/v1/keys"))
    ended = [client.delete(path).status_code for _ in range(2)]

    assert (201, (200, 403), [204, 204]) == (made.status_code, before, ended)
    assert 401 == status(client, key)
    assert key not in client.get("/v1/keys").text
    rows = {row["id"]: row for row in client.get("/v1/keys").get_json()["data"]}
    assert rows[made.get_json()["id"]]["revoked_at"]
    assert ["read", "submit"] == client.post("/v1/keys", json={"name": "x"}).get_json()["scopes"]


def test_last_used(client: FlaskClient, harness: Harness) -> None:
    """The list says when each key was last used; one that was never used says so."""
    client.post("/v1/keys", json={"name": "ci"})
    keys = {key["name"]: key for key in client.get("/v1/keys").get_json()["data"]}
    harness.wiring.ingest.close()
    again = {key["name"]: key for key in client.get("/v1/keys").get_json()["data"]}

    assert keys["ci"]["last_used"] is None
    assert "2026-01-01T12:00:00Z" == again["alice"]["last_used"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "acc_1"}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": "read"}, "/scopes"),
        ({"name": "x", "scopes": ["write"]}, "/scopes/0"),
        ({"name": "x", "colour": "red"}, "/colour"),
    ],
)
def test_invalid(client: FlaskClient, body: Any, pointer: str) -> None:
    """Each fault points at its field."""
    answer = client.post("/v1/keys", json=body)

    assert (422, [pointer]) == (
        answer.status_code,
        [fault["pointer"] for fault in answer.get_json(force=True)["errors"]],
    )


def test_nobody_gives_more_than_they_have(client: FlaskClient, harness: Harness) -> None:
    """An account's admin makes no operator, and touches no other account's keys."""
    with harness.db.write() as tx:
        key = create_key(tx, harness.account.id, "a", ("read", "admin"), harness.clock())
    _, others = harness.new_account("bob")
    (theirs,) = client.get("/v1/keys", headers={"x-api-key": others}).get_json()["data"]
    given = {"name": "x", "scopes": ["read", "operator", "submit"]}
    refused = client.post("/v1/keys", json=given, headers={"x-api-key": key})

    assert ["/scopes/1", "/scopes/2"] == [f["pointer"] for f in refused.get_json()["errors"]]
    assert 404 == client.delete(f"/v1/keys/{theirs['id']}").status_code
    assert 200 == status(client, others)

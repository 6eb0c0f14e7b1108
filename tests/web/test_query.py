"""A query is read whole: every parameter that is unknown, repeated or wrong is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service.errors import InvalidInput
from service.web.app import create_app
from service.web.query import choice, moment, switch


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API over the harness, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "jobs?state=x&since=now&limit=0&cursor=y&color=red",
            ["?color", "?state", "?since", "?limit", "?cursor"],
        ),
        ("jobs?limit=1&limit=2&state=x", ["?state", "?limit"]),
        ("deliveries?type=x&state=y&limit=a", ["?state", "?type", "?limit"]),
        ("events?after=x&type=y&limit=101", ["?after", "?type", "?limit"]),
        ("events/samples?event=x&format=y", ["?event", "?format"]),
        ("callbacks?state=x&rejected=maybe", ["?state", "?rejected"]),
        ("callbacks?rejected=true&cursor=x", ["?cursor"]),
    ],
)
def test_every_fault_is_named(client: FlaskClient, query: str, expected: list[str]) -> None:
    """One answer says all that is wrong with a query."""
    response = client.get(f"/v1/{query}")

    assert 422 == response.status_code
    assert expected == [error["pointer"] for error in response.get_json()["errors"]]


def test_faults_of_a_recovery(client: FlaskClient) -> None:
    """A parameter that is missing is named beside those that are wrong."""
    made = client.post(
        "/v1/subscriptions", json={"channel": "webhook", "target": "https://example.com/hook"}
    ).get_json()
    refused = client.post(f"/v1/subscriptions/{made['id']}/recover?missing=2&cursor=x")

    found = {error["pointer"]: error["code"] for error in refused.get_json()["errors"]}
    expected = {"?since": "required", "?missing": "not_allowed", "?cursor": "bad_cursor"}
    assert expected == found


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, False), ("true", True), ("TRUE", True), ("1", True), ("0", False), ("False", False)],
)
def test_switch(given: str | None, expected: bool) -> None:
    """Plain words for yes and no; missing is no."""
    assert expected is switch(given)


@pytest.mark.parametrize("given", ["", "2", "yes", "on"])
def test_switch_of_other_words(given: str) -> None:
    """A word that might mean either is refused."""
    with pytest.raises(InvalidInput, match="must be true or false"):
        switch(given)


def test_choice() -> None:
    """A missing word is the usual one, or none."""
    assert ("b", "a", None) == (
        choice("ab", "a")("b"),
        choice("ab", "a")(None),
        choice("ab")(None),
    )


@pytest.mark.parametrize(
    "given",
    ["2026-01-01T02:00:00+02:00", "2026-01-01T02:00:00 02:00", "2026-01-01t00:00:00z"],
)
def test_moment(given: str) -> None:
    """A time in any zone, a plus that came as a blank, and small letters."""
    assert datetime(2026, 1, 1, tzinfo=UTC) == moment(given)

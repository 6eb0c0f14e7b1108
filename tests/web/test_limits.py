"""Who asks too often learns how long to wait, and others are answered all the while."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from support.harness import NOON, Harness

from service.web.app import create_app
from service.web.errors import Problem
from service.web.limits import MOST_NAMES, Limits, RateLimit
from web.test_session import paste


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """A caller of a service with small quotas."""
    app = create_app(harness.wiring)
    app.extensions["limits"] = Limits(key=3, address=2, login=2)
    return app.test_client()


def ask(client: FlaskClient, key: str, path: str = "/v1/me") -> tuple[int, str | None]:
    """The status of one request and what is left."""
    answer = client.get(path, headers={"x-api-key": key})
    return answer.status_code, answer.headers.get("RateLimit")


def test_limit_per_key(client: FlaskClient, harness: Harness) -> None:
    """A key has its quota a minute; another key has its own, and after a minute it goes on."""
    _, other = harness.new_account("bob")
    answers = [ask(client, harness.key)[0] for _ in range(4)]
    over = client.get("/v1/jobs", headers={"x-api-key": harness.key})
    others = ask(client, other)
    harness.clock.advance(61)

    assert [200, 200, 200, 429] == answers
    assert (429, "60") == (over.status_code, over.headers["Retry-After"])
    assert '"key";q=3;w=60' == over.headers["RateLimit-Policy"]
    assert '"key";r=0;t=60' == over.headers["RateLimit"]
    assert "application/problem+json" == over.content_type
    assert (200, '"key";r=2;t=60') == others
    assert (200, '"key";r=2;t=60') == ask(client, harness.key)


def test_limit_per_address(client: FlaskClient, harness: Harness) -> None:
    """Wrong keys from one address come to an end; callbacks and health are answered still."""
    answers = [ask(client, f"clb_{turn}") for turn in range(3)]

    assert [401, 401, 429] == [status for status, _ in answers]
    assert '"address";r=0;t=60' == answers[1][1]
    assert 429 == client.get("/v1/me").status_code
    assert 401 == client.post("/callbacks/x").status_code
    assert 200 == client.get("/healthz").status_code


def test_login_is_throttled(client: FlaskClient, harness: Harness) -> None:
    """Who guesses keys at the sign-in waits a minute, even for the right one."""
    guesses = [paste(client, f"clb_{turn}").status_code for turn in range(3)]
    waiting = paste(client, harness.key)
    harness.clock.advance(61)

    assert [401, 401, 429] == guesses
    assert (429, "60") == (waiting.status_code, waiting.headers["Retry-After"])
    assert 303 == paste(client, harness.key).status_code


def test_headers_are_those_of_the_draft() -> None:
    """Each is a list of one quoted name with whole numbers as parameters."""
    headers = RateLimit("key", 100).take("a", NOON).headers()

    assert re.fullmatch(r'"key";q=\d+;w=\d+', headers["RateLimit-Policy"])
    assert re.fullmatch(r'"key";r=\d+;t=\d+', headers["RateLimit"])


def test_memory_of_the_limits() -> None:
    """However many names come, few are remembered; a clock set back locks nobody out."""
    limit = RateLimit("address", 1)
    for number in range(MOST_NAMES + 10):
        limit.take(str(number), NOON)
    limit.take("last", NOON)

    with pytest.raises(Problem):
        limit.take("last", NOON)
    assert 0 == limit.take("last", NOON - timedelta(hours=1)).left

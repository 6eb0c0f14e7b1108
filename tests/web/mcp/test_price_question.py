"""A price over the caller's limit: a question where the client can ask, else a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.mcp import TASKS, WISH, asked, code, result
from werkzeug.test import TestResponse


def test_a_price_over_the_limit(client: FlaskClient) -> None:
    """Nothing is made that may cost more than the caller allows; the answer says the price."""
    wish = {**WISH, "max_price": 1.5}
    found = result(asked(client, "tools/call", TASKS, name="create_video", arguments=wish))

    assert found["isError"]
    assert "1.75" in found["structuredContent"]["error"]
    assert [] == client.get("/v1/jobs").get_json()["data"]


DEAR: dict[str, Any] = {"name": "create_video", "arguments": {**WISH, "max_price": 1.5}}


def jobs_of(client: FlaskClient) -> list[str]:
    """The ids of all jobs."""
    return [job["id"] for job in client.get("/v1/jobs").get_json()["data"]]


def replied(client: FlaskClient, question: dict[str, Any], action: str, *more: str) -> TestResponse:
    """The same call again, with what the user said to the price."""
    answer = {"inputResponses": {"price": {"action": action, "content": {}}}}
    state = {"requestState": question["requestState"]}
    return asked(client, "tools/call", *more, elicitation={}, **DEAR, **answer, **state)


@pytest.mark.parametrize("elicitation", [{}, {"form": {}}, {"form": {}, "url": {}}])
def test_asks_back(client: FlaskClient, elicitation: dict[str, Any]) -> None:
    """Where the client can ask, the price is a question; nothing is made before its answer."""
    question = result(asked(client, "tools/call", elicitation=elicitation, **DEAR))
    request = question["inputRequests"]["price"]
    before = jobs_of(client)
    made = result(replied(client, question, "accept"))

    assert ("input_required", "elicitation/create") == (question["resultType"], request["method"])
    assert "$1.75; your limit is $1.50" in request["params"]["message"]
    assert {"type": "object", "properties": {}} == request["params"]["requestedSchema"]
    assert [] == before
    assert [made["structuredContent"]["id"]] == jobs_of(client)


def test_asks_back_before_a_task(client: FlaskClient) -> None:
    """With the extension, too, the question comes before the task."""
    question = result(asked(client, "tools/call", TASKS, elicitation={}, **DEAR))
    made = result(replied(client, question, "accept", TASKS))

    assert ("input_required", "task") == (question["resultType"], made["resultType"])


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_declined(client: FlaskClient, action: str) -> None:
    """Who does not accept gets no video."""
    question = result(asked(client, "tools/call", elicitation={}, **DEAR))
    declined = result(replied(client, question, action))

    assert declined["isError"]
    assert "nothing was made" in declined["structuredContent"]["error"]
    assert [] == jobs_of(client)


def test_an_answer_counts_once(client: FlaskClient) -> None:
    """The same answer again, as after one that got lost, is the same job."""
    question = result(asked(client, "tools/call", elicitation={}, **DEAR))
    made = [result(replied(client, question, "accept")) for _ in range(2)]

    assert 1 == len({one["structuredContent"]["id"] for one in made})
    assert 1 == len(jobs_of(client))


def test_an_answer_to_something_else(harness: Harness, client: FlaskClient) -> None:
    """A state that was changed, is old, or belongs to another call or key makes nothing."""
    question = result(asked(client, "tools/call", elicitation={}, **DEAR))
    wish = {"model": "kling-2", "input": {"prompt": "A hare"}, "max_price": 1.5}
    given = {"elicitation": {}, "requestState": question["requestState"]}
    other = asked(client, "tools/call", name="create_video", arguments=wish, **given)
    forged = replied(
        client, {"requestState": question["requestState"][:-9] + "AAAAAAAAA"}, "accept"
    )
    sealed = harness.wiring.encryptor.encrypt("{}")
    foreign = replied(client, {"requestState": sealed}, "accept")
    _, bobs = harness.new_account("bob")
    client.environ_base["HTTP_X_API_KEY"] = bobs
    stolen = replied(client, question, "accept")
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    harness.clock.advance(3600)
    late = replied(client, question, "accept")

    assert [-32602] * 5 == [code(one) for one in (other, forged, foreign, stolen, late)]
    assert [] == jobs_of(client)


@pytest.mark.parametrize("elicitation", [None, {"url": {}}])
def test_cannot_ask(client: FlaskClient, elicitation: dict[str, Any] | None) -> None:
    """Without forms the price is a refusal, as before."""
    found = result(asked(client, "tools/call", elicitation=elicitation, **DEAR))

    assert found["isError"]
    assert "1.75" in found["structuredContent"]["error"]

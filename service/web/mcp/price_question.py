"""
The question whether a video may cost more than the caller's limit (MCP's ``input_required``).

Nothing is stored between the question and its answer: everything is in the state that
the client sends back, and that we have signed. So any process can handle the answer.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service.errors import BadToken
from service.signing import digest
from service.web.context import caller, wiring
from service.web.mcp.tools import PriceOverLimit

#: The time for which an answer is valid.
PATIENCE = timedelta(minutes=30)
#: The question's name in the requests and answers of a result.
PRICE = "price"
EXPIRED = (
    "the user was not asked about this price, or too long ago: call again without requestState"
)


@dataclass(frozen=True)
class Answer:
    """
    The user's answer: whether to make the video, for at most `price` dollars.

    `price` is None if it is not stated. `question` is unique to each question.
    """

    accepted: bool
    price: float | None
    question: str


def ask(over: PriceOverLimit, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result with the question: a form without fields, to accept or decline."""
    w = wiring()
    state = {
        "purpose": PRICE,
        "key": caller().id,
        "arguments": _fingerprint(arguments),
        "price": over.price,
        "question": secrets.token_hex(16),
        "exp": (w.clock() + PATIENCE).timestamp(),
    }
    schema = {"type": "object", "properties": {}}
    form = {"mode": "form", "message": over.question, "requestedSchema": schema}
    return {
        "resultType": "input_required",
        "inputRequests": {PRICE: {"method": "elicitation/create", "params": form}},
        "requestState": w.encryptor.encrypt(json.dumps(state)),
    }


def answer_in(params: dict[str, Any], arguments: dict[str, Any]) -> Answer | None:
    """
    The answer in a repeated call; None in a first one.

    Raises:
        BadToken: the state is not ours, is too old, or belongs to another call.
    """
    sealed = params.get("requestState")
    if sealed is None:
        return None
    w = wiring()
    try:
        state = json.loads(w.encryptor.decrypt(str(sealed)))
    except ValueError:
        state = None
    if not isinstance(state, dict) or state.get("purpose") != PRICE:
        raise BadToken(EXPIRED)
    if state["exp"] < w.clock().timestamp():
        raise BadToken(EXPIRED)
    if state["key"] != caller().id or state["arguments"] != _fingerprint(arguments):
        raise BadToken(EXPIRED)
    responses = params.get("inputResponses")
    said = responses.get(PRICE) if isinstance(responses, dict) else None
    accepted = isinstance(said, dict) and said.get("action") == "accept"
    return Answer(accepted, state["price"], state["question"])


def _fingerprint(arguments: dict[str, Any]) -> str:
    return digest(json.dumps(arguments, sort_keys=True))

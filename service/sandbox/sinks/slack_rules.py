"""
Slack's check of a message: its documented limits, as a list of faults.

The limits stand in ``slack_message.json``, a JSON Schema written from Slack's pages and apart
from the code that makes our cards, so that each checks the other. Here is what a schema
cannot say: which words Slack has for a breach, and what it finds out when it looks further.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, ValidationError

from service.errors import FieldError, json_pointer

#: Above this many characters in all Slack refuses the message, although no page says so.
TOTAL = 13_000

Faults = Iterator[FieldError]


_VALIDATOR = Draft202012Validator(
    json.loads(files("service.sandbox.sinks").joinpath("slack_message.json").read_text("utf-8"))
)


def check_message(payload: Any) -> list[FieldError]:
    """All that is wrong with a message; empty when Slack would show it. `code` is Slack's word."""
    if not isinstance(payload, dict):
        return [FieldError("", "invalid_payload", "the body is no JSON object")]
    if len(str(payload)) > TOTAL:
        message = f"more than {TOTAL} characters in all"
        return [FieldError("/blocks", "msg_blocks_too_long", message)]
    errors = sorted(_VALIDATOR.iter_errors(payload), key=lambda error: list(map(str, error.path)))
    return [_fault(error) for error in errors] or list(_block_faults(payload.get("blocks", [])))


def _fault(error: ValidationError) -> FieldError:
    """A breach of the schema, with Slack's own word for it."""
    at = json_pointer(*error.absolute_path)
    if error.validator == "required":
        required, there = cast(list[str], error.validator_value), cast(Any, error.instance)
        missing = next(name for name in required if name not in there)
        at += json_pointer(missing)
    if at == "/text":
        word = "msg_too_long" if error.validator == "maxLength" else "no_text"
    elif at.startswith("/blocks"):
        word = "invalid_blocks" if at.count("/") > 2 else "invalid_blocks_format"
    else:
        word = "invalid_payload"
    return FieldError(at, word, error.message[:200])


def _block_faults(blocks: list[dict[str, Any]]) -> Faults:
    """Breaches that no schema can express: repeated names, images out of Slack's reach."""
    yield from _unique(blocks, "block_id", "/blocks")
    for number, block in enumerate(blocks):
        at = f"/blocks/{number}"
        if block["type"] == "actions":
            yield from _unique(block["elements"], "action_id", f"{at}/elements")
        if block["type"] == "image" and not _is_fetchable(block["image_url"]):
            message = "downloading image failed: Slack cannot reach this host"
            yield FieldError(f"{at}/image_url", "invalid_blocks", message)


def _unique(things: list[dict[str, Any]], name: str, at: str) -> Faults:
    named = [thing[name] for thing in things if name in thing]
    if len(named) != len(set(named)):
        yield FieldError(at, "invalid_blocks", f"the same {name} twice")


def _is_fetchable(url: str) -> bool:
    """Whether Slack could fetch it; this Slack also reaches what runs beside it."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
        return address.is_global or address.is_loopback
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))

"""The answers of an operation by status: its own, and those that all of its kind have."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.web.openapi import compat as doors
from service.web.openapi import examples
from service.web.openapi.builders import (
    JSON,
    PROBLEM,
    Operation,
    Response,
    Schema,
    ref,
    text,
    whole,
)

EXAMPLES: dict[str, Any] = examples.EXAMPLES | doors.EXAMPLES
_HEADERS = {
    "Location": text("Where it is."),
    "Link": text('The next page: `<URL>; rel="next"`.'),
    "ETag": text("Changes with the answer."),
    "Retry-After": whole("Seconds until it is worth trying again.", minimum=0),
    "WWW-Authenticate": text("How to authenticate."),
    "Idempotency-Replayed": text("`true`: this is the kept answer to an earlier request."),
    "Preference-Applied": text("`respond-async`."),
    "Vary": text("What the answer depends on."),
    "Content-Range": text("Which bytes these are, of how many."),
    "Content-Disposition": text("The name to save it under."),
    "Accept-Ranges": text("`bytes`."),
    "x-request-id": text("Our job's id."),
    "x-cost": text("US dollars."),
    "x-remaining-credits": text("US dollars of the budget that are left."),
}
HEADERS: dict[str, Schema] = {
    name: {"description": schema["description"], "schema": schema}
    for name, schema in _HEADERS.items()
}
#: What a refusal carries besides its body, by status.
_WITH = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("x-request-id", "Location"),
}
_BODY = {
    400: "The body is not JSON; `detail` says where.",
    413: "The body is too large.",
    415: "The body is not application/json, or in a content coding that is not known here.",
}
_KEYED = {
    401: "No API key was sent, or one that is not valid.",
    403: "The key lacks the scope.",
}
_COMMON = {
    **_KEYED,
    **_BODY,
    422: "A parameter or field is wrong; `errors` names every one.",
    503: "It cannot be written or read right now; nothing was done.",
}
_DETAILS = {
    400: "the body is not JSON: Expecting value at line 1 column 1",
    401: "no API key was sent",
    403: "this needs the scope submit",
    413: "the body is larger than 1048576 bytes",
    415: "the body must be application/json, not text/plain",
    422: "1 field is wrong",
    503: "the service cannot write or read right now",
}
_FAULT = {
    "pointer": "/input/duration",
    "code": "not_allowed",
    "message": "must be one of 5, 10",
}


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    """By name; one that ends in ``?`` is not always there."""
    found = {}
    for name in names:
        always = not name.endswith("?")
        header = HEADERS[name.rstrip("?")]
        found[name.rstrip("?")] = header | {"required": True} if always else header
    return found


def _refusal(status: int, note: str, errors: str, example: Any = None) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": ref(errors)}
    if example is not None:
        body["example"] = example
    return {
        "description": note,
        "headers": _headers(_WITH.get(status, ())),
        "content": {PROBLEM if errors == "Problem" else JSON: body},
    }


def _problem(status: int, detail: str) -> dict[str, Any]:
    found = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return found | {"detail": detail} | ({"errors": [_FAULT]} if status == 422 else {})


#: Refusals that many operations share.
REFUSALS: dict[str, Any] = {
    f"Refused{status}": _refusal(status, note, "Problem", _problem(status, _DETAILS[status]))
    for status, note in _COMMON.items()
}


def answered(
    operation: Operation, scope: str | None, *, read: bool, body: bool
) -> dict[str, dict[str, Any]]:
    """All responses of an operation, by status; a `read` has an ETag."""
    found = {
        status: _answer(answer, read=read and status == 200)
        for status, answer in operation.answers.items()
    }
    if read:
        found[304] = _answer(Response("Nothing has changed.", headers=("ETag",)), read=False)
    for status, note in (_shared(operation, scope, body) | operation.refuses).items():
        found.setdefault(status, _named(status, note, operation))
    return {str(status): found[status] for status in sorted(found)}


def _shared(operation: Operation, scope: str | None, body: bool) -> dict[int, str]:
    """What every operation of this kind refuses."""
    if operation.tag == "Operators" and scope is None:
        return {}
    away = {503: _COMMON[503]}
    if operation.errors != "Problem":
        return _KEYED | away
    if scope is None:
        return away | {404: "There is nothing at this address.", 422: _COMMON[422]}
    return _KEYED | away | {422: _COMMON[422]} | (_BODY if body else {})


def _named(status: int, note: str, operation: Operation) -> dict[str, Any]:
    if operation.errors == "Problem" and _COMMON.get(status) == note:
        return {"$ref": f"#/components/responses/Refused{status}"}
    example = None
    if operation.errors == "Problem":
        example = _problem(status, note.rstrip(".").lower())
    return _refusal(status, note, operation.errors, example)


def _answer(answer: Response, *, read: bool) -> dict[str, Any]:
    headers = (*answer.headers, *(["ETag"] if read else []))
    found: dict[str, Any] = {"description": answer.note, "headers": _headers(headers)}
    if answer.schema is not None:
        shown: dict[str, Any] = {"schema": answer.schema}
        example = answer.example or _example(answer.schema)
        if example is not None and answer.content == JSON:
            shown["example"] = example
        others = {content: {"schema": schema} for content, schema in answer.others.items()}
        found["content"] = {answer.content: shown, **others}
    return found


def _example(schema: Schema) -> Any:
    return EXAMPLES.get(schema.get("$ref", "").rpartition("/")[2])

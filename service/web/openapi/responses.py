"""The responses of an operation by status: its own, and those of all operations of its kind."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.web.errors import FieldErrorJson, ProblemJson
from service.web.openapi.builders import JSON, PROBLEM, Operation, Response, Schema, Schemas

_HEADER_NOTES = {
    "Location": "Its address.",
    "Link": 'The next page: `<URL>; rel="next"`.',
    "ETag": "Changes with the answer.",
    "Retry-After": "The seconds after which to retry.",
    "WWW-Authenticate": "How to authenticate.",
    "Idempotency-Replayed": "`true`: this is the stored answer to an earlier request.",
    "Preference-Applied": "`respond-async`.",
    "Vary": "The headers that the answer depends on.",
    "Content-Range": "The place of these bytes, and the size of the whole.",
    "Content-Disposition": "The name to save it under.",
    "Accept-Ranges": "`bytes`.",
    "x-request-id": "Our job's id.",
    "openai-poll-after-ms": "The milliseconds after which to ask again.",
    "x-cost": "US dollars.",
    "x-remaining-credits": "US dollars left of the budget; without one, at the vendor.",
}
_HEADERS: dict[str, Schema] = {
    name: {"description": note, "schema": {"type": "string"}}
    for name, note in _HEADER_NOTES.items()
}
_HEADERS["Retry-After"]["schema"] = {"type": "integer", "minimum": 0}
#: The headers of a refusal, by status.
_WITH = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("x-request-id", "Location"),
}
_BODY = {
    400: "The body is not JSON; `detail` says where.",
    413: "The body is too large.",
    415: "The body is not application/json, or has an unknown content coding.",
}
_KEYED = {
    401: "The API key is missing or not valid.",
    403: "The key lacks the scope.",
}
_COMMON = {
    **_KEYED,
    **_BODY,
    422: "A parameter or field is wrong; `errors` lists all errors.",
    503: "The database or disk is unavailable; nothing was done.",
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


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    """Headers by name; one that ends in ``?`` is not always sent."""
    found = {}
    for name in names:
        always = not name.endswith("?")
        header = _HEADERS[name.rstrip("?")]
        found[name.rstrip("?")] = header | {"required": True} if always else header
    return found


def _problem(schemas: Schemas, status: int, detail: str) -> dict[str, Any]:
    """An example of a problem with this status."""
    problem: dict[str, Any] = schemas.example(ProblemJson)
    problem |= {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if status == 422:
        problem["errors"] = [schemas.example(FieldErrorJson)]
    return problem


def _refusal(status: int, note: str, schema: Schema, example: Any, content: str) -> dict[str, Any]:
    return {
        "description": note,
        "headers": _headers(_WITH.get(status, ())),
        "content": {content: {"schema": schema, "example": example}},
    }


def shared_refusals(schemas: Schemas) -> dict[str, Any]:
    """Error responses that many operations share, by component name."""
    schema = schemas.of(ProblemJson)
    return {
        f"Refused{status}": _refusal(
            status, note, schema, _problem(schemas, status, _DETAILS[status]), PROBLEM
        )
        for status, note in _COMMON.items()
    }


def responses(
    operation: Operation, schemas: Schemas, scope: str | None, *, read: bool, body: bool
) -> dict[str, dict[str, Any]]:
    """All responses of an operation, by status; a `read` has an ETag."""
    found = {
        status: _response(one, schemas, read=read and status == 200)
        for status, one in operation.answers.items()
    }
    if read:
        unchanged = Response("Nothing has changed.", headers=("ETag",))
        found[304] = _response(unchanged, schemas, read=False)
    # The error responses of every operation of this kind.
    away = {503: _COMMON[503]}
    if operation.tag == "Operators" and scope is None:
        shared: dict[int, str] = {}
    elif operation.errors is not None:
        shared = _KEYED | away
    elif scope is None:
        shared = away | {404: "There is nothing at this address.", 422: _COMMON[422]}
    else:
        shared = _KEYED | away | {422: _COMMON[422]} | (_BODY if body else {})
    for status, note in (shared | operation.refuses).items():
        if status in found:
            continue
        if operation.errors is not None:
            schema, example = schemas.of(operation.errors), schemas.example(operation.errors)
            found[status] = _refusal(status, note, schema, example, JSON)
        elif _COMMON.get(status) == note:
            found[status] = {"$ref": f"#/components/responses/Refused{status}"}
        else:
            example = _problem(schemas, status, note.rstrip(".").lower())
            schema = schemas.of(ProblemJson)
            found[status] = _refusal(status, note, schema, example, PROBLEM)
    return {str(status): found[status] for status in sorted(found)}


def _response(response: Response, schemas: Schemas, *, read: bool) -> dict[str, Any]:
    headers = (*response.headers, *(["ETag"] if read else []))
    found: dict[str, Any] = {"description": response.note, "headers": _headers(headers)}
    if response.shape is None:
        return found
    shown: dict[str, Any] = {"schema": schemas.of(response.shape)}
    if callable(response.example):
        shown["example"] = response.example(schemas.example(response.shape))
    elif response.content == JSON:
        shown["example"] = response.example or schemas.example(response.shape)
    others = {content: {"schema": schema} for content, schema in response.others.items()}
    return found | {"content": {response.content: shown, **others}}

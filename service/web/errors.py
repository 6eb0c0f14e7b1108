"""Errors as RFC 9457 ``application/problem+json``, with a hint if there is one."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Annotated, NotRequired

from flask import Response, request
from gunicorn.http.errors import ParseException
from typing_extensions import TypedDict
from werkzeug.exceptions import HTTPException

from service.errors import (
    NO_SUCH_ADDRESS,
    Busy,
    Conflict,
    DatabaseUnavailable,
    FieldError,
    Gone,
    InvalidInput,
    NotFound,
    Refused,
    TooOften,
)
from service.model.error_codes import FAILURES
from service.model.json_types import about
from service.storage import StorageError

log = logging.getLogger(__name__)


class Problem(Exception):
    """An error answer, raised anywhere in a view."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        hint: str | None = None,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.errors = errors
        self.headers = headers or {}


class FieldErrorJson(TypedDict):
    """One error in a request."""

    pointer: Annotated[
        str,
        about(
            "A JSON Pointer into the body, `?name` in the query, `#name` of a header.",
            "/input/duration",
        ),
    ]
    code: Annotated[str, about("A stable code for programs.", "not_allowed")]
    message: Annotated[str, about("A sentence for people.", "must be one of 5, 10; got 7")]


class ProblemJson(TypedDict):
    """An error (RFC 9457)."""

    type: Annotated[str, about("A URL that explains the status.", "/docs/errors#422")]
    title: Annotated[str, about("The status in words.", "Unprocessable Entity")]
    status: Annotated[int, about("The HTTP status.", 422)]
    detail: Annotated[str, about("The error, as a sentence.", "1 field is wrong")]
    hint: NotRequired[Annotated[str, about("How to fix it.")]]
    errors: NotRequired[Annotated[list[FieldErrorJson], about("All errors in the request.")]]


def problem_response(problem: Problem) -> Response:
    """The problem as an HTTP response."""
    body: ProblemJson = {
        "type": f"{request.script_root}/docs/errors#{problem.status}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.hint:
        body["hint"] = problem.hint
    if problem.errors is not None:
        body["errors"] = [
            {"pointer": one.pointer, "code": one.code, "message": one.message}
            for one in problem.errors
        ]
    return Response(
        json.dumps(body, ensure_ascii=False),
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )


def as_problem(error: Exception) -> Problem:
    """Turn any error of ours or of the framework into a problem."""
    match error:
        case Problem():
            return error
        case InvalidInput():
            hint = "Correct every field in errors and send the request again; nothing was stored."
            count = len(error.faults)
            detail = f"{count} field{'s are' if count > 1 else ' is'} wrong"
            return Problem(422, detail, hint=hint, errors=error.faults)
        case Refused():
            return Problem(422, error.message, hint=FAILURES[error.code].hint)
        case NotFound():
            return Problem(404, str(error))
        case Conflict():
            return Problem(409, str(error))
        case Gone():
            return Problem(410, str(error))
        case TooOften():
            return Problem(429, str(error), headers={"Retry-After": str(error.retry_after)})
        case Busy():
            return Problem(503, str(error), headers={"Retry-After": str(error.retry_after)})
        case DatabaseUnavailable() | StorageError():
            log.error("cannot write or read: %s", error)
            hint = "Send it again, with the same Idempotency-Key; /readyz says what is wrong."
            message = "the service cannot write or read right now"
            return Problem(503, message, hint=hint, headers={"Retry-After": "5"})
        case HTTPException():
            return _from_framework(error)
        case ParseException() | ConnectionError():
            # gunicorn raises it while the request's body is read.
            hint = "Send it with a Content-Length, or in well-formed chunks."
            close = {"Connection": "close"}
            return Problem(400, "the body is malformed or incomplete", hint=hint, headers=close)
    log.exception("unhandled error in %s %s", request.method, request.path, exc_info=error)
    return Problem(500, "something went wrong here; it was logged", hint="Try again later.")


def _from_framework(error: HTTPException) -> Problem:
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    allow = getattr(error, "valid_methods", None)
    if allow:
        headers["Allow"] = ", ".join(sorted(allow))
    detail = _DETAILS.get(error.code or 500) or error.description or ""
    return Problem(error.code or 500, detail, headers=headers)


_DETAILS = {
    404: NO_SUCH_ADDRESS,
    405: "this address does not take that method",
}

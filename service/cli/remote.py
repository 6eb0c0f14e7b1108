"""The client of another machine's API."""

from __future__ import annotations

import json
import re
import time
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from service.cli.ask import Request
from service.cli.errors import print_error
from service.errors import NO_SUCH_ADDRESS, ClipbellError, FieldError, InvalidInput, OutboundError
from service.formatting import format_duration
from service.model import utc_now
from service.outbound.client import Outbound, Response
from service.retry import parse_retry_after
from service.settings import Remote

SECONDS = 60.0
ANSWER_BYTES = 16 * 1024 * 1024
#: The longest page of the API.
PAGE = 100
#: The start of an id.
BEGINNING = re.compile("[a-z]{3}_[0-9a-f]{2,31}")
#: Parameters of a query that are ids.
ID_PARAMETERS = ("job_id", "subscription_id")
#: Answers after which the same request may succeed: too many requests, or nobody there for now.
PASSING = (429, 502, 503, 504)
#: The longest wait before another try, unless the service asks for more.
LONGEST_WAIT_SECONDS = 30.0
#: A service that asks for a longer wait gets no further try.
PATIENCE_SECONDS = 300.0
NOT_OURS = "does CLIPBELL_URL lead to Clipbell?"


class Unavailable(ClipbellError):
    """No answer, or one that asks to come back; `wait_seconds` is what it asks for."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


def send(there: Remote, request: Request) -> Any:
    """
    The answer as JSON; of a list all rows up to the request's limit. None where it has no body.

    Raises:
        InvalidInput: the service names fields that are wrong.
        ClipbellError: nobody answers, or the service refuses.
    """
    given = {
        name: value
        for name, value in request.query.items()
        if value is not None and value is not False and value != ""
    }
    query = {name: "true" if value is True else str(value) for name, value in given.items()}
    query |= {name: _whole_id(there, given[name]) for name in ID_PARAMETERS if name in given}
    path = request.path.format(quote(_whole_id(there, request.id), safe=""))
    request = request._replace(path=path, query=query)
    if not request.limit:
        found = _call(there, request)
        return found if request.limit is None else found["data"]
    query["limit"] = str(min(request.limit, PAGE))
    found = _call(there, request)
    rows: list[Any] = found["data"]
    while found.get("next_cursor") and len(rows) < request.limit:
        following = query | {"cursor": found["next_cursor"]}
        found = _call(there, request._replace(query=following))
        rows += found["data"]
    return rows[: request.limit]


def _whole_id(there: Remote, given: str) -> str:
    """The account's one id that begins so, else what was given. Raises ClipbellError."""
    if not BEGINNING.fullmatch(given):
        return given
    found: list[str] = _call(there, Request("GET", "/v1/ids", query={"prefix": given}))["data"]
    if len(found) > 1:
        raise ClipbellError(f"several ids begin with {given}, such as {found[0]}: type more of it")
    return found[0] if found else given


def _call(there: Remote, request: Request) -> Any:
    """The answer of the last try."""
    for number in range(request.tries - 1):
        try:
            return _call_once(there, request)
        except Unavailable as error:
            wait = error.wait_seconds or min(2.0**number, LONGEST_WAIT_SECONDS)
            if wait > PATIENCE_SECONDS:
                raise
            print_error(f"{error}; trying again in {format_duration(wait)}")
            time.sleep(wait)
    return _call_once(there, request)


@cache
def _outbound() -> Outbound:
    # The person at this machine chose the address.
    return Outbound(("0.0.0.0/0", "::/0"))


def _call_once(there: Remote, request: Request) -> Any:
    url = f"{there.url}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
    headers = {"x-api-key": there.key, "Accept": "application/json"} | request.headers
    body = None
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(request.body).encode()
    try:
        answer = _outbound().call(
            request.method,
            url,
            headers=headers,
            body=body,
            seconds=SECONDS,
            max_bytes=ANSWER_BYTES,
            unrepeatable=request.method != "GET",
        )
    except OutboundError as error:
        raise Unavailable(f"{error}: check CLIPBELL_URL") from None
    except ValueError as error:
        raise ClipbellError(f"{error}: check CLIPBELL_URL") from None
    if answer.status >= 400:
        raise _refusal(answer)
    if answer.status >= 300:
        raise _moved(answer, request.path)
    try:
        found = json.loads(answer.body) if answer.body else None
    except ValueError:
        found = answer.body
    listed = request.limit is None or (isinstance(found, dict) and "data" in found)
    if not (listed and isinstance(found, dict | None)):
        raise ClipbellError(f"the service answered {answer.status} without our JSON: {NOT_OURS}")
    return found


def _moved(answer: Response, path: str) -> ClipbellError:
    """A redirect is not followed: it may lead the key astray."""
    place = answer.headers.get("Location", "")
    base, same, _ = place.partition(path)
    if base and same:
        return ClipbellError(f"the service has moved: set CLIPBELL_URL={base}")
    return ClipbellError(f"the service answered {answer.status}, a redirect to {place}: {NOT_OURS}")


def _refusal(answer: Response) -> ClipbellError:
    """What the service says is wrong."""
    wait = parse_retry_after(answer.headers.get("Retry-After"), utc_now())
    try:
        problem = json.loads(answer.body)
        faults = [
            FieldError(f["pointer"], f["code"], f["message"]) for f in problem.get("errors", [])
        ]
        said = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        faults = []
        said = f"the service answered {answer.status}: {NOT_OURS}"
    if faults:
        return InvalidInput(faults)
    if answer.status in PASSING:
        return Unavailable(said, wait)
    if said == NO_SUCH_ADDRESS:
        said += f": {NOT_OURS}"
    return ClipbellError(f"{said}: check CLIPBELL_KEY" if answer.status == 401 else said)

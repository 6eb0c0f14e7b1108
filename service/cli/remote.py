"""The client of another machine's API."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

from service.cli.ask import Request
from service.cli.errors import as_typed
from service.errors import ClipbellError, OutboundError
from service.outbound.client import Outbound, Response
from service.settings import Remote

SECONDS = 60.0
ANSWER_BYTES = 16 * 1024 * 1024
#: The longest page of the API.
PAGE = 100
#: The start of an id.
BEGINNING = re.compile("[a-z]{3}_[0-9a-f]{2,31}")
#: Parameters of a query that are ids.
ID_PARAMETERS = ("job_id", "subscription_id")


def send(there: Remote, request: Request) -> Any:
    """
    The answer as JSON; of a list all rows up to the request's limit. None where it has no body.

    Raises:
        ClipbellError: nobody answers, or the service refuses.
    """
    query = {name: _query_value(there, name, given) for name, given in request.query.items()}
    query = {name: text for name, text in query.items() if text}
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


def _query_value(there: Remote, name: str, given: Any) -> str:
    if given is None or given is False:
        return ""
    if name in ID_PARAMETERS:
        return _whole_id(there, given)
    return "true" if given is True else str(given)


def _whole_id(there: Remote, given: str) -> str:
    """The account's one id that begins so, else what was given. Raises ClipbellError."""
    if not BEGINNING.fullmatch(given):
        return given
    found: list[str] = _call(there, Request("GET", "/v1/ids", query={"prefix": given}))["data"]
    if len(found) > 1:
        raise ClipbellError(f"several ids begin with {given}, such as {found[0]}: type more of it")
    return found[0] if found else given


def _call(there: Remote, request: Request) -> Any:
    url = f"{there.url}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
    headers = {"x-api-key": there.key, "Accept": "application/json"} | request.headers
    body = None
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(request.body).encode()
    # The person at this machine chose the address.
    outbound = Outbound(("0.0.0.0/0", "::/0"))
    try:
        answer = outbound.call(
            request.method,
            url,
            headers=headers,
            body=body,
            seconds=SECONDS,
            max_bytes=ANSWER_BYTES,
        )
    except (OutboundError, ValueError) as error:
        raise ClipbellError(f"{error}: check CLIPBELL_URL") from None
    finally:
        outbound.close()
    if answer.status >= 400:
        raise ClipbellError(_refusal(answer))
    return json.loads(answer.body) if answer.body else None


def _refusal(answer: Response) -> str:
    """What the service says is wrong, in the words of the command line."""
    try:
        problem = json.loads(answer.body)
        faults = [f"{as_typed(f['pointer'])}{f['message']}" for f in problem.get("errors", [])]
        said = "; ".join(faults) or str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answered {answer.status}: does CLIPBELL_URL lead to Clipbell?"
    return f"{said}: check CLIPBELL_KEY" if answer.status == 401 else said

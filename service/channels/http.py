"""Functions of the HTTP channels: check a URL, send one POST, read its answer as text."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from urllib.parse import urljoin

from service.channels.base import ANSWER_BYTES, DeliveryRequest
from service.errors import (
    DeliveryError,
    FieldError,
    ForbiddenAddress,
    InvalidInput,
    NotSent,
    OutboundError,
)
from service.formatting import mask_target
from service.outbound.client import Outbound, Response
from service.retry import parse_retry_after

#: More of a `Location` is not shown.
MAX_LOCATION = 100


def check_url(outbound: Outbound, target: str) -> str:
    """The URL, if calls to it are allowed. Raises InvalidInput."""
    try:
        outbound.check(target)
    except ForbiddenAddress as error:
        raise InvalidInput([FieldError("/target", "forbidden_address", str(error))]) from error
    except NotSent:
        pass  # A name that does not resolve now may resolve later.
    except ValueError as error:
        raise InvalidInput([FieldError("/target", "bad_url", str(error))]) from error
    return target


def post_json(
    outbound: Outbound,
    request: DeliveryRequest,
    body: bytes,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    *,
    url: str | None = None,
    secret_headers: Mapping[str, str] | None = None,
) -> Response:
    """
    Send one POST of JSON and return any answer, even an incomplete one; record both.

    It goes to the request's target with the custom headers, or to `url`, which contains no
    secret, with `secret_headers`. The record shows none of these headers.

    Raises:
        DeliveryError: there was no answer.
    """
    secret = request.headers if secret_headers is None else secret_headers
    given = {**secret, "Content-Type": "application/json", **(headers or {})}
    shown_headers = {**outbound.headers, **given, "Content-Length": str(len(body))}
    shown_headers |= dict.fromkeys(secret, "***")
    request.record_sent("POST", url or mask_target(request.target), shown_headers, body)
    try:
        answer = outbound.call(
            "POST",
            url or request.target,
            headers=given,
            body=body,
            seconds=seconds,
            max_bytes=ANSWER_BYTES,
            # An accepted message is not sent again because of an incomplete body.
            status_suffices=True,
        )
    except (OutboundError, ValueError) as error:
        late = isinstance(error, OutboundError) and error.timed_out
        raise DeliveryError(str(error), timed_out=late) from error
    request.record_answer(answer.status, answer.headers, answer.body, truncated=answer.truncated)
    return answer


def retry_after(answer: Response, now: datetime, *, always: bool = False) -> float | None:
    """The `Retry-After` seconds of an overloaded server, or None; `always`: with any status."""
    if answer.status not in (429, 503) and not always:
        return None
    return parse_retry_after(answer.headers.get("Retry-After"), now)


def status_of(answer: Response, target: str) -> str:
    """The status of a refusal; of a redirect, where it leads and what to do."""
    location = answer.headers.get("Location")
    if not (300 <= answer.status < 400 and location):
        return str(answer.status)
    place = "no usable address"
    with suppress(ValueError):
        place = mask_target(urljoin(target, location))[:MAX_LOCATION]
    return (
        f"{answer.status}, a redirect to {place}, which is not followed: "
        "change the target to the address where it leads"
    )


def shown(answer: Response) -> str:
    """The first bytes of an answer, as text for the log of attempts."""
    return answer.body[:1000].decode("utf-8", "replace").replace("\x00", "�")

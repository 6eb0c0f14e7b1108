"""Shared by the channels over HTTP: check a URL, send one POST, read its answer as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

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


def check_url(outbound: Outbound, target: str) -> str:
    """The URL, if it may be called at all."""
    try:
        outbound.check(target)
    except ForbiddenAddress as error:
        raise InvalidInput([FieldError("/target", "forbidden_address", str(error))]) from error
    except NotSent:
        pass  # A name that does not resolve today may tomorrow.
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
    One POST of JSON and its answer, whichever it is, as far as it comes; both are recorded.

    It goes to the request's target with the endpoint's own headers, or to `url`, which holds no
    secret, with `secret_headers`. Neither kind of header is shown in the record.

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
            # What was taken is not sent once more because of the words that follow.
            status_suffices=True,
        )
    except (OutboundError, ValueError) as error:
        late = isinstance(error, OutboundError) and error.timed_out
        raise DeliveryError(str(error), timed_out=late) from error
    request.record_answer(answer.status, answer.headers, answer.body, truncated=answer.truncated)
    return answer


def retry_after(answer: Response, now: datetime, *, always: bool = False) -> float | None:
    """The seconds that an overloaded server asks for, if it asks; `always`: it is overloaded."""
    if answer.status not in (429, 503) and not always:
        return None
    return parse_retry_after(answer.headers.get("Retry-After"), now)


def shown(answer: Response) -> str:
    """The first bytes of an answer, as text for the log of attempts."""
    return answer.body[:1000].decode("utf-8", "replace").replace("\x00", "�")

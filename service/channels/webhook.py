"""
REST hooks: one signed POST (Standard Webhooks 1.0.0).

2xx is success and nothing else is; redirects are not followed. 410 ends the
subscription, as REST-hook clients expect; 429 and 503 may hold it.
"""

from __future__ import annotations

import json

from service.channels.base import ANSWER_BYTES, SEND_SECONDS, Parcel, Receipt
from service.errors import (
    DeliveryError,
    Fault,
    ForbiddenAddress,
    InvalidInput,
    NotSent,
    OutboundError,
)
from service.messages import FORMATS, Notice
from service.outbound import Answer, Outbound
from service.retry import parse_retry_after
from service.signing import webhook_headers


class Webhook:
    """The channel; see `channels.base.Channel`."""

    formats = tuple(FORMATS)
    carries_poster = False

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def check_target(self, target: str) -> str:
        """An http(s) URL whose addresses we may reach."""
        return check_url(self._outbound, target)

    def render(self, notice: Notice, format_: str) -> bytes:
        """JSON in one of `FORMATS`."""
        return json.dumps(FORMATS[format_](notice), ensure_ascii=False).encode()

    def send(self, parcel: Parcel) -> Receipt:
        """POST the body with its three signature headers."""
        headers = webhook_headers(parcel.secrets, parcel.event_id, parcel.now, parcel.body)
        answer = post_json(self._outbound, parcel, headers)
        orders = answer.headers.get("webhook-delivery", "").strip().lower()
        reason = "the endpoint asked for it (webhook-delivery: disable)"
        return Receipt(answer.status, shown(answer), reason if orders == "disable" else None)


def check_url(outbound: Outbound, target: str) -> str:
    """The URL, if it may be called at all."""
    try:
        outbound.check(target)
    except ForbiddenAddress as error:
        raise InvalidInput([Fault("/target", "forbidden_address", str(error))]) from error
    except NotSent:
        pass  # A name that does not resolve today may tomorrow.
    except ValueError as error:
        raise InvalidInput([Fault("/target", "bad_url", str(error))]) from error
    return target


def post_json(outbound: Outbound, parcel: Parcel, headers: dict[str, str]) -> Answer:
    """One POST of JSON; any answer but 2xx is a DeliveryError."""
    try:
        answer = outbound.call(
            "POST",
            parcel.target,
            headers={"Content-Type": "application/json", **headers},
            body=parcel.body,
            seconds=SEND_SECONDS,
            max_bytes=ANSWER_BYTES,
        )
    except (OutboundError, ValueError) as error:
        raise DeliveryError(str(error)) from error
    if not 200 <= answer.status < 300:
        raise _refused(answer, parcel)
    return answer


def _refused(answer: Answer, parcel: Parcel) -> DeliveryError:
    hint = parse_retry_after(answer.headers.get("Retry-After"), parcel.now)
    return DeliveryError(
        f"the endpoint answered {answer.status}",
        status=answer.status,
        response=shown(answer),
        permanent=answer.status == 410,
        disable="the endpoint answered 410 Gone" if answer.status == 410 else None,
        retry_after=hint if answer.status in (429, 503) else None,
    )


def shown(answer: Answer) -> str:
    """The first bytes of an answer, as text for the log of attempts."""
    return answer.body[:1000].decode("utf-8", "replace").replace("\x00", "�")

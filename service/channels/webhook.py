"""
REST hooks: one signed POST (Standard Webhooks 1.0.0).

Only 2xx is a success; redirects are not followed. 410 ends the
subscription, as REST-hook clients expect; 429 and 503 may hold it.
"""

from __future__ import annotations

import json

from service.channels.base import SEND_SECONDS, Channel, DeliveryRequest, DeliveryResult
from service.channels.http import check_url, post_json, retry_after, shown, status_of
from service.errors import DeliveryError, NextStep
from service.messages.payloads import FORMATS, Notification
from service.outbound.client import Outbound
from service.signing import webhook_headers


class Webhook(Channel):
    """The channel; see `channels.base.Channel`."""

    formats = tuple(FORMATS)
    carries_poster = False

    def __init__(self, outbound: Outbound, seconds: float = SEND_SECONDS) -> None:
        self._outbound, self._seconds = outbound, seconds

    def check_target(self, target: str) -> str:
        """An http(s) URL whose addresses we may reach."""
        return check_url(self._outbound, target)

    def render(self, notification: Notification, format_: str) -> bytes:
        """JSON in one of `FORMATS`."""
        return json.dumps(FORMATS[format_](notification), ensure_ascii=False).encode()

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """POST the body with its three signature headers."""
        headers = webhook_headers(request.secrets, request.event_id, request.now, request.body)
        answer = post_json(self._outbound, request, request.body, self._seconds, headers)
        if not 200 <= answer.status < 300:
            gone = answer.status == 410
            status = "410 Gone" if gone else status_of(answer, request.target)
            raise DeliveryError(
                f"the endpoint answered {status}",
                NextStep.DISABLE if gone else NextStep.RETRY,
                status=answer.status,
                response=shown(answer),
                wait_seconds=retry_after(answer, request.now),
            )
        orders = answer.headers.get("webhook-delivery", "").strip().lower()
        reason = "the endpoint asked for it (webhook-delivery: disable)"
        return DeliveryResult(answer.status, shown(answer), reason if orders == "disable" else None)

"""
The contract of a channel: render a notification once, send its bytes many times.

`render` is called at the first attempt and its bytes are stored; `send` makes
one attempt and retries nothing itself. A channel is a short file: texts come
from `messages`, and HTTP calls go through `outbound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Protocol

from service.messages.payloads import Notification
from service.model import EventType, Exchange
from service.signing import digest

SEND_SECONDS = 15.0
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class DeliveryRequest:
    """
    One attempt: the stored body and its target, not encrypted; `secrets` sign it.

    `headers` are the subscription's custom headers, for channels that send them.

    `reference` is the channel's last reference for this job and subscription;
    the channel appends its requests and answers to `exchanges`, in order.
    """

    delivery_id: str
    event_id: str
    target: str
    secrets: tuple[str, ...]
    body: bytes
    now: datetime
    reference: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)

    def record_sent(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> None:
        """
        Record a request before it is sent.

        Args:
            url: the URL without secrets.
            headers: the headers without secrets.
            body: None for the body of this `DeliveryRequest`.
        """
        other = None if body == self.body else body
        self.exchanges.append(Exchange(method, url, digest(self.target), headers, other))

    def record_answer(
        self,
        status: int | None,
        headers: Mapping[str, str],
        body: bytes,
        *,
        truncated: bool = False,
    ) -> None:
        """Record the answer to the last request."""
        # PostgreSQL's JSON cannot store NUL.
        kept = {name: value.replace("\x00", "�") for name, value in headers.items()}
        self.exchanges[-1] = replace(
            self.exchanges[-1],
            status=status,
            answer_headers=kept,
            answer=body[:ANSWER_BYTES],
            truncated=truncated or len(body) > ANSWER_BYTES,
        )


@dataclass(frozen=True)
class DeliveryResult:
    """
    The receiver accepted the message; `disable` is its reason to get no more, or None.

    `reference` identifies the message for a later one about the same job, in the
    channel's own form; None keeps an earlier reference.
    """

    status: int | None = None
    response: str = ""
    disable: str | None = None
    reference: str | None = None


class Channel(Protocol):
    """
    The base class of all channels.

    `min_interval` is the seconds between two sends to one subscription,
    `operator_only`: only the operator's keys may use its targets,
    `has_threads`: a later message about a job follows an earlier one, and
    `default_events` are the events of a subscription that names none (empty: the usual ones).
    """

    min_interval: ClassVar[float] = 0.0
    operator_only: ClassVar[bool] = False
    has_threads: ClassVar[bool] = False
    default_events: ClassVar[tuple[EventType, ...]] = ()

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of its bodies, the default first."""

    @property
    def carries_poster(self) -> bool:
        """Whether its messages contain the bytes of the poster."""

    def check_target(self, target: str) -> str:
        """Check a target and return it in its stored form. Raises InvalidInput with the fix."""

    def render(self, notification: Notification, format_: str) -> bytes:
        """The body for this notification."""

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """Make one attempt. Raises DeliveryError, whose `next_step` is the consequence."""

    def check_access(self) -> None:
        """Check the login of this channel, without sending. Raises DeliveryError."""
        return

    def close(self) -> None:
        """Close the connections that it keeps between sends."""
        return

"""
What a channel promises: turn a notice into bytes once, hand the bytes over often.

`render` is called at the first attempt and its bytes are frozen; `send` makes
one attempt and retries nothing itself. A channel is a short file: words come
from `messages` and `wording`, what can be called by URL goes through `outbound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from service.messages.payloads import Notification
from service.model import EventType

SEND_SECONDS = 15.0
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class DeliveryRequest:
    """
    One attempt: the frozen body and where it goes; `secrets` sign it.

    `reference` is what the channel last answered about this job, for this subscription.
    """

    delivery_id: str
    event_id: str
    target: str
    secrets: tuple[str, ...]
    body: bytes
    now: datetime
    reference: str | None = None


@dataclass(frozen=True)
class DeliveryResult:
    """
    The other side took it; `disable` is why it wants no more.

    `reference` names the message for a later one about the same job, in the
    channel's own words; None leaves an earlier reference as it is.
    """

    status: int | None = None
    response: str = ""
    disable: str | None = None
    reference: str | None = None


class Channel(Protocol):
    """
    One kind of transport; its members inherit from this.

    `min_interval` is the seconds between two sends to one subscription,
    `operator_only` says that its targets are for the operator's keys alone, and
    `default_events` is what a subscription gets that names none (empty: the usual).
    """

    min_interval: ClassVar[float] = 0.0
    operator_only: ClassVar[bool] = False
    default_events: ClassVar[tuple[EventType, ...]] = ()

    @property
    def formats(self) -> tuple[str, ...]:
        """The bodies it can make, its usual one first."""

    @property
    def carries_poster(self) -> bool:
        """Whether its messages carry the poster's bytes."""

    def check_target(self, target: str) -> str:
        """The target as it will be kept. Raises InvalidInput with a way to fix it."""

    def render(self, notification: Notification, format_: str) -> bytes:
        """The body for this notification."""

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """One attempt. Raises DeliveryError, whose `next_step` says what follows."""

    def close(self) -> None:
        """Give connections back that it keeps between sends."""
        return

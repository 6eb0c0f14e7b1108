"""
What a channel promises: turn a notice into bytes once, hand the bytes over often.

`render` is called at the first attempt and its bytes are frozen; `send` makes
one attempt and retries nothing itself. A channel is a file of less than ninety
lines: words come from `messages`, calls go through `outbound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.messages import Notice

SEND_SECONDS = 15.0
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class Parcel:
    """One attempt: the frozen body and where it goes; `secrets` sign it."""

    delivery_id: str
    event_id: str
    target: str
    secrets: tuple[str, ...]
    body: bytes
    now: datetime


@dataclass(frozen=True)
class Receipt:
    """The other side took it; `disable` is why it wants no more."""

    status: int | None = None
    response: str = ""
    disable: str | None = None


class Channel(Protocol):
    """One kind of transport."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The bodies it can make, its usual one first."""

    @property
    def carries_poster(self) -> bool:
        """Whether its messages carry the poster's bytes."""

    def check_target(self, target: str) -> str:
        """The target as it will be kept. Raises InvalidInput with a way to mend it."""

    def render(self, notice: Notice, format_: str) -> bytes:
        """The body for this notice."""

    def send(self, parcel: Parcel) -> Receipt:
        """One attempt. Raises DeliveryError, whose flags say what follows."""

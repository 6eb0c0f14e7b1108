"""
Orders to misbehave, written into the prompt in square brackets.

``[slow 2]`` ``[fail CODE]`` ``[refuse STATUS message]`` ``[lose]`` ``[repeat N]``
``[reorder]`` ``[early]`` ``[forge]`` ``[hang]`` ``[drop]`` ``[html]`` ``[cut]``
``[object]`` ``[empty]`` ``[unknown-state NAME]`` ``[gone]`` ``[json]`` ``[answer STATUS]``
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ORDERS = (
    "slow",
    "fail",
    "refuse",
    "lose",
    "repeat",
    "reorder",
    "early",
    "forge",
    "hang",
    "drop",
    "html",
    "cut",
    "object",
    "empty",
    "unknown-state",
    "gone",
    "json",
    "answer",
)
FIRST_POLLS = 2  # how many polls [html] and [unknown-state] spoil

_NUMBER = re.compile(r"[0-9]{1,5}(\.[0-9]+)?")
_ORDER = re.compile(rf"\[({'|'.join(ORDERS)})(?:\s+([^\]]*?))?\s*\]")


@dataclass(frozen=True)
class FaultOrders:
    """The orders given for one task: name to argument ("" where it has none)."""

    orders: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> tuple[FaultOrders, str]:
        """The orders in a text, and the text without them."""
        found = {match[1]: match[2] or "" for match in _ORDER.finditer(text)}
        return cls(found), " ".join(_ORDER.sub(" ", text).split())

    def has(self, name: str) -> bool:
        """Whether it is ordered."""
        return name in self.orders

    def argument(self, name: str, default: str = "") -> str:
        """The text after the order's name, or `default`."""
        return self.orders.get(name) or default

    def number(self, name: str, default: float) -> float:
        """The argument as a number of at most five digits; `default` where it is none."""
        found = _NUMBER.fullmatch(self.orders.get(name, ""))
        return float(found[0]) if found else default

    def refusal(self) -> tuple[int, str] | None:
        """HTTP status and message ("" for the vendor's own) of an ordered refusal."""
        if not self.has("refuse"):
            return None
        status, _, message = self.argument("refuse", "400").partition(" ")
        known = status.isdecimal() and 400 <= int(status) <= 599
        return (int(status) if known else 400), message.strip()

    def and_also(self, other: FaultOrders) -> FaultOrders:
        """Both orders; the other's arguments win."""
        return FaultOrders(self.orders | other.orders)

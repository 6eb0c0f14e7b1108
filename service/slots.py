"""
Slots: how many units of work one account may have under way at once in this process.

A unit that an account can make last, such as a hook or an image that hangs, may
hold no slot that another account needs. So an account gets three quarters of the
slots that others leave it: the first one leaves a quarter, the second a quarter of
that, and the last slot is for whoever has none.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

#: Of the slots that no other account holds, an account gets so much.
SHARE = 0.75


class Slots:
    """
    The slots of a kind of work, or of several that share them.

    Args:
        count: the number of slots; None for no limit.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def run(self, unit: Callable[[Slot], bool]) -> bool:
        """Do a unit of work in a slot, which is free again when it ends."""
        slot = Slot(self)
        try:
            return unit(slot)
        finally:
            slot.leave()

    def full(self) -> list[str]:
        """The accounts that get no further slot now."""
        with self._lock:
            return [account_id for account_id in self._held if not self._has_room(account_id)]

    def take(self, account_id: str) -> bool:
        """A slot for that account; False when it gets none."""
        if self.count is None:
            return True
        with self._lock:
            if has_room := self._has_room(account_id):
                self._held[account_id] += 1
            return has_room

    def leave(self, account_id: str) -> None:
        """Give a slot back."""
        if self.count is None:
            return
        with self._lock:
            self._held[account_id] -= 1
            self._held += Counter()  # Those that hold none are dropped.

    def _has_room(self, account_id: str) -> bool:
        if self.count is None or not (own := self._held[account_id]):
            return True
        left = self.count - self._held.total() + own
        return own + 1 <= SHARE * left


class Slot:
    """The slot of one unit of work; the claim chooses its account."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._account_id = ""

    def full(self) -> list[str]:
        """The accounts that cannot have it now."""
        return self._slots.full()

    def take(self, account_id: str) -> bool:
        """It is that account's; False when the account has too many already."""
        self.leave()
        if taken := self._slots.take(account_id):
            self._account_id = account_id
        return taken

    def leave(self) -> None:
        """It is free again."""
        if self._account_id:
            self._slots.leave(self._account_id)
            self._account_id = ""


#: A slot of which there is always another.
ANYWHERE = Slot(Slots())


def with_spare(count: int) -> int:
    """The number of slots at which a single account gets `count` of them."""
    return count + max(1, -(-count // 3))

"""Slots: an account alone gets what it needs, and never what others need."""

from __future__ import annotations

import threading

import pytest

from service.slots import Slot, Slots, with_spare


def taken(slots: Slots, account_id: str) -> int:
    """How many slots that account gets, one after the other."""
    count = 0
    while Slot(slots).take(account_id):
        count += 1
    return count


@pytest.mark.parametrize("count", range(1, 41))
def test_single_account(count: int) -> None:
    """With its spare ones, the slots of a kind are as many for a single account as they were."""
    assert count == taken(Slots(with_spare(count)), "alice")


@pytest.mark.parametrize("count", range(2, 41))
def test_one_slot_is_always_left(count: int) -> None:
    """However many there are, the next account finds a slot, and a third where there are four."""
    slots = Slots(count)
    got = [taken(slots, name) for name in ("alice", "bob", "carol")]

    assert got[0] < count
    assert got[1] >= 1
    assert got[2] >= 1 or count < 4


def test_only_slot() -> None:
    """One slot goes to whoever comes."""
    assert [1, 1] == [taken(Slots(1), name) for name in ("alice", "bob")]


def test_slot_is_free_after_its_unit() -> None:
    """Whether a unit ends well or not, its slot is free again, and only then."""
    slots, inside = Slots(2), list[list[str]]()

    def unit(slot: Slot) -> bool:
        assert slot.take("alice")
        inside.append(slots.full())
        raise RuntimeError("broken")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="broken"):
            slots.run(unit)

    assert [["alice"]] * 3 == inside
    assert [] == slots.full()


def test_slot_that_changes_hands() -> None:
    """A slot that is taken a second time, for another account, counts for that one only."""
    slots = Slots(2)
    slot = Slot(slots)
    assert slot.take("alice")
    assert slot.take("bob")

    assert ["bob"] == slots.full()


def test_nobody_counts() -> None:
    """Without a number there is always another slot."""
    slots = Slots()

    assert all(Slot(slots).take("alice") for _ in range(1000))
    assert [] == slots.full()


def test_slots_under_threads() -> None:
    """Sixteen threads at the same moment get no more than an account's share."""
    slots, together, got = Slots(16), threading.Barrier(16), list[bool]()

    def take() -> None:
        together.wait()
        got.append(Slot(slots).take("alice"))

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 12 == sum(got)

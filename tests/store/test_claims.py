"""Claims of deliveries: in turn, never too many to one, the slow ones aside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from support.harness import Harness
from support.raw_servers import Server, silent
from support.servers import Hook, eventually

from service import store
from service.channels.webhook import Webhook
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.engines.threads import ThreadEngine
from service.events.record import record_sample
from service.model import Account, Delivery, DeliveryState, EventType, Subscription
from service.store.claims import IN_FLIGHT, WINDOW

pytestmark = pytest.mark.postgresql

LEASE = 30.0
NOWHERE = "http://127.0.0.1:9/hook"


def subscribed(harness: Harness, account: Account, target: str = NOWHERE) -> Subscription:
    """A subscription of that account."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", target)
        return subscribe(tx, harness.wiring.encryptor, account.id, spec, harness.clock())[0]


def happened(harness: Harness, account: Account, count: int = 1) -> None:
    """So many events for all its subscriptions."""
    with harness.db.write() as tx:
        for _ in range(count):
            record_sample(tx, account.id, EventType.JOB_SUCCEEDED, harness.clock())


def claimed(harness: Harness, *, slow: bool = False) -> Delivery | None:
    """The next one."""
    with harness.db.write() as tx:
        return store.claims.claim_pending(tx, harness.clock(), LEASE, slow=slow)


def all_claimed(harness: Harness, *, slow: bool = False) -> list[Delivery]:
    """One after the other until there is none."""
    return list(iter(lambda: claimed(harness, slow=slow), None))


def changed(harness: Harness, subscription: Subscription, **changes: Any) -> None:
    """Its row, otherwise."""
    with harness.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, **changes)


def test_four_at_once_to_one(harness: Harness) -> None:
    """One subscription has four under way at most; the others are not held up by that."""
    first, second = (subscribed(harness, harness.account) for _ in range(2))
    happened(harness, harness.account, 10)
    found = [delivery.subscription_id for delivery in all_claimed(harness)]

    assert (IN_FLIGHT, IN_FLIGHT) == (found.count(first.id), found.count(second.id))
    assert 2 * IN_FLIGHT == len(found)


def test_settling_and_dying_make_room(harness: Harness) -> None:
    """A settled delivery frees its place at once, that of a dead worker is free after its lease."""
    subscribed(harness, harness.account)
    happened(harness, harness.account, 10)
    first, *_ = all_claimed(harness)
    with harness.db.write() as tx:
        store.deliveries.settle_claimed(tx, first, state=DeliveryState.DELIVERED, due_at=None)
    assert 1 == len(all_claimed(harness))
    harness.clock.advance(LEASE)

    assert IN_FLIGHT == len(all_claimed(harness))


def test_four_at_once_under_threads(harness: Harness) -> None:
    """Eight claimers at the same moment never take more than four."""
    subscribed(harness, harness.account)
    happened(harness, harness.account, 20)
    found: list[Delivery] = []
    together = threading.Barrier(8)

    def claim() -> None:
        together.wait()
        found.extend(all_claimed(harness))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert IN_FLIGHT == len({delivery.id for delivery in found}) == len(found)


@pytest.mark.postgresql(only=True)
def test_one_subscription_is_waited_for(harness: Harness) -> None:
    """A claim that waited for a subscription in vain waits for no other: two would deadlock."""
    subscribed(harness, harness.account)
    happened(harness, harness.account, IN_FLIGHT)
    harness.clock.advance(1)
    second = subscribed(harness, harness.account)
    happened(harness, harness.account)
    for _ in range(IN_FLIGHT - 1):
        claimed(harness)
    found: list[Delivery | None] = []
    claimer = threading.Thread(target=lambda: found.append(claimed(harness)), daemon=True)
    with harness.db.write() as other:
        store.subscriptions.lock(other, second.id)
        with harness.db.write() as holder:
            assert store.claims.claim_pending(holder, harness.clock(), LEASE)
            claimer.start()
            eventually(lambda: waits_for_lock(harness))
        claimer.join(10)
        assert [None] == found

    assert second.id == getattr(claimed(harness), "subscription_id", None)


def waits_for_lock(harness: Harness) -> bool:
    """Whether a session of this database waits for a row that another has locked."""
    with harness.db.read() as tx:
        return bool(
            tx.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
        )


def test_many_held_ones_in_front(harness: Harness) -> None:
    """However many rows of a held subscription are older, the next one's turn comes."""
    held = subscribed(harness, harness.account)
    happened(harness, harness.account, 2 * WINDOW)
    free = subscribed(harness, harness.account)
    harness.clock.advance(1)
    happened(harness, harness.account)
    changed(harness, held, held_until=harness.clock() + timedelta(seconds=60))

    assert [free.id] == [delivery.subscription_id for delivery in all_claimed(harness)]


def test_accounts_take_turns(harness: Harness) -> None:
    """A batch holds up another account's news by one claim, however large it is."""
    bob, _ = harness.new_account("bob")
    for account in (harness.account, bob):
        subscribed(harness, account)
    happened(harness, harness.account, 500)
    harness.clock.advance(1)
    happened(harness, bob)
    first, second = claimed(harness), claimed(harness)

    assert first and second
    assert {harness.account.id, bob.id} == {first.account_id, second.account_id}


def test_two_lanes(harness: Harness) -> None:
    """What counts as slow is left to the slow lane, and nothing else is taken there."""
    slow, fast = (subscribed(harness, harness.account) for _ in range(2))
    happened(harness, harness.account)
    changed(harness, slow, slow_until=harness.clock() + timedelta(seconds=60))
    found = [[d.subscription_id for d in all_claimed(harness, slow=lane)] for lane in (False, True)]

    assert [[fast.id], [slow.id]] == found


def test_slow_lane_is_asked_only_for_slow_ones(harness: Harness) -> None:
    """No slot of the slow lane is called where nobody is slow."""
    slow = subscribed(harness, harness.account)
    happened(harness, harness.account)
    assert {"deliver", "number"} == harness.wiring.due()
    changed(harness, slow, slow_until=harness.clock() + timedelta(seconds=60))

    assert "deliver_slow" in harness.wiring.due()


@pytest.fixture
def hanging() -> Iterator[Server]:
    """An endpoint that takes the connection and says nothing."""
    server = Server(silent)
    yield server
    server.close()


def test_huge_batch_and_hanging_endpoint(harness: Harness, hanging: Server) -> None:
    """With both in the house, bob's one message goes out while almost all of them still wait."""
    batch = 200
    bob, _ = harness.new_account("bob")
    carol, _ = harness.new_account("carol")
    with Hook() as busy, Hook() as bobs:
        subscribed(harness, harness.account, busy.url)
        subscribed(harness, carol, f"http://127.0.0.1:{hanging.port}/")
        subscribed(harness, bob, bobs.url)
        happened(harness, harness.account, batch)
        happened(harness, carol, 50)
        happened(harness, bob)
        # Two seconds stand for the fifteen that an attempt may take.
        quick = {"webhook": Webhook(harness.wiring.outbound, seconds=2.0)}
        wiring = replace(
            harness.wiring, notifications=replace(harness.wiring.notifications, channels=quick)
        )
        units = {kind: wiring.units()[kind] for kind in ("deliver", "deliver_slow", "number")}
        engine = ThreadEngine(units, wiring.due, {"deliver": 6, "deliver_slow": 2, "number": 1})
        thread = threading.Thread(target=engine.run)
        began = time.monotonic()
        thread.start()
        try:
            eventually(lambda: bobs.hits)
            ahead = len(busy.hits)
            eventually(lambda: len(busy.hits) > batch / 2)
        finally:
            engine.stop()
            thread.join()
        seconds = time.monotonic() - began

    assert ahead < batch / 4
    # Its first tries may have been quick ones; from then on it had two slots, for two seconds each.
    assert hanging.connections <= IN_FLIGHT + 2 * (1 + seconds / 2)

"""Claims of deliveries: in turn, never too many to one, the slow ones aside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from conftest import Bench
from support.raw_servers import Server, silent
from support.servers import Hook, eventually

from service import store
from service.channels import Webhook
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
from service.engines.threads import ThreadEngine
from service.events.record import record_sample
from service.model import Account, Delivery, DeliveryState, EventType, Subscription
from service.store.claims import IN_FLIGHT, WINDOW

pytestmark = pytest.mark.postgresql

LEASE = 30.0
NOWHERE = "http://127.0.0.1:9/hook"


def subscribed(bench: Bench, account: Account, target: str = NOWHERE) -> Subscription:
    """A subscription of that account."""
    with bench.db.write() as tx:
        spec = SubscriptionSpec("webhook", target)
        return subscribe(tx, bench.wiring.encryptor, account.id, spec, bench.clock())[0]


def happened(bench: Bench, account: Account, count: int = 1) -> None:
    """So many events for all its subscriptions."""
    with bench.db.write() as tx:
        for _ in range(count):
            record_sample(tx, account.id, EventType.JOB_SUCCEEDED, bench.clock())


def claimed(bench: Bench, *, slow: bool = False) -> Delivery | None:
    """The next one."""
    with bench.db.write() as tx:
        return store.claims.claim_pending(tx, bench.clock(), LEASE, slow=slow)


def all_claimed(bench: Bench, *, slow: bool = False) -> list[Delivery]:
    """One after the other until there is none."""
    return list(iter(lambda: claimed(bench, slow=slow), None))


def changed(bench: Bench, subscription: Subscription, **changes: Any) -> None:
    """Its row, otherwise."""
    with bench.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, **changes)


def test_four_at_once_to_one(bench: Bench) -> None:
    """One subscription has four under way at most; the others are not held up by that."""
    first, second = (subscribed(bench, bench.account) for _ in range(2))
    happened(bench, bench.account, 10)
    found = [delivery.subscription_id for delivery in all_claimed(bench)]

    assert (IN_FLIGHT, IN_FLIGHT) == (found.count(first.id), found.count(second.id))
    assert 2 * IN_FLIGHT == len(found)


def test_settling_and_dying_make_room(bench: Bench) -> None:
    """A settled delivery frees its place at once, that of a dead worker is free after its lease."""
    subscribed(bench, bench.account)
    happened(bench, bench.account, 10)
    first, *_ = all_claimed(bench)
    with bench.db.write() as tx:
        store.deliveries.settle_claimed(tx, first, state=DeliveryState.DELIVERED, due_at=None)
    assert 1 == len(all_claimed(bench))
    bench.clock.advance(LEASE)

    assert IN_FLIGHT == len(all_claimed(bench))


def test_four_at_once_under_threads(bench: Bench) -> None:
    """Eight claimers at the same moment never take more than four."""
    subscribed(bench, bench.account)
    happened(bench, bench.account, 20)
    found: list[Delivery] = []
    together = threading.Barrier(8)

    def claim() -> None:
        together.wait()
        found.extend(all_claimed(bench))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert IN_FLIGHT == len({delivery.id for delivery in found}) == len(found)


def test_many_held_ones_in_front(bench: Bench) -> None:
    """However many rows of a held subscription are older, the next one's turn comes."""
    held = subscribed(bench, bench.account)
    happened(bench, bench.account, 2 * WINDOW)
    free = subscribed(bench, bench.account)
    bench.clock.advance(1)
    happened(bench, bench.account)
    changed(bench, held, held_until=bench.clock() + timedelta(seconds=60))

    assert [free.id] == [delivery.subscription_id for delivery in all_claimed(bench)]


def test_accounts_take_turns(bench: Bench) -> None:
    """A batch holds up another account's news by one claim, however large it is."""
    bob, _ = bench.new_account("bob")
    for account in (bench.account, bob):
        subscribed(bench, account)
    happened(bench, bench.account, 500)
    bench.clock.advance(1)
    happened(bench, bob)
    first, second = claimed(bench), claimed(bench)

    assert first and second
    assert {bench.account.id, bob.id} == {first.account_id, second.account_id}


def test_two_lanes(bench: Bench) -> None:
    """What counts as slow is left to the slow lane, and nothing else is taken there."""
    slow, fast = (subscribed(bench, bench.account) for _ in range(2))
    happened(bench, bench.account)
    changed(bench, slow, slow_until=bench.clock() + timedelta(seconds=60))
    found = [[d.subscription_id for d in all_claimed(bench, slow=lane)] for lane in (False, True)]

    assert [[fast.id], [slow.id]] == found


def test_slow_lane_is_asked_only_for_slow_ones(bench: Bench) -> None:
    """No seat of the slow lane is called where nobody is slow."""
    slow = subscribed(bench, bench.account)
    happened(bench, bench.account)
    assert {"deliver", "number"} == bench.wiring.due()
    changed(bench, slow, slow_until=bench.clock() + timedelta(seconds=60))

    assert "deliver_slow" in bench.wiring.due()


@pytest.fixture
def hanging() -> Iterator[Server]:
    """An endpoint that takes the connection and says nothing."""
    server = Server(silent)
    yield server
    server.close()


def test_huge_batch_and_hanging_endpoint(bench: Bench, hanging: Server) -> None:
    """With both in the house, bob's one message goes out while almost all of them still wait."""
    batch = 200
    bob, _ = bench.new_account("bob")
    carol, _ = bench.new_account("carol")
    with Hook() as busy, Hook() as bobs:
        subscribed(bench, bench.account, busy.url)
        subscribed(bench, carol, f"http://127.0.0.1:{hanging.port}/")
        subscribed(bench, bob, bobs.url)
        happened(bench, bench.account, batch)
        happened(bench, carol, 50)
        happened(bench, bob)
        # Two seconds stand for the fifteen that an attempt may take.
        quick = {"webhook": Webhook(bench.wiring.outbound, seconds=2.0)}
        wiring = replace(
            bench.wiring, notifications=replace(bench.wiring.notifications, channels=quick)
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
    # Its first tries may have been quick ones; from then on it had two seats, for two seconds each.
    assert hanging.connections <= IN_FLIGHT + 2 * (1 + seconds / 2)

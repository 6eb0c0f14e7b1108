"""Sending again by hand: one attempt that counts for nothing, and recovery of what was missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from support.harness import NOON, Harness
from support.servers import Hook

from service import store
from service.deliveries.redelivery import (
    RESENDS,
    Recovered,
    Recovery,
    recover_since,
    recover_subscription,
    redeliver_final_event,
    resend_delivery,
)
from service.deliveries.secrets import rotate_secret
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import UNSUBSCRIBED, subscribe
from service.errors import Conflict, TooOften
from service.events.record import record_event, record_sample
from service.jobs.requests import mute_job
from service.model import Delivery, DeliveryState, EventType, Subscription

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Two attempts: at once and after a hundred seconds."""
    return {"retry_schedule": (0.0, 100.0)}


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


def subscribed(harness: Harness, target: str, **spec: Any) -> Subscription:
    """A subscription of the harness's account."""
    with harness.db.write() as tx:
        wished = SubscriptionSpec("webhook", target, **spec)
        return subscribe(tx, harness.wiring.encryptor, harness.account.id, wished, harness.clock())[
            0
        ]


def happens(harness: Harness, **job: Any) -> None:
    """A job's failure."""
    made = harness.new_job(**job)
    with harness.db.write() as tx:
        record_event(tx, made, EventType.JOB_FAILED, harness.clock())


def changed(harness: Harness, subscription: Subscription, **changes: Any) -> None:
    """Its row, otherwise."""
    with harness.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, **changes)


def found(harness: Harness, **which: str) -> list[Delivery]:
    """The account's deliveries, newest first."""
    with harness.db.read() as tx:
        return store.deliveries.page(tx, harness.account.id, 100, **which)


def resent(harness: Harness, delivery: Delivery) -> Delivery:
    """Sent again and settled; how it is then."""
    with harness.db.write() as tx:
        resend_delivery(tx, delivery, harness.clock())
    harness.drain("deliver")
    return next(d for d in found(harness) if d.id == delivery.id)


def recovered(
    harness: Harness, subscription: Subscription, since: datetime = NOON, **more: Any
) -> Recovered:
    """One page of a recovery."""
    with harness.db.write() as tx:
        now = store.subscriptions.find(tx, subscription.id)
        assert now is not None
        wanted = Recovery(since, **{k: more.pop(k) for k in ("missing", "dry_run") if k in more})
        return recover_subscription(tx, now, wanted, harness.clock(), **more)


@pytest.mark.parametrize("first", [200, 500])
def test_failed_resend_leaves_all_as_it_was(harness: Harness, hook: Hook, first: int) -> None:
    """One attempt, marked as asked for: no schedule follows, and a delivered one stays so."""
    hook.answers = [first]
    subscription = subscribed(harness, hook.url)
    happens(harness)
    for _ in range(2):
        harness.drain("deliver")
        harness.clock.advance(1000)
    (before,) = found(harness)
    with harness.db.read() as tx:
        health = store.subscriptions.find(tx, subscription.id)
    hook.answers = [*[first] * len(hook.hits), 500]
    after = resent(harness, before)
    with harness.db.read() as tx:
        attempts = store.deliveries.all_attempts(tx, [before.id])
        assert health == store.subscriptions.find(tx, subscription.id)

    assert (before.state, None, None) == (after.state, after.due_at, after.resending)
    assert before.scheduled_attempts == after.scheduled_attempts
    assert [*[False] * before.attempts, True] == [attempt.manual for attempt in attempts]


def test_pending_one_keeps_its_schedule(harness: Harness, hook: Hook) -> None:
    """An attempt between two of the schedule's uses up neither."""
    hook.answers = [500, 500, 200]
    subscribed(harness, hook.url)
    happens(harness)
    harness.drain("deliver")
    (before,) = found(harness)
    after = resent(harness, before)
    assert (DeliveryState.PENDING, 1, 2) == (after.state, after.scheduled_attempts, after.attempts)
    harness.clock.advance(150)
    harness.drain("deliver")

    assert DeliveryState.DELIVERED is found(harness)[0].state


@pytest.mark.parametrize(("first", "rounds"), [(200, 1), (500, 1), (500, 2)])
def test_ended_before_it_is_resent(harness: Harness, hook: Hook, first: int, rounds: int) -> None:
    """A resend that a mute ends leaves all as it was, and can be asked for again."""
    hook.answers = [first]
    subscribed(harness, hook.url)
    happens(harness)
    for _ in range(rounds):
        harness.drain("deliver")
        harness.clock.advance(1000)
    (before,) = found(harness)
    with harness.db.write() as tx:
        resend_delivery(tx, before, harness.clock())
        job = store.jobs.find(tx, str(before.job_id))
        assert job is not None
        mute_job(tx, job, harness.clock())
    (ended,) = found(harness)
    expected = DeliveryState.DELIVERED if first == 200 else DeliveryState.EXHAUSTED
    assert (expected, None, None) == (ended.state, ended.due_at, ended.resending)
    hook.answers = [200]

    assert DeliveryState.DELIVERED is resent(harness, ended).state


def test_resend_to_one_that_is_off(harness: Harness, hook: Hook) -> None:
    """What a person asks for is sent to a subscription that was switched off, signed again."""
    hook.answers = [410, 200]
    subscription = subscribed(harness, hook.url)
    happens(harness)
    harness.drain("deliver")
    (before,) = found(harness)
    with harness.db.write() as tx:
        rotate_secret(tx, harness.wiring.encryptor, subscription, harness.clock())
    after = resent(harness, before)
    one, two = (hit.headers["webhook-signature"].split(" ") for hit in hook.hits)

    assert (DeliveryState.EXHAUSTED, DeliveryState.DELIVERED) == (before.state, after.state)
    assert hook.hits[0].body == hook.hits[1].body
    assert (1, 2) == (len(one), len(two))


@pytest.mark.parametrize("reason", [UNSUBSCRIBED, "removed"])
def test_readers_own_no_stays(harness: Harness, hook: Hook, reason: str) -> None:
    """Who has unsubscribed gets nothing more, by hand neither."""
    subscription = subscribed(harness, hook.url)
    happens(harness)
    harness.drain("deliver")
    changed(harness, subscription, enabled=False, disabled_reason=reason)

    with pytest.raises(Conflict, match=reason):
        resent(harness, found(harness)[0])


def test_one_resend_at_a_time(harness: Harness) -> None:
    """A second click before the first was served hears so."""
    subscribed(harness, "http://127.0.0.1:9/")
    happens(harness)
    with harness.db.write() as tx:
        resend_delivery(tx, found(harness)[0], harness.clock())

    with harness.db.write() as tx, pytest.raises(Conflict, match="in progress"):
        resend_delivery(tx, found(harness)[0], harness.clock())


def test_resends_are_limited(harness: Harness) -> None:
    """So many in a minute for an account; then others still may, and so may it a minute later."""
    subscribed(harness, "http://127.0.0.1:9/")
    with harness.db.write() as tx:
        for _ in range(RESENDS + 1):
            record_sample(tx, harness.account.id, EventType.JOB_FAILED, harness.clock())
    with harness.db.write() as tx:
        *most, last = store.deliveries.page(tx, harness.account.id, RESENDS + 1)
        for delivery in most:
            resend_delivery(tx, delivery, harness.clock())
        with pytest.raises(TooOften):
            resend_delivery(tx, last, harness.clock())
        resend_delivery(tx, last, harness.clock.advance(61))


def test_recovery(harness: Harness, hook: Hook) -> None:
    """All that it wanted and did not get since then is sent, and nothing else, once."""
    hook.answers = [410, 200]
    subscription = subscribed(harness, hook.url, events=("job.failed",), metadata={"team": "a"})
    happens(harness, metadata={"team": "a"}, prompt="too long ago")
    harness.clock.advance(60)
    happens(harness, metadata={"team": "a"}, prompt="exhausted")
    harness.drain("deliver")
    harness.clock.advance(60)
    happens(harness, metadata={"team": "a"}, prompt="while it was off")
    happens(harness, metadata={"team": "b"}, prompt="of no interest")
    happens(harness, metadata={"team": "a"}, notify=[], prompt="for nobody")
    with harness.db.write() as tx:
        record_sample(tx, harness.account.id, EventType.JOB_FAILED, harness.clock())
        store.subscriptions.enable(tx, subscription.id)
    since = NOON.replace(minute=1)

    assert Recovered(1, None) == recovered(harness, subscription, since, dry_run=True)
    assert Recovered(2, None) == recovered(harness, subscription, since, missing=True, dry_run=True)
    assert Recovered(1, None) == recovered(harness, subscription, since)
    assert Recovered(1, None) == recovered(harness, subscription, since, missing=True)
    harness.drain("deliver")
    assert Recovered(0, None) == recovered(harness, subscription, since, missing=True)
    prompts = [hit.json()["data"]["input"]["prompt"] for hit in hook.hits[1:]]
    assert ["exhausted", "while it was off"] == sorted(prompts)


def test_recovery_of_a_muted_job(harness: Harness, hook: Hook) -> None:
    """What a mute has ended stays ended: nobody wants news of that job."""
    subscription = subscribed(harness, hook.url)
    happens(harness)
    (pending,) = found(harness)
    with harness.db.write() as tx:
        job = store.jobs.find(tx, str(pending.job_id))
        assert job is not None
        mute_job(tx, job, harness.clock())

    assert Recovered(0, None) == recovered(harness, subscription, dry_run=True)
    assert Recovered(0, None) == recovered(harness, subscription)


def test_recovery_of_a_long_time(harness: Harness) -> None:
    """The past is gone through in pages, each a transaction of its own."""
    for _ in range(5):
        happens(harness)
        harness.clock.advance(1)
    subscription = subscribed(harness, "http://127.0.0.1:9/")
    counts, after = [], None
    for _ in range(3):
        done = recovered(harness, subscription, after=after, at_once=2, missing=True)
        counts.append(done.count)
        after = done.next_event

    assert ([2, 2, 1], None) == (counts, after)
    assert 5 == len(found(harness, state="pending"))


def test_recovery_of_all(harness: Harness) -> None:
    """All pages, one after the other, are one press of a button."""
    for _ in range(5):
        happens(harness)
        harness.clock.advance(1)
    subscription = subscribed(harness, "http://127.0.0.1:9/")
    wanted = Recovery(NOON, missing=True)
    counts = [recover_since(harness.db, subscription, wanted, harness.clock, 2) for _ in range(2)]

    assert [5, 0] == counts
    assert 5 == len(found(harness, state="pending"))


def test_recovery_of_one_that_is_off(harness: Harness) -> None:
    """It has to be switched on first: deliveries to it would only end."""
    subscription = subscribed(harness, "http://127.0.0.1:9/")
    changed(harness, subscription, enabled=False)

    with pytest.raises(Conflict, match="enable"):
        recovered(harness, subscription)


def test_end_of_a_job_is_reported_again(harness: Harness, hook: Hook) -> None:
    """Each subscription that heard of the end hears of it once more; other events are not."""
    subscribed(harness, hook.url, events=("job.submitted", "job.failed"))
    job = harness.new_job()
    for type_ in (EventType.JOB_SUBMITTED, EventType.JOB_FAILED):
        with harness.db.write() as tx:
            record_event(tx, job, type_, harness.clock())
    harness.drain("deliver")
    with harness.db.write() as tx:
        first = redeliver_final_event(tx, job, harness.clock())
        second = redeliver_final_event(tx, job, harness.clock())
    harness.drain("deliver")

    assert [""] == first
    assert ["an attempt at this delivery is in progress: wait until it ends"] == second
    assert ["job.failed"] == [hit.json()["type"] for hit in hook.hits[2:]]


def test_no_end_to_tell(harness: Harness) -> None:
    """A job that goes on, or whose end was nobody's business, says so."""
    job = harness.new_job()
    with harness.db.write() as tx, pytest.raises(Conflict, match="the job is queued"):
        redeliver_final_event(tx, job, harness.clock())
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_FAILED, harness.clock())
        with pytest.raises(Conflict, match="no subscription wants its final event"):
            redeliver_final_event(tx, job, harness.clock())

"""Events: a fact and all the deliveries it causes, in one go, for its own account only."""

from __future__ import annotations

import threading

import pytest
from support.harness import Harness

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import get_or_create_internal, subscribe
from service.events.record import record_event
from service.jobs.requests import mute_job
from service.model import DEFAULT_EVENTS, Delivery, EventType, Job, Subscription

pytestmark = pytest.mark.postgresql

TARGET = "http://127.0.0.1:9/hook"


def subscribed(harness: Harness, *events: str, target: str = TARGET) -> Subscription:
    """A subscription of the harness's account to these events."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", target, events)
        return subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())[0]


def happened(harness: Harness, job: Job, type_: EventType, wait: float = 0.0) -> list[Delivery]:
    """The fact is recorded; the deliveries that it caused."""
    with harness.db.write() as tx:
        event = record_event(tx, job, type_, harness.clock(), wait)
        return [d for d in store.deliveries.of_job(tx, job.id) if d.event_id == event.id]


def test_sequence_counts_within_the_job(harness: Harness) -> None:
    """Each job counts its own events from one, without a gap."""
    jobs = [harness.new_job(), harness.new_job()]
    for _ in range(3):
        for job in jobs:
            happened(harness, job, EventType.JOB_HELD)
    with harness.db.read() as tx:
        found = [[e.sequence for e in store.events.of_job(tx, job.id)] for job in jobs]

    assert [[1, 2, 3], [1, 2, 3]] == found


def test_sequence_under_threads(harness: Harness) -> None:
    """Facts that are recorded at the same time get different numbers, and none is lost."""
    job = harness.new_job()
    threads = [
        threading.Thread(target=happened, args=(harness, job, EventType.JOB_HELD)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with harness.db.read() as tx:
        found = [event.sequence for event in store.events.of_job(tx, job.id)]

    assert list(range(1, 9)) == found


def test_default_events(harness: Harness) -> None:
    """Who names no events gets the four that matter."""
    subscribed(harness)
    job = harness.new_job()
    report = {type_ for type_ in EventType if happened(harness, harness.new_job(), type_)}

    assert set(DEFAULT_EVENTS) == report
    assert [] == happened(harness, job, EventType.JOB_SUBMITTED)


def test_named_events(harness: Harness) -> None:
    """Who names some gets these and no others."""
    subscribed(harness, "job.submitted")

    assert 1 == len(happened(harness, harness.new_job(), EventType.JOB_SUBMITTED))
    assert [] == happened(harness, harness.new_job(), EventType.JOB_SUCCEEDED)


def test_only_the_owner_hears(harness: Harness) -> None:
    """Neither bob's nor charlie's subscriptions get anything of alice's job."""
    job = harness.new_job()
    alice, others = harness.account, []
    for name in ("bob", "charlie"):
        harness.account, _ = harness.new_account(name)
        others.append(subscribed(harness))
    harness.account = alice
    own = subscribed(harness)
    deliveries = happened(harness, job, EventType.JOB_SUCCEEDED)

    assert [own.id] == [delivery.subscription_id for delivery in deliveries]
    assert {alice.id} == {delivery.account_id for delivery in deliveries}


def test_notify_decides(harness: Harness) -> None:
    """A named target hears alone, an empty list means nobody, ``*`` adds the account's own."""
    own = subscribed(harness)
    asked: list[list[str] | None] = [[f"webhook:{TARGET}/x"], [], None, ["*"]]
    found = []
    for notify in asked:
        job = harness.new_job(notify=notify)
        deliveries = happened(harness, job, EventType.JOB_SUCCEEDED)
        found.append([delivery.subscription_id == own.id for delivery in deliveries])

    assert [[False], [], [True], [True]] == found


def test_named_twice_is_reported_once(harness: Harness) -> None:
    """The same target twice in one request is one delivery."""
    job = harness.new_job(notify=[f"webhook:{TARGET}"] * 3)

    assert 1 == len(happened(harness, job, EventType.JOB_SUCCEEDED))


def test_hidden_one_hears_only_of_its_jobs(harness: Harness) -> None:
    """A target that was named by one job hears nothing of the others."""
    harness.new_job(notify=[f"webhook:{TARGET}"])

    assert [] == happened(harness, harness.new_job(), EventType.JOB_SUCCEEDED)


def test_target_that_had_said_gone(harness: Harness) -> None:
    """A job that names a target which was switched off before is not silently lost."""
    harness.new_job(notify=[f"webhook:{TARGET}"])
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", TARGET)
        known = get_or_create_internal(
            tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock()
        )
        store.subscriptions.change(tx, known.id, enabled=False, disabled_reason="410 Gone")
    job = harness.new_job(notify=[f"webhook:{TARGET}"])

    assert 1 == len(happened(harness, job, EventType.JOB_SUCCEEDED))


def test_muted_and_disabled(harness: Harness) -> None:
    """The fact is recorded; nobody is notified."""
    subscription = subscribed(harness)
    muted = harness.new_job()
    with harness.db.write() as tx:
        mute_job(tx, muted, harness.clock())
    assert [] == happened(harness, muted, EventType.JOB_SUCCEEDED)
    with harness.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, enabled=False)
    assert [] == happened(harness, harness.new_job(), EventType.JOB_SUCCEEDED)
    with harness.db.read() as tx:
        assert 1 == len(store.events.of_job(tx, muted.id))


def test_wait(harness: Harness) -> None:
    """The time that the copy gets is the delivery's first date."""
    subscribed(harness)
    (delivery,) = happened(harness, harness.new_job(), EventType.JOB_SUCCEEDED, wait=30.0)
    assert delivery.due_at is not None

    assert 30.0 == (delivery.due_at - harness.clock()).total_seconds()


def test_all_or_nothing(harness: Harness) -> None:
    """A transaction that fails leaves neither the event nor its deliveries."""
    subscribed(harness)
    job = harness.new_job()
    with pytest.raises(ZeroDivisionError), harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_SUCCEEDED, harness.clock())
        _ = 1 / 0
    with harness.db.read() as tx:
        assert [] == store.events.of_job(tx, job.id)
        assert [] == store.deliveries.of_job(tx, job.id)

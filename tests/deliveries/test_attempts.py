"""Deliveries: at least once, the same bytes, by the schedule, and nobody in another's way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook
from support.harness import Harness
from support.servers import Hit, Hook

from service import store
from service.channels.base import DeliveryRequest, DeliveryResult
from service.channels.webhook import Webhook as WebhookChannel
from service.deliveries.attempts import LEASE_SECONDS, NO_RESULT, attempt_delivery
from service.deliveries.notification import NotificationContext
from service.deliveries.redelivery import resend_delivery
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.jobs.outcomes import fail_job
from service.jobs.requests import mute_job
from service.model import Attempt, Delivery, DeliveryState, Job, Subscription
from service.model.error_codes import job_error
from service.signing import Encryptor

pytestmark = pytest.mark.postgresql

SCHEDULE = (0.0, 10.0, 100.0)
DAY = 86_400.0


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Three attempts: at once, after ten seconds, after a hundred."""
    return {"retry_schedule": SCHEDULE}


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


def subscribed(harness: Harness, url: str) -> tuple[Subscription, str]:
    """A subscription of the harness's account, and its secret."""
    with harness.db.write() as tx:
        return subscribe(
            tx,
            harness.wiring.encryptor,
            harness.account.id,
            SubscriptionSpec("webhook", url),
            harness.clock(),
        )


def failed(harness: Harness) -> tuple[Job, list[Delivery]]:
    """A job that has ended, and the deliveries that tell of it."""
    job = harness.new_job()
    with harness.db.write() as tx:
        fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", harness.clock())
        return job, store.deliveries.of_job(tx, job.id)


def one_failed(harness: Harness) -> Delivery:
    """The same, where there is one delivery."""
    (delivery,) = failed(harness)[1]
    return delivery


def now_is(harness: Harness, delivery: Delivery) -> Delivery:
    """The delivery as it is now."""
    with harness.db.read() as tx:
        found = store.deliveries.owned(tx, delivery.account_id, delivery.id)
    assert found is not None
    return found


def attempts(harness: Harness, delivery: Delivery) -> list[Attempt]:
    """All tries at it."""
    with harness.db.read() as tx:
        return store.deliveries.all_attempts(tx, [delivery.id])


def until_due(harness: Harness, delivery: Delivery) -> float:
    """Seconds to its next attempt."""
    due_at = now_is(harness, delivery).due_at
    assert due_at is not None
    return (due_at - harness.clock()).total_seconds()


def verified(secret: str, hit: Hit, now: datetime) -> None:
    """The hit bears a true signature of that moment."""
    found = {name.lower(): value for name, value in hit.headers.items()}
    assert int(now.timestamp()) == int(found["webhook-timestamp"])
    signature = Webhook(secret).sign(found["webhook-id"], now, hit.body.decode())
    assert signature in found["webhook-signature"].split(" ")


def test_delivered(harness: Harness, hook: Hook) -> None:
    """One attempt, one signed body, and then nothing more to do."""
    _, secret = subscribed(harness, hook.url)
    delivery = one_failed(harness)
    harness.drain("deliver")
    harness.clock.advance(DAY)
    harness.drain("deliver")

    assert 1 == len(hook.hits)
    verified(secret, hook.hits[0], harness.clock() - timedelta(seconds=DAY))
    found = now_is(harness, delivery)
    assert (DeliveryState.DELIVERED, 1, None) == (found.state, found.attempts, found.due_at)
    assert [(200, None)] == [(a.status, a.error) for a in attempts(harness, delivery)]


def test_schedule(harness: Harness, hook: Hook) -> None:
    """Attempts keep to the schedule within a fifth; after the last one it is exhausted."""
    hook.answers = [500]
    subscribed(harness, hook.url)
    delivery = one_failed(harness)
    for number, delay in enumerate(SCHEDULE):
        assert 0.8 * delay <= until_due(harness, delivery) <= 1.2 * delay
        harness.clock.advance(until_due(harness, delivery))
        harness.drain("deliver")
        assert number + 1 == len(hook.hits)
    harness.clock.advance(DAY)
    harness.drain("deliver")

    assert (3, DeliveryState.EXHAUSTED) == (len(hook.hits), now_is(harness, delivery).state)
    assert [500] * 3 == [attempt.status for attempt in attempts(harness, delivery)]


def test_frozen_bytes_and_fresh_signature(harness: Harness, hook: Hook) -> None:
    """A later attempt sends the first one's bytes and id, signed again for its own moment."""
    hook.answers = [500, 500, 200]
    _, secret = subscribed(harness, hook.url)
    job, (delivery,) = failed(harness)
    moments = []
    for _ in SCHEDULE:
        moments.append(harness.clock.advance(until_due(harness, delivery)))
        harness.drain("deliver")
        with harness.db.write() as tx:
            store.jobs.change(tx, job.id, [harness.job(job).state], metadata={"changed": "since"})

    assert 1 == len({hit.body for hit in hook.hits})
    assert 1 == len({hit.headers["webhook-id"] for hit in hook.hits})
    assert 3 == len({hit.headers["webhook-signature"] for hit in hook.hits})
    for hit, moment in zip(hook.hits, moments, strict=True):
        verified(secret, hit, moment)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_holds_the_subscription(harness: Harness, hook: Hook, status: int) -> None:
    """Nothing at all goes to an endpoint before the moment that it named."""
    hook.answers = [(status, {"Retry-After": "1000"}), 200]
    subscribed(harness, hook.url)
    first = one_failed(harness)
    harness.drain("deliver")
    second = one_failed(harness)
    harness.clock.advance(999)
    harness.drain("deliver")
    assert 1 == len(hook.hits)
    harness.clock.advance(201)
    harness.drain("deliver")

    assert [DeliveryState.DELIVERED] * 2 == [now_is(harness, d).state for d in (first, second)]


def test_shorter_hold_does_not_cut_a_longer_one(harness: Harness, hook: Hook) -> None:
    """Two answers at once: the longer wait stands."""
    subscription, _ = subscribed(harness, hook.url)
    with harness.db.write() as tx:
        for seconds in (1000, 1):
            until = harness.clock() + timedelta(seconds=seconds)
            store.subscriptions.hold(tx, subscription.id, until)
    one_failed(harness)
    harness.clock.advance(10)
    harness.drain("deliver")

    assert [] == hook.hits


@pytest.mark.parametrize("answer", [410, (200, {"webhook-delivery": "disable"})])
def test_endpoint_that_ends_it(harness: Harness, hook: Hook, answer: Any) -> None:
    """Gone is gone: nothing more is sent, and nothing more is planned."""
    hook.answers = [answer]
    subscription, _ = subscribed(harness, hook.url)
    deliveries = [one_failed(harness), one_failed(harness)]
    harness.drain("deliver")
    harness.clock.advance(DAY)
    harness.drain("deliver")
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)

    assert found is not None
    assert (1, False) == (len(hook.hits), found.enabled)
    assert DeliveryState.PENDING not in [now_is(harness, d).state for d in deliveries]
    assert [] == failed(harness)[1]


@pytest.mark.parametrize("status", [301, 302, 308, 400, 404])
def test_anything_but_2xx_is_tried_again(harness: Harness, hook: Hook, status: int) -> None:
    """Redirects are not followed, and no other refusal is the end."""
    hook.answers = [(status, {"Location": hook.url + "/elsewhere"}), 204]
    subscribed(harness, hook.url)
    delivery = one_failed(harness)
    harness.drain("deliver")
    harness.clock.advance(15)
    harness.drain("deliver")

    assert (["/hook"] * 2, DeliveryState.DELIVERED) == (
        [hit.path for hit in hook.hits],
        now_is(harness, delivery).state,
    )


class Dying(WebhookChannel):
    """Its process is killed when the endpoint has the message."""

    def send(self, delivery_request: DeliveryRequest) -> DeliveryResult:
        """Sends, then ends as a killed process does."""
        super().send(delivery_request)
        raise KeyboardInterrupt


def test_killed_between_claim_and_settle(harness: Harness, hook: Hook) -> None:
    """The attempt is on record without a result, and the message goes out again, the same."""
    subscribed(harness, hook.url)
    delivery = one_failed(harness)
    post: NotificationContext = replace(
        harness.wiring.notifications, channels={"webhook": Dying(harness.wiring.outbound)}
    )
    with pytest.raises(KeyboardInterrupt):
        attempt_delivery(harness.db, post, harness.clock)
    (struck,) = attempts(harness, delivery)
    assert NO_RESULT == struck.error
    harness.drain("deliver")
    assert 1 == len(hook.hits)
    harness.clock.advance(LEASE_SECONDS)
    harness.drain("deliver")

    assert 1 == len({(hit.body, hit.headers["webhook-id"]) for hit in hook.hits})
    assert (2, DeliveryState.DELIVERED) == (len(hook.hits), now_is(harness, delivery).state)


def test_resend(harness: Harness, hook: Hook) -> None:
    """An ended delivery goes out once more with its id and bytes."""
    subscribed(harness, hook.url)
    delivery = one_failed(harness)
    harness.drain("deliver")
    harness.clock.advance(DAY)
    with harness.db.write() as tx:
        resend_delivery(tx, now_is(harness, delivery), harness.clock())
    harness.drain("deliver")

    assert 2 == len(hook.hits)
    assert 1 == len({(hit.body, hit.headers["webhook-id"]) for hit in hook.hits})
    assert [1, 2] == [attempt.number for attempt in attempts(harness, delivery)]


def test_muted(harness: Harness, hook: Hook) -> None:
    """A muted job's pending news ends unsent."""
    subscribed(harness, hook.url)
    job, (delivery,) = failed(harness)
    with harness.db.write() as tx:
        mute_job(tx, job, harness.clock())
    harness.drain("deliver")

    assert ([], DeliveryState.EXHAUSTED) == (hook.hits, now_is(harness, delivery).state)


@pytest.mark.parametrize("by_hand", [False, True])
def test_muted_during_an_attempt(harness: Harness, hook: Hook, by_hand: bool) -> None:
    """Whatever comes of the attempt, no next one is announced."""
    hook.answers = [500]
    subscribed(harness, hook.url)
    job, (delivery,) = failed(harness)
    if by_hand:
        with harness.db.write() as tx:
            resend_delivery(tx, delivery, harness.clock())

    class Muting(WebhookChannel):
        """A channel whose message arrives as its job is muted."""

        def send(self, request: DeliveryRequest) -> DeliveryResult:
            """Mute, then send."""
            with harness.db.write() as tx:
                mute_job(tx, job, harness.clock())
            return super().send(request)

    post = replace(
        harness.wiring.notifications, channels={"webhook": Muting(harness.wiring.outbound)}
    )
    attempt_delivery(harness.db, post, harness.clock)
    after = now_is(harness, delivery)

    assert (1, DeliveryState.EXHAUSTED, None) == (len(hook.hits), after.state, after.due_at)
    assert (None, None) == (after.resending, after.leased_until)


def test_disabled_before_it_is_sent(harness: Harness, hook: Hook) -> None:
    """What waits for a subscription that was switched off is not sent."""
    subscription, _ = subscribed(harness, hook.url)
    delivery = one_failed(harness)
    with harness.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, enabled=False)
    harness.drain("deliver")

    assert ([], DeliveryState.EXHAUSTED) == (hook.hits, now_is(harness, delivery).state)


@pytest.mark.parametrize("wrong", ["channel", "secret", "format"])
def test_one_that_cannot_be_sent(harness: Harness, hook: Hook, wrong: str) -> None:
    """A delivery that this server cannot even prepare is in nobody else's way."""
    lost = Encryptor(["another key of forty characters, really"]).encrypt("whsec_eA==")
    broken = {"channel": "gone", "secret": lost, "format": "gone"}[wrong]
    subscription, _ = subscribed(harness, hook.url)
    with harness.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, **{wrong: broken})
    one_failed(harness)
    harness.account, _ = harness.new_account("bob")
    subscribed(harness, hook.url)
    harness.clock.advance(1)
    bobs = one_failed(harness)
    for _ in range(3):
        try:
            harness.unit("deliver")
        except Exception:  # noqa: S112 - the engine goes on too
            continue

    assert DeliveryState.DELIVERED is now_is(harness, bobs).state

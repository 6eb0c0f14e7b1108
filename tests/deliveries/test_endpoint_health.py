"""Endpoints: switched off after long failure, reported once, well again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.channel_targets import MailTarget
from support.harness import Harness
from support.raw_servers import Server, silent
from support.servers import Hook

from service import store
from service.accounts import create_account
from service.channels.base import Channel, DeliveryRequest, DeliveryResult
from service.channels.webhook import Webhook
from service.deliveries.attempts import attempt_delivery
from service.deliveries.endpoint_health import SLOW_FOR
from service.deliveries.notification import NotificationContext
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.errors import DeliveryError, NextStep
from service.events.record import record_sample
from service.model import Delivery, DeliveryState, EventType, Subscription

pytestmark = pytest.mark.postgresql

DAY = 86_400.0
OWNERS = ("subscription.disabled", "subscription.recovered")


@pytest.fixture
def mailbox() -> Iterator[MailTarget]:
    """The operator's mail server."""
    with MailTarget() as server:
        yield server


@pytest.fixture
def settings_given(mailbox: MailTarget) -> dict[str, Any]:
    """One attempt for each delivery, and a mail server."""
    return {
        "retry_schedule": (0.0,),
        "smtp_url": mailbox.url,
        "mail_from": "clips@example.com",
    }


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


def subscribed(harness: Harness, target: str, *events: str, **more: Any) -> Subscription:
    """A subscription of the harness's account."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", target, events)
        encryptor, now = harness.wiring.encryptor, harness.clock()
        return subscribe(tx, encryptor, harness.account.id, spec, now, **more)[0]


def happens(harness: Harness, channel: Channel | None = None) -> None:
    """A sample event, and all that is due because of it."""
    with harness.db.write() as tx:
        record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, harness.clock())
    post = harness.wiring.notifications
    post = replace(post, channels={"webhook": channel}) if channel else post
    for slow in (False, True, False):
        while attempt_delivery(harness.db, post, harness.clock, slow=slow):
            pass


def now_is(harness: Harness, subscription: Subscription) -> Subscription:
    """The subscription as it is now."""
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)
    assert found is not None
    return found


def report(hook: Hook) -> list[str]:
    """The types of the events that a hook got."""
    return [hit.json()["type"] for hit in hook.hits]


def test_off_after_five_days_and_well_again(harness: Harness, hook: Hook) -> None:
    """Five days without a success end it; the owner hears so once, and of the first success."""
    hook.answers = [500]
    subscription = subscribed(harness, hook.url)
    with Hook() as owners:
        subscribed(harness, owners.url, *OWNERS)
        for _ in range(5):
            happens(harness)
            harness.clock.advance(DAY)
        assert (True, []) == (now_is(harness, subscription).enabled, owners.hits)
        happens(harness)
        off = now_is(harness, subscription)
        assert (False, ["subscription.disabled"]) == (off.enabled, report(owners))
        assert "2026-01-01 12:00" in (off.disabled_reason or "")
        hook.answers = [*[500] * len(hook.hits), 200]
        with harness.db.write() as tx:
            store.subscriptions.enable(tx, subscription.id)
        happens(harness)
        happens(harness)

    assert list(OWNERS) == report(owners)
    first, second = (hit.json()["data"] for hit in owners.hits)
    assert {subscription.id} == {first["subscription_id"], second["subscription_id"]}
    assert (off.disabled_reason, None) == (first["reason"], second["reason"])


def test_one_incident_is_reported_once(harness: Harness, hook: Hook) -> None:
    """Switched on and off again without a success between is the same trouble."""
    hook.answers = [410]
    subscription = subscribed(harness, hook.url)
    with Hook() as owners:
        subscribed(harness, owners.url, *OWNERS)
        for _ in range(3):
            happens(harness)
            assert not now_is(harness, subscription).enabled
            with harness.db.write() as tx:
                store.subscriptions.enable(tx, subscription.id)
        happens(harness)

    assert ["subscription.disabled"] == report(owners)


@pytest.mark.parametrize("answers", [[500, 200, 500], [500]])
def test_patience(harness: Harness, hook: Hook, answers: list[Any]) -> None:
    """A success between, or one single delivery that was given up, is not the end."""
    hook.answers = answers
    subscription = subscribed(harness, hook.url)
    for _ in answers:
        happens(harness)
        harness.clock.advance(6 * DAY)

    assert now_is(harness, subscription).enabled


def test_owner_is_notified_by_mail(harness: Harness, hook: Hook, mailbox: MailTarget) -> None:
    """Without any other subscription a letter goes to the owner's address."""
    with harness.db.write() as tx:
        encryptor, now = harness.wiring.encryptor, harness.clock()
        harness.account = create_account(tx, encryptor, "olga", "olga@example.com", now)
    hook.answers = [410]
    subscription = subscribed(harness, hook.url)
    happens(harness)
    (letter,) = mailbox.bodies

    assert b"\r\nTo: olga@example.com\r\n" in letter
    assert b"Subject: Subscription switched off" in letter
    assert subscription.id.encode() in letter


def test_gone_hook_is_removed_in_silence(harness: Harness, hook: Hook) -> None:
    """A REST hook whose client says 410 has ended it itself: nobody is notified."""
    hook.answers = [410]
    subscription = subscribed(harness, hook.url, hook=True)
    with Hook() as owners:
        subscribed(harness, owners.url, *OWNERS)
        happens(harness)

    assert ([], True, False) == (
        owners.hits,
        now_is(harness, subscription).hidden,
        now_is(harness, subscription).enabled,
    )


def test_slow_and_quick_again(harness: Harness, hook: Hook) -> None:
    """Who lets us wait until time is over is slow for an hour, or until the next quick answer."""
    server = Server(silent)
    subscription = subscribed(harness, f"http://127.0.0.1:{server.port}/")
    happens(harness, Webhook(harness.wiring.outbound, seconds=0.3))
    server.close()
    assert harness.clock() + SLOW_FOR == now_is(harness, subscription).slow_until
    with harness.db.write() as tx:
        encrypted = harness.wiring.encryptor.encrypt(hook.url)
        store.subscriptions.change(tx, subscription.id, target=encrypted)
    happens(harness)

    assert (1, None) == (len(hook.hits), now_is(harness, subscription).slow_until)


def test_refused_is_not_slow(harness: Harness) -> None:
    """Nobody there is quickly known: no reason for the slow lane."""
    subscription = subscribed(harness, "http://127.0.0.1:9/")
    happens(harness)

    assert now_is(harness, subscription).slow_until is None
    assert 1 == now_is(harness, subscription).exhausted


class Unpaid(Webhook):
    """A channel whose operator has mistyped a password."""

    def send(self, delivery_request: DeliveryRequest) -> DeliveryResult:
        """Our own fault, for a minute."""
        raise DeliveryError("check the password", NextStep.PAUSE_CHANNEL, wait_seconds=60.0)


def test_paused_channel(harness: Harness, hook: Hook) -> None:
    """All its deliveries wait; the attempt is on record and has used up nothing."""
    subscription = subscribed(harness, hook.url)
    happens(harness, Unpaid(harness.wiring.outbound))
    happens(harness)
    with harness.db.read() as tx:
        (pause,) = store.channels.paused(tx, harness.clock())
        deliveries = store.deliveries.page(tx, harness.account.id, 10)
        attempts = store.deliveries.all_attempts(tx, [d.id for d in deliveries])
    assert ("webhook", "check the password", []) == (pause.name, pause.reason, hook.hits)
    assert ["check the password"] == [attempt.error for attempt in attempts]
    harness.clock.advance(60)
    harness.drain("deliver")
    with harness.db.read() as tx:
        states = {d.state for d in store.deliveries.page(tx, harness.account.id, 10)}
        assert [] == store.channels.paused(tx, harness.clock())

    assert (2, {DeliveryState.DELIVERED}) == (len(hook.hits), states)
    assert now_is(harness, subscription).failing_since is None


def test_longer_pause_stays(harness: Harness) -> None:
    """Two findings of the same trouble: the channel waits for the later end."""
    with harness.db.write() as tx:
        for seconds in (100, 10):
            until = harness.clock() + timedelta(seconds=seconds)
            store.channels.pause(tx, "email", until, f"{seconds}")
        (pause,) = store.channels.paused(tx, harness.clock())
        store.channels.resume(tx, "email")

    assert "100" == pause.reason
    with harness.db.read() as tx:
        assert [] == store.channels.paused(tx, harness.clock())


class Patient(Webhook):
    """A channel that wants a second between two messages to one target."""

    min_interval = 1.0


def test_min_interval(harness: Harness, hook: Hook) -> None:
    """One message a second to one target, at once to another."""
    subscribed(harness, hook.url)
    channel = Patient(harness.wiring.outbound)
    post: NotificationContext = replace(harness.wiring.notifications, channels={"webhook": channel})
    happens(harness, channel)
    happens(harness, channel)
    found = []
    for _ in range(3):
        while attempt_delivery(harness.db, post, harness.clock):
            pass
        found.append(len(hook.hits))
        harness.clock.advance(0.5)

    assert [1, 1, 2] == found


def exhausted(harness: Harness) -> list[Delivery]:
    """What was given up."""
    with harness.db.read() as tx:
        return store.deliveries.page(tx, harness.account.id, 10, state="exhausted")


def test_pending_ones_end_with_it(harness: Harness, hook: Hook) -> None:
    """What waited for a subscription that is switched off ends too; a recovery finds it."""
    hook.answers = [410]
    subscribed(harness, hook.url)
    with harness.db.write() as tx:
        for _ in range(3):
            record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, harness.clock())
    harness.drain("deliver")

    assert (1, 3) == (len(hook.hits), len(exhausted(harness)))

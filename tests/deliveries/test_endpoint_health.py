"""Endpoints: switched off after long failure, told once, well again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from conftest import Bench
from support.channel_targets import MailTarget
from support.raw_servers import Server, silent
from support.servers import Hook

from service import store
from service.accounts import create_account
from service.channels import Webhook
from service.channels.base import Channel, DeliveryRequest, DeliveryResult
from service.deliveries.attempts import attempt_delivery
from service.deliveries.endpoint_health import SLOW_FOR
from service.deliveries.notification import NotificationContext
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
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


def subscribed(bench: Bench, target: str, *events: str, **more: Any) -> Subscription:
    """A subscription of the bench's account."""
    with bench.db.write() as tx:
        spec = SubscriptionSpec("webhook", target, events)
        encryptor, now = bench.wiring.encryptor, bench.clock()
        return subscribe(tx, encryptor, bench.account.id, spec, now, **more)[0]


def happens(bench: Bench, channel: Channel | None = None) -> None:
    """A sample event, and all that is due because of it."""
    with bench.db.write() as tx:
        record_sample(tx, bench.account.id, EventType.JOB_SUCCEEDED, bench.clock())
    post = bench.wiring.notifications
    post = replace(post, channels={"webhook": channel}) if channel else post
    for slow in (False, True, False):
        while attempt_delivery(bench.db, post, bench.clock, slow=slow):
            pass


def now_is(bench: Bench, subscription: Subscription) -> Subscription:
    """The subscription as it is now."""
    with bench.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)
    assert found is not None
    return found


def told(hook: Hook) -> list[str]:
    """The types of the events that a hook got."""
    return [hit.json()["type"] for hit in hook.hits]


def test_off_after_five_days_and_well_again(bench: Bench, hook: Hook) -> None:
    """Five days without a success end it; the owner hears so once, and of the first success."""
    hook.answers = [500]
    subscription = subscribed(bench, hook.url)
    with Hook() as owners:
        subscribed(bench, owners.url, *OWNERS)
        for _ in range(5):
            happens(bench)
            bench.clock.advance(DAY)
        assert (True, []) == (now_is(bench, subscription).enabled, owners.hits)
        happens(bench)
        off = now_is(bench, subscription)
        assert (False, ["subscription.disabled"]) == (off.enabled, told(owners))
        assert "2026-01-01 12:00" in (off.disabled_reason or "")
        hook.answers = [*[500] * len(hook.hits), 200]
        with bench.db.write() as tx:
            store.subscriptions.enable(tx, subscription.id)
        happens(bench)
        happens(bench)

    assert list(OWNERS) == told(owners)
    first, second = (hit.json()["data"] for hit in owners.hits)
    assert {subscription.id} == {first["subscription_id"], second["subscription_id"]}
    assert (off.disabled_reason, None) == (first["reason"], second["reason"])


def test_one_incident_is_told_once(bench: Bench, hook: Hook) -> None:
    """Switched on and off again without a success between is the same trouble."""
    hook.answers = [410]
    subscription = subscribed(bench, hook.url)
    with Hook() as owners:
        subscribed(bench, owners.url, *OWNERS)
        for _ in range(3):
            happens(bench)
            assert not now_is(bench, subscription).enabled
            with bench.db.write() as tx:
                store.subscriptions.enable(tx, subscription.id)
        happens(bench)

    assert ["subscription.disabled"] == told(owners)


@pytest.mark.parametrize("answers", [[500, 200, 500], [500]])
def test_patience(bench: Bench, hook: Hook, answers: list[Any]) -> None:
    """A success between, or one single delivery that was given up, is not the end."""
    hook.answers = answers
    subscription = subscribed(bench, hook.url)
    for _ in answers:
        happens(bench)
        bench.clock.advance(6 * DAY)

    assert now_is(bench, subscription).enabled


def test_owner_is_told_by_mail(bench: Bench, hook: Hook, mailbox: MailTarget) -> None:
    """Without any other subscription a letter goes to the owner's address."""
    with bench.db.write() as tx:
        encryptor, now = bench.wiring.encryptor, bench.clock()
        bench.account = create_account(tx, encryptor, "olga", "olga@example.com", now)
    hook.answers = [410]
    subscription = subscribed(bench, hook.url)
    happens(bench)
    (letter,) = mailbox.bodies

    assert b"\r\nTo: olga@example.com\r\n" in letter
    assert b"Subject: Subscription switched off" in letter
    assert subscription.id.encode() in letter


def test_gone_hook_is_removed_in_silence(bench: Bench, hook: Hook) -> None:
    """A REST hook whose client says 410 has ended it itself: nobody is notified."""
    hook.answers = [410]
    subscription = subscribed(bench, hook.url, hook=True)
    with Hook() as owners:
        subscribed(bench, owners.url, *OWNERS)
        happens(bench)

    assert ([], True, False) == (
        owners.hits,
        now_is(bench, subscription).hidden,
        now_is(bench, subscription).enabled,
    )


def test_slow_and_quick_again(bench: Bench, hook: Hook) -> None:
    """Who lets us wait until time is over is slow for an hour, or until the next quick answer."""
    server = Server(silent)
    subscription = subscribed(bench, f"http://127.0.0.1:{server.port}/")
    happens(bench, Webhook(bench.wiring.outbound, seconds=0.3))
    server.close()
    assert bench.clock() + SLOW_FOR == now_is(bench, subscription).slow_until
    with bench.db.write() as tx:
        encrypted = bench.wiring.encryptor.encrypt(hook.url)
        store.subscriptions.change(tx, subscription.id, target=encrypted)
    happens(bench)

    assert (1, None) == (len(hook.hits), now_is(bench, subscription).slow_until)


def test_refused_is_not_slow(bench: Bench) -> None:
    """Nobody there is quickly known: no reason for the slow lane."""
    subscription = subscribed(bench, "http://127.0.0.1:9/")
    happens(bench)

    assert now_is(bench, subscription).slow_until is None
    assert 1 == now_is(bench, subscription).exhausted


class Unpaid(Webhook):
    """A channel whose operator has mistyped a password."""

    def send(self, delivery_request: DeliveryRequest) -> DeliveryResult:
        """Our own fault, for a minute."""
        raise DeliveryError("check the password", NextStep.PAUSE_CHANNEL, wait_seconds=60.0)


def test_paused_channel(bench: Bench, hook: Hook) -> None:
    """All its deliveries wait; the attempt is on record and has used up nothing."""
    subscription = subscribed(bench, hook.url)
    happens(bench, Unpaid(bench.wiring.outbound))
    happens(bench)
    with bench.db.read() as tx:
        (pause,) = store.channels.paused(tx, bench.clock())
        deliveries = store.deliveries.page(tx, bench.account.id, 10)
        attempts = store.deliveries.all_attempts(tx, [d.id for d in deliveries])
    assert ("webhook", "check the password", []) == (pause.name, pause.reason, hook.hits)
    assert ["check the password"] == [attempt.error for attempt in attempts]
    bench.clock.advance(60)
    bench.drain("deliver")
    with bench.db.read() as tx:
        states = {d.state for d in store.deliveries.page(tx, bench.account.id, 10)}
        assert [] == store.channels.paused(tx, bench.clock())

    assert (2, {DeliveryState.DELIVERED}) == (len(hook.hits), states)
    assert now_is(bench, subscription).failing_since is None


def test_longer_pause_stays(bench: Bench) -> None:
    """Two findings of the same trouble: the channel waits for the later end."""
    with bench.db.write() as tx:
        for seconds in (100, 10):
            until = bench.clock() + timedelta(seconds=seconds)
            store.channels.pause(tx, "email", until, f"{seconds}")
        (pause,) = store.channels.paused(tx, bench.clock())
        store.channels.resume(tx, "email")

    assert "100" == pause.reason
    with bench.db.read() as tx:
        assert [] == store.channels.paused(tx, bench.clock())


class Patient(Webhook):
    """A channel that wants a second between two messages to one target."""

    min_interval = 1.0


def test_min_interval(bench: Bench, hook: Hook) -> None:
    """One message a second to one target, at once to another."""
    subscribed(bench, hook.url)
    channel = Patient(bench.wiring.outbound)
    post: NotificationContext = replace(bench.wiring.notifications, channels={"webhook": channel})
    happens(bench, channel)
    happens(bench, channel)
    found = []
    for _ in range(3):
        while attempt_delivery(bench.db, post, bench.clock):
            pass
        found.append(len(hook.hits))
        bench.clock.advance(0.5)

    assert [1, 1, 2] == found


def exhausted(bench: Bench) -> list[Delivery]:
    """What was given up."""
    with bench.db.read() as tx:
        return store.deliveries.page(tx, bench.account.id, 10, state="exhausted")


def test_pending_ones_end_with_it(bench: Bench, hook: Hook) -> None:
    """What waited for a subscription that is switched off ends too; a recovery finds it."""
    hook.answers = [410]
    subscribed(bench, hook.url)
    with bench.db.write() as tx:
        for _ in range(3):
            record_sample(tx, bench.account.id, EventType.JOB_SUCCEEDED, bench.clock())
    bench.drain("deliver")

    assert (1, 3) == (len(hook.hits), len(exhausted(bench)))

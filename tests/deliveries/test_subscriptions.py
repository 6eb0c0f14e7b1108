"""Subscriptions: checked wishes, sealed secrets, one hidden row behind each target."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.harness import Harness

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec, parse_subscription
from service.deliveries.subscriptions import (
    UNSUBSCRIBED,
    get_or_create_hook,
    get_or_create_internal,
    parse_changes,
    subscribe,
    unsubscribe,
)
from service.errors import InvalidInput
from service.jobs.outcomes import fail_job
from service.model import Subscription
from service.model.error_codes import job_error

pytestmark = pytest.mark.postgresql

TARGET = "http://127.0.0.1:9/hook"
GIVEN = {"channel": "webhook", "target": TARGET}


def faults(harness: Harness, given: Any) -> dict[str, str]:
    """What is wrong with a request: pointer to code."""
    with pytest.raises(InvalidInput) as caught:
        parse_subscription(harness.wiring.channels, given, "/notify/0")
    return {fault.pointer: fault.code for fault in caught.value.faults}


def test_short_and_long_form(harness: Harness) -> None:
    """A string and an object say the same thing."""
    channels = harness.wiring.channels
    long = {"channel": "webhook", "target": f" {TARGET} ", "format": "standard"}

    assert SubscriptionSpec("webhook", TARGET) == parse_subscription(
        channels, f"webhook:{TARGET}", ""
    )
    assert SubscriptionSpec("webhook", TARGET) == parse_subscription(channels, long, "")


@pytest.mark.parametrize(
    ("given", "at"),
    [
        (7, ""),
        (None, ""),
        ("no colon", ""),
        ([], ""),
        ({}, "/channel"),
        ("pigeon:roof", "/channel"),
        ({"channel": ["webhook"], "target": TARGET}, "/channel"),
        ({"channel": "webhook"}, "/target"),
        ("webhook:", "/target"),
        ("webhook:ftp://127.0.0.1/x", "/target"),
        ("webhook:http://me:secret@127.0.0.1/x", "/target"),
        ("webhook:http://10.0.0.1/x", "/target"),
        ("webhook:http://169.254.169.254/latest", "/target"),
        ({"channel": "webhook", "target": TARGET, "events": "job.failed"}, "/events"),
        ({"channel": "webhook", "target": TARGET, "events": ["job.failed", 7]}, "/events/1"),
        ({"channel": "webhook", "target": TARGET, "events": [{}]}, "/events/0"),
        ({"channel": "webhook", "target": TARGET, "format": "xml"}, "/format"),
        ({"channel": "webhook", "target": TARGET, "format": ["flat"]}, "/format"),
        ({"channel": "webhook", "target": TARGET, "secret": "x"}, "/secret"),
    ],
)
def test_bad_request(harness: Harness, given: Any, at: str) -> None:
    """Each fault points at its field."""
    assert f"/notify/0{at}" in faults(harness, given)


def test_all_faults_at_once(harness: Harness) -> None:
    """Nobody has to try four times."""
    given = {"channel": "webhook", "target": "x", "events": ["?"], "format": "?", "more": 1}
    pointers = {f"/notify/0/{name}" for name in ("target", "events/0", "format", "more")}

    assert pointers == set(faults(harness, given))


def test_sealed_at_rest(harness: Harness) -> None:
    """Neither the target nor the secret can be read in the row; both come back."""
    encryptor = harness.wiring.encryptor
    with harness.db.write() as tx:
        made, secret = subscribe(
            tx, encryptor, harness.account.id, SubscriptionSpec("webhook", TARGET), harness.clock()
        )
        row = store.subscriptions.find(tx, made.id)
    assert row is not None

    assert TARGET not in str(row)
    assert secret not in str(row)
    assert (TARGET, secret) == (encryptor.decrypt(row.target), encryptor.decrypt(row.secret))


def hidden(harness: Harness, account_id: str, spec: SubscriptionSpec) -> str:
    """The hidden subscription's id."""
    with harness.db.write() as tx:
        return get_or_create_internal(
            tx, harness.wiring.encryptor, account_id, spec, harness.clock()
        ).id


def test_one_hidden_row_for_each_target(harness: Harness) -> None:
    """The same target is the same row; another account's is another, with its own secret."""
    bob, _ = harness.new_account("bob")
    spec = SubscriptionSpec("webhook", TARGET)
    alices = [hidden(harness, harness.account.id, spec) for _ in range(3)]
    bobs = hidden(harness, bob.id, spec)
    with harness.db.read() as tx:
        rows = [store.subscriptions.find(tx, one) for one in (alices[0], bobs)]

    assert 1 == len(set(alices))
    assert bobs not in alices
    assert [harness.account.webhook_secret, bob.webhook_secret] == [r and r.secret for r in rows]


def test_hidden_row_under_threads(harness: Harness) -> None:
    """Eight requests that name a new target at once make one row."""
    found: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(hidden(harness, harness.account.id, SubscriptionSpec("webhook", TARGET)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (8, 1) == (len(found), len(set(found)))


def test_hidden_ones_are_not_listed(harness: Harness) -> None:
    """Nobody finds, lists or owns a hidden row by the ordinary ways; nor another account's."""
    bob, _ = harness.new_account("bob")
    one = hidden(harness, harness.account.id, SubscriptionSpec("webhook", TARGET))
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", TARGET)
        own, _ = subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
        listed = store.subscriptions.all_of(tx, harness.account.id)
        owned = [
            store.subscriptions.owned(tx, account_id, subscription_id)
            for account_id, subscription_id in ((harness.account.id, one), (bob.id, own.id))
        ]

    assert [own.id] == [subscription.id for subscription in listed]
    assert [None, None] == owned


def subscription_of(harness: Harness, **fields: Any) -> Subscription:
    """A new webhook subscription."""
    spec = parse_subscription(harness.wiring.channels, {**GIVEN, **fields}, "")
    with harness.db.write() as tx:
        return subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())[0]


def changed(harness: Harness, before: Subscription, **fields: Any) -> dict[str, Any]:
    """The columns that a change writes."""
    w = harness.wiring
    return parse_changes(w.channels, w.encryptor, before, fields)


def test_changes(harness: Harness) -> None:
    """Only what is given changes; enabling starts with a clean slate, disabling keeps the rest."""
    before = subscription_of(harness, events=["job.failed"], format="flat")

    assert {} == changed(harness, before)
    assert {"enabled": False} == changed(harness, before, enabled=False, channel="webhook")
    assert store.subscriptions.ENABLED == changed(harness, before, enabled=True)
    assert {"events": ["job.held"]} == changed(harness, before, events=["job.held"])
    moved = changed(harness, before, target=f"{TARGET}/2")
    assert f"{TARGET}/2" == harness.wiring.encryptor.decrypt(moved["target"])
    assert moved["target_digest"] != before.target_digest


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"channel": "slack"}, "/channel"),
        ({"enabled": "yes"}, "/enabled"),
        ({"events": ["job.lost"]}, "/events/0"),
        ({"target": "ftp://127.0.0.1/x"}, "/target"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_bad_changes(harness: Harness, fields: dict[str, Any], pointer: str) -> None:
    """A change is checked like a new subscription, and its channel stays."""
    with pytest.raises(InvalidInput) as caught:
        changed(harness, subscription_of(harness), **fields)

    assert [pointer] == [fault.pointer for fault in caught.value.faults]


def test_one_hook_for_each_target_and_events(harness: Harness) -> None:
    """The same hook again is the one that is there, enabled, as it was asked for last."""
    filters: dict[str, Any] = {"models": ("kling-2",), "metadata": {"order": 7}}
    own = subscription_of(harness, target=TARGET, events=["job.failed"])
    specs = [
        SubscriptionSpec("webhook", TARGET, ("job.failed",), "flat", **filters),
        SubscriptionSpec("webhook", TARGET, ("job.failed",), "standard"),
        SubscriptionSpec("webhook", TARGET, ("job.held",), "flat"),
    ]
    hooks = []
    for spec in specs:
        with harness.db.write() as tx:
            found = get_or_create_hook(
                tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock()
            )
            store.subscriptions.change(tx, found[0].id, enabled=False)
        hooks.append(found)
    (first, secret), (again, no_secret), (other, _) = hooks

    assert own.id != first.id
    assert (["kling-2"], {"order": 7}) == (first.models, first.metadata)
    assert (first.id, "standard", True) == (again.id, again.format, again.enabled)
    assert ([], {}) == (again.models, again.metadata)
    assert secret and secret.startswith("whsec_") and no_secret is None
    assert other.id != first.id


def test_unsubscribe(harness: Harness) -> None:
    """What nothing more is sent to it is disabled for good, and nothing is pending for it."""
    subscription = subscription_of(harness, events=["job.failed"])
    job = harness.new_job()
    with harness.db.write() as tx:
        fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", harness.clock())
        unsubscribe(tx, subscription.id, harness.clock())
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)
        pending = store.deliveries.page(tx, harness.account.id, 9, state="pending")

    assert found and (False, UNSUBSCRIBED) == (found.enabled, found.disabled_reason)
    assert [] == pending

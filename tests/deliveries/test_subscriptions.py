"""Subscriptions: checked wishes, sealed secrets, one hidden row behind each target."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import Bench

from service import store
from service.deliveries.subscriptions import (
    SubscriptionSpec,
    get_or_create_internal,
    parse_subscription,
    subscribe,
)
from service.errors import InvalidInput

pytestmark = pytest.mark.postgresql

TARGET = "http://127.0.0.1:9/hook"


def faults(bench: Bench, given: Any) -> dict[str, str]:
    """What is wrong with a wish: pointer to code."""
    with pytest.raises(InvalidInput) as caught:
        parse_subscription(bench.wiring.channels, given, "/notify/0")
    return {fault.pointer: fault.code for fault in caught.value.faults}


def test_short_and_long_form(bench: Bench) -> None:
    """A string and an object say the same thing."""
    channels = bench.wiring.channels
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
def test_bad_wish(bench: Bench, given: Any, at: str) -> None:
    """Each fault points at its field."""
    assert f"/notify/0{at}" in faults(bench, given)


def test_all_faults_at_once(bench: Bench) -> None:
    """Nobody has to try four times."""
    given = {"channel": "webhook", "target": "x", "events": ["?"], "format": "?", "more": 1}
    pointers = {f"/notify/0/{name}" for name in ("target", "events/0", "format", "more")}

    assert pointers == set(faults(bench, given))


def test_sealed_at_rest(bench: Bench) -> None:
    """Neither the target nor the secret can be read in the row; both come back."""
    encryptor = bench.wiring.encryptor
    with bench.db.write() as tx:
        made, secret = subscribe(
            tx, encryptor, bench.account.id, SubscriptionSpec("webhook", TARGET), bench.clock()
        )
        row = store.subscriptions.find(tx, made.id)
    assert row is not None

    assert TARGET not in str(row)
    assert secret not in str(row)
    assert (TARGET, secret) == (encryptor.decrypt(row.target), encryptor.decrypt(row.secret))


def hidden(bench: Bench, account_id: str, spec: SubscriptionSpec) -> str:
    """The hidden subscription's id."""
    with bench.db.write() as tx:
        return get_or_create_internal(
            tx, bench.wiring.encryptor, account_id, spec, bench.clock()
        ).id


def test_one_hidden_row_for_each_target(bench: Bench) -> None:
    """The same target is the same row; another account's is another, with its own secret."""
    bob, _ = bench.new_account("bob")
    spec = SubscriptionSpec("webhook", TARGET)
    alices = [hidden(bench, bench.account.id, spec) for _ in range(3)]
    bobs = hidden(bench, bob.id, spec)
    with bench.db.read() as tx:
        rows = [store.subscriptions.find(tx, one) for one in (alices[0], bobs)]

    assert 1 == len(set(alices))
    assert bobs not in alices
    assert [bench.account.webhook_secret, bob.webhook_secret] == [r and r.secret for r in rows]


def test_hidden_row_under_threads(bench: Bench) -> None:
    """Eight requests that name a new target at once make one row."""
    found: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(hidden(bench, bench.account.id, SubscriptionSpec("webhook", TARGET)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (8, 1) == (len(found), len(set(found)))


def test_hidden_ones_are_not_listed(bench: Bench) -> None:
    """Nobody finds, lists or owns a hidden row by the ordinary ways; nor another account's."""
    bob, _ = bench.new_account("bob")
    one = hidden(bench, bench.account.id, SubscriptionSpec("webhook", TARGET))
    with bench.db.write() as tx:
        spec = SubscriptionSpec("webhook", TARGET)
        own, _ = subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())
        listed = store.subscriptions.all_of(tx, bench.account.id)
        owned = [
            store.subscriptions.owned(tx, account_id, subscription_id)
            for account_id, subscription_id in ((bench.account.id, one), (bob.id, own.id))
        ]

    assert [own.id] == [subscription.id for subscription in listed]
    assert [None, None] == owned

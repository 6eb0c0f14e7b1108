"""Standard Webhooks: the published vectors, and outside verifiers on what really arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from support.harness import Harness
from support.servers import Hook

from service.deliveries.secrets import rotate_secret
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.model import EventType, utc_now
from service.signing import webhook_fault, webhook_headers

Verifier = Callable[[str, bytes, dict[str, str]], Any]

#: From the specification's repository and the reference libraries' tests.
VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
VERIFIERS: dict[str, Verifier] = {
    "standardwebhooks": lambda secret, body, headers: standardwebhooks.Webhook(secret).verify(
        body, headers
    ),
    "svix": lambda secret, body, headers: svix.webhooks.Webhook(secret).verify(body, headers),
    "ours": lambda secret, body, headers: _ours([secret], body, headers),
}


def _ours(secrets: list[str], body: bytes, headers: dict[str, str]) -> None:
    """Our own verifier, raising as the others do."""
    fault = webhook_fault(secrets, headers, body, utc_now())
    if fault:
        raise ValueError(fault)


@pytest.mark.parametrize(("secret", "id_", "at", "body", "expected"), VECTORS)
def test_vectors(secret: str, id_: str, at: int, body: bytes, expected: str) -> None:
    """We sign as published, and believe what is published."""
    moment = datetime.fromtimestamp(at, UTC)
    headers = webhook_headers([secret], id_, moment, body)

    assert (expected, str(at)) == (headers["webhook-signature"], headers["webhook-timestamp"])
    assert webhook_fault([secret], headers, body, moment) is None
    assert webhook_fault([secret.rstrip("=")], headers, body, moment) is None


@pytest.mark.parametrize("place", [0, 1])
def test_signature_beside_others(place: int) -> None:
    """One true signature among foreign ones is enough, wherever it stands; v2 says nothing."""
    secret, id_, at, body, signature = VECTORS[0]
    foreign = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    given = [foreign, "v2,x"]
    given.insert(place, signature)
    headers = {"webhook-id": id_, "webhook-timestamp": str(at)}
    moment = datetime.fromtimestamp(at, UTC)

    assert None is webhook_fault(
        [secret], headers | {"webhook-signature": " ".join(given)}, body, moment
    )
    assert webhook_fault([secret], headers | {"webhook-signature": foreign}, body, moment)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "garbage"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,  "},
        {"webhook-signature": "v1,é\udc80"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "1614265330.0"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": " 1614265330"},
        {"webhook-timestamp": "١"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "1614265631"},
        {"webhook-timestamp": "1614265029"},
        {"webhook-id": "other"},
        {"webhook-id": "\udc80"},
        {"webhook-id": ""},
    ],
)
def test_hostile_headers(change: dict[str, str]) -> None:
    """Whatever a stranger sends is a sentence, never an error."""
    secret, id_, at, body, signature = VECTORS[0]
    good = {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": signature}
    moment = datetime.fromtimestamp(at, UTC)

    assert webhook_fault([secret], good | change, body, moment)
    assert webhook_fault([secret], good, body + b"\xff", moment)
    assert webhook_fault([secret], {}, body, moment)


@pytest.mark.parametrize(("skew", "expected"), [(299, True), (301, False)])
def test_tolerance(skew: int, expected: bool) -> None:
    """Five minutes either way."""
    secret, id_, at, body, signature = VECTORS[0]
    good = {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": signature}
    for sign in (-1, 1):
        moment = datetime.fromtimestamp(at, UTC) + timedelta(seconds=sign * skew)
        assert expected is (webhook_fault([secret], good, body, moment) is None)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A subscriber."""
    with Hook() as made:
        yield made


@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("format_", ["standard", "flat", "apixo"])
def test_outside_verifiers(harness: Harness, hook: Hook, name: str, format_: str) -> None:
    """What comes out of the socket is believed with either secret while one is rotated."""
    harness.clock.now = utc_now()
    with harness.db.write() as tx:
        spec, encryptor = (
            SubscriptionSpec("webhook", hook.url, format=format_),
            harness.wiring.encryptor,
        )
        subscription, old = subscribe(tx, encryptor, harness.account.id, spec, harness.clock())
        new = rotate_secret(tx, encryptor, subscription, harness.clock())
        record_sample(tx, harness.account.id, EventType.JOB_SUCCEEDED, harness.clock())
    harness.drain("deliver")
    (hit,) = hook.hits
    headers = {key.lower(): value for key, value in hit.headers.items()}

    for secret in (old, new):
        VERIFIERS[name](secret, hit.body, headers)
    with pytest.raises(Exception, match=r"ignature|match"):
        VERIFIERS[name](VECTORS[0][0], hit.body, headers)

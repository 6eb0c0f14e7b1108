"""What each answer of an endpoint leads to, over a real socket: the webhook channel's table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.harness import Harness
from support.raw_servers import Handler, Server, always, answer, drip, once, silent

from service import store
from service.channels.webhook import Webhook
from service.deliveries.attempts import attempt_delivery
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.model import Delivery, DeliveryState, EventType, Subscription

DELIVERED, PENDING, EXHAUSTED = (
    DeliveryState.DELIVERED,
    DeliveryState.PENDING,
    DeliveryState.EXHAUSTED,
)


@dataclass(frozen=True)
class Row:
    """
    What follows an answer: the delivery's state, whether the subscription is on.

    `wait` is the least time in seconds until anything is sent to it again, `slow`
    whether it is now in the slow lane.
    """

    handler: Handler
    state: DeliveryState = PENDING
    enabled: bool = True
    wait: float = 0.0
    slow: bool = False
    status: int | None = None


def says(status: str, *headers: str, **more: Any) -> Row:
    """A row for an endpoint that answers."""
    return Row(always(answer(b"x", status, *headers)), status=int(status[:3]), **more)


#: Longer than an attempt reads.
_LARGE = answer(b"x" * 200_000)
ROWS = {
    "200": says("200 OK", state=DELIVERED),
    "201": says("201 Created", state=DELIVERED),
    "202": says("202 Accepted", state=DELIVERED),
    "299": says("299 Fine", state=DELIVERED),
    "103, then 200": Row(
        always(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer()), DELIVERED, status=200
    ),
    "204": says("204 No Content", state=DELIVERED),
    "205": says("205 Reset Content", state=DELIVERED),
    "200 with a refusal in it": Row(always(answer(b'{"ok":false}')), DELIVERED, status=200),
    "200 with a large body": Row(always(_LARGE), DELIVERED, status=200),
    "301": says("301 Moved", "Location: /x"),
    "302": says("302 Found", "Location: /x"),
    "307": says("307 Temporary Redirect", "Location: /x"),
    "308": says("308 Permanent Redirect", "Location: /x"),
    "400": says("400 Bad Request"),
    "401": says("401 Unauthorized"),
    "403": says("403 Forbidden"),
    "404": says("404 Not Found"),
    "405": says("405 Method Not Allowed"),
    "408": says("408 Request Timeout"),
    "409": says("409 Conflict"),
    "410": says("410 Gone", state=EXHAUSTED, enabled=False),
    "413": says("413 Content Too Large"),
    "415": says("415 Unsupported Media Type"),
    "422": says("422 Unprocessable Content"),
    "429": says("429 Too Many Requests"),
    "429 and when": says("429 Too Many Requests", "Retry-After: 700", wait=700.0),
    "429 and a date": says(
        "429 Too Many Requests", "Retry-After: Thu, 01 Jan 2026 12:10:00 GMT", wait=600.0
    ),
    "429 and a fraction": says("429 Too Many Requests", "Retry-After: 30.5", wait=30.5),
    "429 and too long": says("429 Too Many Requests", "Retry-After: 9999999", wait=36_000.0),
    "429 and nonsense": says("429 Too Many Requests", "Retry-After: soon"),
    "500": says("500 Internal Server Error"),
    "500 and when": says("500 Internal Server Error", "Retry-After: 700"),
    "502": says("502 Bad Gateway"),
    "503": says("503 Service Unavailable"),
    "503 and when": says("503 Service Unavailable", "Retry-After: 700", wait=700.0),
    "504": says("504 Gateway Timeout"),
    "wants no more": says("200 OK", "webhook-delivery: disable", state=DELIVERED, enabled=False),
    "wants no more, in capitals": says(
        "204 No Content", "Webhook-Delivery:  DISABLE", state=DELIVERED, enabled=False
    ),
    "another order": says("200 OK", "webhook-delivery: dance", state=DELIVERED),
    "hangs": Row(silent, slow=True),
    "drips its head": Row(drip(b"HTTP/1.1 200 OK\r\nX: "), slow=True),
    "hangs up": Row(once(b"")),
    # It was taken before the rest of the answer was lost.
    "breaks off": Row(
        once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), DELIVERED, status=200
    ),
    "no HTTP": Row(once(b"SSH-2.0-OpenSSH\r\n\r\n")),
}


def attempted(harness: Harness, row: Row) -> tuple[Delivery, Subscription]:
    """One attempt at an endpoint that behaves so."""
    server = Server(row.handler)
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", server.url("/hook"))
        encryptor, now = harness.wiring.encryptor, harness.clock()
        subscription, _ = subscribe(tx, encryptor, harness.account.id, spec, now)
        record_sample(tx, harness.account.id, EventType.JOB_FAILED, now)
    quick = {"webhook": Webhook(harness.wiring.outbound, seconds=1.0)}
    assert attempt_delivery(
        harness.db, replace(harness.wiring.notifications, channels=quick), harness.clock
    )
    server.close()
    with harness.db.read() as tx:
        (delivery,) = store.deliveries.page(
            tx, harness.account.id, 2, subscription_id=subscription.id
        )
        found = store.subscriptions.find(tx, subscription.id)
        (attempt,) = store.deliveries.all_attempts(tx, [delivery.id])
    assert found is not None
    assert row.status == attempt.status
    assert (row.state is DELIVERED) is (attempt.error is None)
    return delivery, found


@pytest.mark.parametrize("name", ROWS)
def test_table(harness: Harness, name: str) -> None:
    """Each answer has its consequence, and no other."""
    row = ROWS[name]
    delivery, subscription = attempted(harness, row)
    held = subscription.held_until
    wait = (held - harness.clock()).total_seconds() if held else 0.0

    assert (row.state, row.enabled) == (delivery.state, subscription.enabled)
    assert (row.wait, row.slow) == (wait, subscription.slow_until is not None)
    if row.state is PENDING:
        assert delivery.due_at is not None
        assert (delivery.due_at - harness.clock()).total_seconds() >= max(row.wait, 4.0)

"""Test sends: a labelled sample, sent at once, shows whether a subscription works."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.channels.base import DeliveryRequest
from service.deliveries.custom_headers import decrypt_headers
from service.deliveries.notification import NotificationContext, build_notification
from service.deliveries.secrets import secrets_of
from service.errors import ClipbellError, DeliveryError, FieldError, InvalidInput
from service.events.samples import sample_event
from service.model import EventType, Subscription, new_id
from service.store.database import Database


@dataclass(frozen=True)
class TestRequest:
    """The destination of a sample and its signing secrets; `target` is not encrypted."""

    account_id: str
    subscription_id: str
    channel: str
    target: str
    format: str
    events: tuple[str, ...]
    secrets: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TestResult:
    """The result of a test; `error` is None if the sample was accepted."""

    status: int | None
    error: str | None
    response: str
    milliseconds: int


def test_request_for(
    context: NotificationContext, subscription: Subscription, now: datetime
) -> TestRequest:
    """The test request for a subscription, enabled or not."""
    return TestRequest(
        subscription.account_id,
        subscription.id,
        subscription.channel,
        context.encryptor.decrypt(subscription.target),
        subscription.format,
        tuple(subscription.events),
        secrets_of(context.encryptor, subscription, now),
        decrypt_headers(context.encryptor, subscription.headers),
    )


def send_test(
    db: Database, context: NotificationContext, test_request: TestRequest, now: datetime
) -> TestResult:
    """Send one sample, without a delivery row and without a retry."""
    began = time.monotonic()
    try:
        channel = context.channels[test_request.channel]
        delivery_result = channel.send(_sample_request(db, context, test_request, now))
    except KeyError:
        error = f"the channel {test_request.channel} is not set up on this server"
        return TestResult(None, error, "", 0)
    except DeliveryError as error:
        return TestResult(error.status, error.message, error.response, _since(began))
    except (ClipbellError, OSError) as error:
        return TestResult(None, f"the message could not be made: {error}", "", _since(began))
    return TestResult(delivery_result.status, None, delivery_result.response, _since(began))


def require_test(
    db: Database, context: NotificationContext, planned: Subscription, now: datetime
) -> TestResult:
    """Test a subscription before it is saved. Raises InvalidInput with the reason of a failure."""
    test_result = send_test(db, context, test_request_for(context, planned, now), now)
    if test_result.error is None:
        return test_result
    message = f"the test failed, so nothing was saved: {test_result.error}"
    if planned.channel == "webhook" and test_result.status in (401, 403):
        # The endpoint cannot know the secret, which is shown once the subscription is saved.
        message += "; if it checks signatures, save without a test, give it the secret, then test"
    raise InvalidInput([FieldError("/target", "test_failed", message)])


def _sample_request(
    db: Database, context: NotificationContext, test_request: TestRequest, now: datetime
) -> DeliveryRequest:
    channel = context.channels[test_request.channel]
    wanted = test_request.events or (EventType.JOB_SUCCEEDED,)
    known = [type_ for type_ in EventType if type_ in wanted]
    usual = EventType.JOB_SUCCEEDED
    event = sample_event(test_request.account_id, usual if usual in known else known[0], now)
    with db.read() as tx:
        notification = build_notification(
            tx, context, event, now, subscription_id=test_request.subscription_id
        )
    return DeliveryRequest(
        delivery_id=new_id("dlv", now),
        event_id=event.id,
        target=test_request.target,
        secrets=test_request.secrets,
        body=channel.render(notification, test_request.format),
        now=now,
        headers=test_request.headers,
    )


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)

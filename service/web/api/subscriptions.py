"""``/v1/subscriptions``: create, test, change, recover and delete subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from threading import BoundedSemaphore
from typing import Annotated, Any, NotRequired

from flask import Blueprint, Response, current_app, url_for
from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from service import store
from service.deliveries import endpoint_health
from service.deliveries.redelivery import Recovery, recover_subscription
from service.deliveries.secrets import check_secret, revoke_old_secret, rotate_secret
from service.deliveries.subscription_fields import (
    Events,
    HeaderFields,
    Models,
    Name,
    OwnSecret,
    Pairs,
)
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import (
    parse_changes,
    planned_subscription,
    shown_subscription,
)
from service.deliveries.test_sends import (
    TestRequest,
    TestResult,
    require_test,
    send_test,
    test_request_for,
)
from service.errors import Busy, FieldError, FieldErrors, InvalidInput
from service.messages.payloads import FormatName
from service.model import Subscription
from service.model.delivery_json import SubscriptionJson
from service.model.json_types import Cursor, about
from service.web.context import (
    caller,
    channels,
    get_or_404,
    json_body,
    json_response,
    needs,
    raw_body,
    wiring,
)
from service.web.pagination import cursor_of, encode_cursor, next_link
from service.web.query import moment, needed, switch

blueprint = Blueprint("subscriptions", __name__, url_prefix="/v1")


def shown(subscription: Subscription) -> SubscriptionJson:
    """A subscription as JSON, without its secret."""
    return shown_subscription(wiring().encryptor, subscription)


@with_config(extra="forbid")
class SubscriptionChange(TypedDict):
    """The fields to change."""

    enabled: NotRequired[Annotated[bool, about("Whether it is enabled.")]]
    target: NotRequired[Annotated[str, about("Where events are sent.", pattern=r"\S")]]
    events: NotRequired[Events]
    format: NotRequired[FormatName]
    models: NotRequired[Models]
    metadata: NotRequired[Pairs]
    name: NotRequired[Name]
    headers: NotRequired[
        Annotated[
            HeaderFields,
            about("All headers for the endpoint; `***` keeps the value of a stored one."),
        ]
    ]


@blueprint.post("/subscriptions")
@needs("admin", test=switch)
def create(test: bool) -> Response:
    """
    Create a subscription. Only this answer shows its secret.

    With `test=true` it is saved only if its target accepts a sample.
    """
    w = wiring()
    made, secret = wished(json_body(), tested=test)
    with w.db.write() as tx:
        store.subscriptions.insert(tx, made)
    location = {"Location": url_for(".get", subscription_id=made.id)}
    return json_response({**shown(made), "secret": secret}, 201, location)


def wished(given: Any, *, tested: bool) -> tuple[Subscription, str]:
    """
    The requested subscription, not saved yet, and its secret.

    Raises:
        InvalidInput: all faults of the request, or a failed test.
        Busy: too many tests are in progress.
    """
    spec, w = parse_subscription(channels(), given, ""), wiring()
    planned, secret = planned_subscription(w.encryptor, caller().account_id, spec, w.clock())
    if tested:
        with reserve_test_slot():
            require_test(w.db, w.notifications, planned, w.clock())
    return planned, secret


@blueprint.get("/subscriptions")
@needs("read")
def list_all() -> Response:
    """The account's subscriptions, oldest first."""
    with wiring().db.read() as tx:
        found = store.subscriptions.all_of(tx, caller().account_id)
    return json_response({"data": [shown(s) for s in found], "next_cursor": None})


@blueprint.get("/subscriptions/<subscription_id>")
@needs("read")
def get(subscription_id: str) -> Response:
    """One subscription."""
    with wiring().db.read() as tx:
        return json_response(shown(get_or_404(tx, Subscription, subscription_id)))


@blueprint.patch("/subscriptions/<subscription_id>")
@needs("admin")
def change(subscription_id: str) -> Response:
    """Change the given fields of a subscription, or enable or disable it."""
    w = wiring()
    body = json_body()
    with w.db.read() as tx:
        before = get_or_404(tx, Subscription, subscription_id)
    changes = parse_changes(channels(), w.encryptor, before, body)
    with w.db.write() as tx:
        get_or_404(tx, Subscription, subscription_id)
        store.subscriptions.change(tx, subscription_id, **changes)
        return json_response(shown(get_or_404(tx, Subscription, subscription_id)))


@blueprint.delete("/subscriptions/<subscription_id>")
@needs("admin")
def delete(subscription_id: str) -> Response:
    """Delete a subscription, with its pending deliveries."""
    w = wiring()
    with w.db.write() as tx:
        endpoint_health.remove(tx, get_or_404(tx, Subscription, subscription_id).id, w.clock())
    return Response(status=204)


class TestResultJson(TypedDict):
    """The result of a test."""

    delivered: Annotated[bool, about("Whether the sample was accepted.", True)]
    status: Annotated[int | None, about("The HTTP status of the endpoint.", 200)]
    error: Annotated[str | None, about("The reason why it was not accepted.", None)]
    response: Annotated[str, about("The first bytes of the answer.", "ok")]
    milliseconds: Annotated[int, about("Its duration, in milliseconds.", 84)]


@blueprint.post("/subscriptions/<subscription_id>/test")
@needs("submit")
def test(subscription_id: str) -> Response:
    """
    Send a labelled sample now and return the result.

    The result has no effect on the subscription's health.
    """
    w = wiring()
    with w.db.read() as tx:
        subscription = get_or_404(tx, Subscription, subscription_id)
    test_result = tried(test_request_for(w.notifications, subscription, w.clock()))
    return json_response({"delivered": test_result.error is None, **asdict(test_result)})


def tried(test_request: TestRequest) -> TestResult:
    """Run a test. Raises Busy."""
    w = wiring()
    with reserve_test_slot():
        return send_test(w.db, w.notifications, test_request, w.clock())


@contextmanager
def reserve_test_slot(doing: str = "tests are being sent") -> Iterator[None]:
    """Hold one of the process's slots for tests. Raises Busy if none is free."""
    slots: BoundedSemaphore = current_app.extensions["test_sends"]
    if not slots.acquire(blocking=False):
        raise Busy(f"other {doing}: try again soon", retry_after=5)
    try:
        yield
    finally:
        slots.release()


class RecoveredJson(TypedDict):
    """The number of deliveries to send."""

    recovered: Annotated[int, about("The number of deliveries that are sent, or would be sent.", 3)]
    dry_run: Annotated[bool, about("Whether the deliveries were only counted.", False)]
    next_cursor: Cursor


SINCE = needed(moment, "say since when, such as 2026-01-01T00:00:00Z")


@blueprint.post("/subscriptions/<subscription_id>/recover")
@needs("submit", since=SINCE, missing=switch, dry_run=switch, cursor=cursor_of("evt"))
def recover(
    subscription_id: str, since: datetime, missing: bool, dry_run: bool, cursor: str | None
) -> Response:
    """
    Send the failed deliveries since a time again, page by page.

    `missing=true` adds events that were never sent to the subscription, such as those from
    before its creation. `dry_run=true` only counts them. `next_cursor` in the answer leads to
    the next page.
    """
    w, wanted = wiring(), Recovery(since, missing, dry_run)
    with w.db.write() as tx:
        subscription = get_or_404(tx, Subscription, subscription_id)
        done = recover_subscription(tx, subscription, wanted, w.clock(), cursor)
    following = encode_cursor(done.next_event) if done.next_event else None
    body: RecoveredJson = {
        "recovered": done.count,
        "dry_run": dry_run,
        "next_cursor": following,
    }
    return json_response(body, 202, next_link(following))


@with_config(extra="forbid")
class Rotation(TypedDict):
    """How to replace a secret."""

    revoke: NotRequired[Annotated[bool, about("Whether the old secret ends now.", False)]]
    secret: NotRequired[OwnSecret]


_ROTATION = TypeAdapter(Rotation)


@blueprint.post("/subscriptions/<subscription_id>/rotate-secret")
@needs("admin")
def rotate(subscription_id: str) -> Response:
    """
    Replace the secret. The old one signs too for a day.

    With ``{"revoke": true}`` the old one ends now.
    """
    w = wiring()
    revoke, own = rotation_of(json_body() if raw_body() else {})
    with w.db.write() as tx:
        change_ = revoke_old_secret if revoke else rotate_secret
        before = get_or_404(tx, Subscription, subscription_id)
        secret = change_(tx, w.encryptor, before, w.clock(), own)
        changed = get_or_404(tx, Subscription, subscription_id)
    return json_response({**shown(changed), "secret": secret})


def rotation_of(body: Any) -> tuple[bool, str | None]:
    """Whether the old secret ends now, and the caller's new one or None. Raises InvalidInput."""
    try:
        found = _ROTATION.validate_python(body, strict=True)
    except ValidationError:
        message = 'takes only "revoke", true or false, and "secret", whsec_…'
        raise InvalidInput([FieldError("/revoke", "wrong_type", message)]) from None
    errors = FieldErrors()
    secret = check_secret(found.get("secret"), errors)
    errors.raise_any()
    return found.get("revoke", False), secret

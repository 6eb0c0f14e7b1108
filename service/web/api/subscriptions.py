"""``/v1/subscriptions``: made, tried, changed, recovered, ended."""

from __future__ import annotations

from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, current_app, url_for

from service import store
from service.deliveries import endpoint_health
from service.deliveries.redelivery import recover_subscription
from service.deliveries.subscriptions import (
    SubscriptionSpec,
    parse_subscription,
    revoke_old_secret,
    rotate_secret,
    subscribe,
    target_of,
)
from service.deliveries.test_sends import (
    TestRequest,
    TestResult,
    require_success,
    send_test,
    test_request_for,
    test_request_for_spec,
)
from service.errors import Busy, FieldError, InvalidInput
from service.model import Subscription
from service.model.serializers import subscription_json
from service.signing import digest, new_webhook_secret
from service.web.context import (
    bool_arg,
    caller,
    channels,
    datetime_arg,
    get_or_404,
    json_body,
    json_response,
    needs,
    raw_body,
    wiring,
)
from service.web.pagination import cursor, encode_cursor, next_link

blueprint = Blueprint("subscriptions", __name__, url_prefix="/v1")


def shown(subscription: Subscription) -> dict[str, Any]:
    """A subscription as JSON, without its secret."""
    return subscription_json(subscription, target_of(wiring().encryptor, subscription))


@blueprint.post("/subscriptions")
@needs("admin", "test")
def create() -> Response:
    """
    A new subscription; its secret is shown this once.

    With `test=true` it is saved only if a sample is taken.
    """
    w = wiring()
    tested = bool_arg("test")
    spec, secret = wished(json_body(), tested=tested)
    with w.db.write() as tx:
        made, _ = subscribe(tx, w.encryptor, caller().account_id, spec, w.clock(), secret=secret)
    location = {"Location": url_for(".get", subscription_id=made.id)}
    return json_response({**shown(made), "secret": secret}, 201, location)


def wished(given: Any, *, tested: bool) -> tuple[SubscriptionSpec, str]:
    """
    A wish and the secret that its subscription will have.

    Raises:
        InvalidInput: every fault of it, or that the test of it failed.
        Busy: no test can be made now.
    """
    spec, secret = parse_subscription(channels(), given, ""), new_webhook_secret()
    if tested:
        test_request = test_request_for_spec(caller().account_id, spec, secret)
        require_success(test_request, tried(test_request))
    return spec, secret


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
    """Enable or disable it, or give it other events, format or target."""
    w = wiring()
    body = json_body()
    with w.db.read() as tx:
        before = get_or_404(tx, Subscription, subscription_id)
    enabled = body.get("enabled") if isinstance(body, dict) else None
    changes = _changes(body, before)
    with w.db.write() as tx:
        get_or_404(tx, Subscription, subscription_id)
        if enabled:
            store.subscriptions.enable(tx, subscription_id)
        store.subscriptions.change(tx, subscription_id, **changes)
        return json_response(shown(get_or_404(tx, Subscription, subscription_id)))


def _changes(body: Any, before: Subscription) -> dict[str, Any]:
    """The columns to write: only what was given, checked as for a new subscription."""
    if not isinstance(body, dict):
        raise InvalidInput([FieldError("", "wrong_type", "the body must be a JSON object")])
    enabled = body.pop("enabled", None)
    if enabled is not None and not isinstance(enabled, bool):
        raise InvalidInput([FieldError("/enabled", "wrong_type", "must be true or false")])
    if body.pop("channel", before.channel) != before.channel:
        message = "cannot be changed: make a new subscription"
        raise InvalidInput([FieldError("/channel", "not_allowed", message)])
    changes = _wished(body, before) if body else {}
    return changes | ({"enabled": False} if enabled is False else {})


def _wished(body: dict[str, Any], before: Subscription) -> dict[str, Any]:
    encryptor = wiring().encryptor
    kept: dict[str, Any] = {"channel": before.channel, "target": encryptor.decrypt(before.target)}
    kept |= {"events": before.events, "format": before.format}
    kept |= {"models": before.models, "metadata": before.metadata}
    spec = parse_subscription(channels(), kept | body, "")
    changes: dict[str, Any] = {"events": list(spec.events), "format": spec.format}
    changes |= {"models": list(spec.models), "metadata": spec.metadata}
    if "target" in body:
        changes |= {"target": encryptor.encrypt(spec.target), "target_digest": digest(spec.target)}
    return changes


@blueprint.delete("/subscriptions/<subscription_id>")
@needs("admin")
def delete(subscription_id: str) -> Response:
    """End it; what is pending for it ends too."""
    w = wiring()
    with w.db.write() as tx:
        endpoint_health.remove(tx, get_or_404(tx, Subscription, subscription_id).id, w.clock())
    return Response(status=204)


@blueprint.post("/subscriptions/<subscription_id>/test")
@needs("submit")
def test(subscription_id: str) -> Response:
    """
    A labelled sample, sent at once; how it went.

    It counts for nothing.
    """
    w = wiring()
    with w.db.read() as tx:
        subscription = get_or_404(tx, Subscription, subscription_id)
    test_result = tried(test_request_for(w.notifications, subscription, w.clock()))
    return json_response({"delivered": test_result.error is None, **asdict(test_result)})


def tried(test_request: TestRequest) -> TestResult:
    """The verdict. Raises Busy while as many are being made as this process allows."""
    w = wiring()
    seats: BoundedSemaphore = current_app.extensions["test_sends"]
    if not seats.acquire(blocking=False):
        raise Busy("other tests are being sent: try again soon", retry_after=5)
    try:
        return send_test(w.db, w.notifications, test_request, w.clock())
    finally:
        seats.release()


@blueprint.post("/subscriptions/<subscription_id>/recover")
@needs("submit", "since", "cursor")
def recover(subscription_id: str) -> Response:
    """
    Deliver what it has missed since then, a page of the past at a time.

    The answer's `next_cursor` leads on to the next page.
    """
    w = wiring()
    since = datetime_arg("since")
    if since is None:
        message = "say since when, such as 2026-01-01T00:00:00Z"
        raise InvalidInput([FieldError("?since", "required", message)])
    with w.db.write() as tx:
        subscription = get_or_404(tx, Subscription, subscription_id)
        done = recover_subscription(tx, subscription, since, w.clock(), cursor())
    following = encode_cursor(done.next_event) if done.next_event else None
    body = {"recovered": done.count, "next_cursor": following}
    return json_response(body, 202, next_link(following))


@blueprint.post("/subscriptions/<subscription_id>/rotate-secret")
@needs("admin")
def rotate(subscription_id: str) -> Response:
    """
    A new secret, while the old one signs too for a day.

    With ``{"revoke": true}`` the old one signs nothing from now on.
    """
    w = wiring()
    revoke = _revoke(json_body() if raw_body() else {})
    with w.db.write() as tx:
        change_ = revoke_old_secret if revoke else rotate_secret
        secret = change_(tx, w.encryptor, get_or_404(tx, Subscription, subscription_id), w.clock())
        changed = get_or_404(tx, Subscription, subscription_id)
    return json_response({**shown(changed), "secret": secret})


def _revoke(body: Any) -> bool:
    known = isinstance(body, dict) and set(body) <= {"revoke"}
    if not known or not isinstance(body.get("revoke", False), bool):
        message = 'takes only {"revoke": true} or {"revoke": false}'
        raise InvalidInput([FieldError("/revoke", "wrong_type", message)])
    return bool(body.get("revoke"))

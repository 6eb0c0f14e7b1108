"""``/v1/subscriptions``: made, tried, changed, recovered, ended."""

from __future__ import annotations

from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, current_app
from sqlalchemy import Connection

from service import endpoints, store
from service.errors import Busy, Fault, InvalidInput, NotFound
from service.model import Subscription
from service.resends import recover_subscription
from service.shapes import subscription_json
from service.signing import digest, new_webhook_secret
from service.subscribing import (
    Wish,
    check_wish,
    revoke_old_secret,
    rotate_secret,
    subscribe,
    target_of,
)
from service.trials import Trial, Verdict, insist, make_trial, trial_of, trial_of_wish
from service.web.context import (
    as_cursor,
    caller,
    channels,
    cursor,
    flag,
    json_body,
    json_response,
    moment,
    needs,
    next_link,
    raw_body,
    wiring,
)

blueprint = Blueprint("subscriptions", __name__, url_prefix="/v1")


def shown(subscription: Subscription) -> dict[str, Any]:
    """A subscription as JSON, without its secret."""
    return subscription_json(subscription, target_of(wiring().sealer, subscription))


def owned(tx: Connection, subscription_id: str) -> Subscription:
    """The caller's subscription of that id. Raises NotFound."""
    found = store.subscriptions.owned(tx, caller().account_id, subscription_id)
    if found is None:
        raise NotFound(f"you have no subscription {subscription_id[:80]}")
    return found


@blueprint.post("/subscriptions")
@needs("admin", "test")
def create() -> Response:
    """
    A new subscription; its secret is shown this once.

    With `test=true` it is saved only if a sample is taken.
    """
    w = wiring()
    tested = flag("test")
    wish, secret = wished(json_body(), tested=tested)
    with w.db.write() as tx:
        made, _ = subscribe(tx, w.sealer, caller().account_id, wish, w.clock(), secret=secret)
    location = {"Location": f"/v1/subscriptions/{made.id}"}
    return json_response({**shown(made), "secret": secret}, 201, location)


def wished(given: Any, *, tested: bool) -> tuple[Wish, str]:
    """
    A wish and the secret that its subscription will have.

    Raises:
        InvalidInput: every fault of it, or that the test of it failed.
        Busy: no test can be made now.
    """
    wish, secret = check_wish(channels(), given, ""), new_webhook_secret()
    if tested:
        trial = trial_of_wish(caller().account_id, wish, secret)
        insist(trial, tried(trial))
    return wish, secret


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
        return json_response(shown(owned(tx, subscription_id)))


@blueprint.patch("/subscriptions/<subscription_id>")
@needs("admin")
def change(subscription_id: str) -> Response:
    """Enable or disable it, or give it other events, format or target."""
    w = wiring()
    body = json_body()
    with w.db.read() as tx:
        before = owned(tx, subscription_id)
    enabled = body.get("enabled") if isinstance(body, dict) else None
    changes = _changes(body, before)
    with w.db.write() as tx:
        owned(tx, subscription_id)
        if enabled:
            store.subscriptions.enable(tx, subscription_id)
        store.subscriptions.change(tx, subscription_id, **changes)
        return json_response(shown(owned(tx, subscription_id)))


def _changes(body: Any, before: Subscription) -> dict[str, Any]:
    """The columns to write: only what was given, checked as for a new subscription."""
    if not isinstance(body, dict):
        raise InvalidInput([Fault("", "wrong_type", "the body must be a JSON object")])
    enabled = body.pop("enabled", None)
    if enabled is not None and not isinstance(enabled, bool):
        raise InvalidInput([Fault("/enabled", "wrong_type", "must be true or false")])
    if body.pop("channel", before.channel) != before.channel:
        message = "cannot be changed: make a new subscription"
        raise InvalidInput([Fault("/channel", "not_allowed", message)])
    changes = _wished(body, before) if body else {}
    return changes | ({"enabled": False} if enabled is False else {})


def _wished(body: dict[str, Any], before: Subscription) -> dict[str, Any]:
    sealer = wiring().sealer
    kept: dict[str, Any] = {"channel": before.channel, "target": sealer.open(before.target)}
    kept |= {"events": before.events, "format": before.format}
    kept |= {"models": before.models, "metadata": before.metadata}
    wish = check_wish(channels(), kept | body, "")
    changes: dict[str, Any] = {"events": list(wish.events), "format": wish.format}
    changes |= {"models": list(wish.models), "metadata": wish.metadata}
    if "target" in body:
        changes |= {"target": sealer.seal(wish.target), "target_digest": digest(wish.target)}
    return changes


@blueprint.delete("/subscriptions/<subscription_id>")
@needs("admin")
def delete(subscription_id: str) -> Response:
    """End it; what is pending for it ends too."""
    w = wiring()
    with w.db.write() as tx:
        endpoints.remove(tx, owned(tx, subscription_id).id, w.clock())
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
        subscription = owned(tx, subscription_id)
    verdict = tried(trial_of(w.post, subscription, w.clock()))
    return json_response({"delivered": verdict.error is None, **asdict(verdict)})


def tried(trial: Trial) -> Verdict:
    """The verdict. Raises Busy while as many are being made as this process allows."""
    w = wiring()
    seats: BoundedSemaphore = current_app.extensions["trials"]
    if not seats.acquire(blocking=False):
        raise Busy("other tests are being sent: try again soon", retry_after=5)
    try:
        return make_trial(w.db, w.post, trial, w.clock())
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
    since = moment("since")
    if since is None:
        message = "say since when, such as 2026-01-01T00:00:00Z"
        raise InvalidInput([Fault("?since", "required", message)])
    with w.db.write() as tx:
        subscription = owned(tx, subscription_id)
        done = recover_subscription(tx, subscription, since, w.clock(), cursor())
    following = as_cursor(done.next_event) if done.next_event else None
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
        secret = change_(tx, w.sealer, owned(tx, subscription_id), w.clock())
        return json_response({**shown(owned(tx, subscription_id)), "secret": secret})


def _revoke(body: Any) -> bool:
    known = isinstance(body, dict) and set(body) <= {"revoke"}
    if not known or not isinstance(body.get("revoke", False), bool):
        message = 'takes only {"revoke": true} or {"revoke": false}'
        raise InvalidInput([Fault("/revoke", "wrong_type", message)])
    return bool(body.get("revoke"))

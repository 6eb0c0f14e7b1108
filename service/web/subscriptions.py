"""``/v1/subscriptions`` and ``/v1/hooks``, the REST-hook face of the same rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import Connection

from service import store
from service.errors import Fault, InvalidInput, NotFound
from service.messages import iso
from service.model import DEFAULT_EVENTS, Subscription
from service.signing import digest
from service.subscribing import Wish, check_wish, subscribe
from service.web.context import caller, json_body, json_response, needs, query, wiring

blueprint = Blueprint("subscriptions", __name__, url_prefix="/v1")

#: The names that Zapier, Make and n8n send the target under.
TARGET_NAMES = ("target_url", "targetUrl", "hookUrl", "url")


def shown(subscription: Subscription) -> dict[str, Any]:
    """A subscription as JSON, without its secret."""
    return {
        "id": subscription.id,
        "channel": subscription.channel,
        "target": wiring().sealer.open(subscription.target),
        "events": subscription.events or [event.value for event in DEFAULT_EVENTS],
        "format": subscription.format,
        "enabled": subscription.enabled,
        "disabled_reason": subscription.disabled_reason,
        "held_until": iso(subscription.held_until),
        "created_at": iso(subscription.created_at),
    }


def owned(tx: Connection, subscription_id: str) -> Subscription:
    """The caller's subscription of that id. Raises NotFound."""
    found = store.subscriptions.owned(tx, caller().account_id, subscription_id)
    if found is None:
        raise NotFound(f"you have no subscription {subscription_id[:80]}")
    return found


@blueprint.post("/subscriptions")
@needs("admin")
def create() -> Response:
    """A new subscription; its secret is shown this once."""
    w = wiring()
    wish = check_wish(w.channels, json_body(), "")
    with w.db.write() as tx:
        made, secret = subscribe(tx, w.sealer, caller().account_id, wish, w.clock())
    location = {"Location": f"/v1/subscriptions/{made.id}"}
    return json_response({**shown(made), "secret": secret}, 201, location)


@blueprint.get("/subscriptions")
@needs("read")
def list_all() -> Response:
    """The account's subscriptions, oldest first."""
    query()
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
    changes = _changes(body, before)
    with w.db.write() as tx:
        owned(tx, subscription_id)
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
    if enabled is not None:
        changes["enabled"] = enabled
    return changes | ({"disabled_reason": None, "held_until": None} if enabled else {})


def _wished(body: dict[str, Any], before: Subscription) -> dict[str, Any]:
    sealer = wiring().sealer
    kept: dict[str, Any] = {"channel": before.channel, "target": sealer.open(before.target)}
    kept |= {"events": before.events, "format": before.format}
    wish = check_wish(wiring().channels, kept | body, "")
    changes: dict[str, Any] = {"events": list(wish.events), "format": wish.format}
    if "target" in body:
        changes |= {"target": sealer.seal(wish.target), "target_digest": digest(wish.target)}
    return changes


@blueprint.delete("/subscriptions/<subscription_id>")
@needs("admin")
def delete(subscription_id: str) -> Response:
    """End it; what is pending for it ends too."""
    with wiring().db.write() as tx:
        _remove(tx, owned(tx, subscription_id))
    return Response(status=204)


def _remove(tx: Connection, subscription: Subscription) -> None:
    """Its deliveries keep their log, so the row stays, hidden and off."""
    changes = {"enabled": False, "hidden": True, "disabled_reason": "removed"}
    store.subscriptions.change(tx, subscription.id, events=["removed"], **changes)
    store.deliveries.end_pending(tx, wiring().clock(), subscription_id=subscription.id)


@blueprint.post("/hooks")
@needs("admin")
def subscribe_hook() -> Response:
    """A REST hook; the same target and event again is the same hook, switched on."""
    w = wiring()
    wish = _hook_wish(json_body())
    with w.db.write() as tx:
        store.accounts.lock(tx, caller().account_id)
        same = _same_hook(tx, wish)
        if same:
            store.subscriptions.enable(tx, same.id)
            store.subscriptions.change(tx, same.id, format=wish.format)
            return json_response(_hook(owned(tx, same.id)), 200)
        made, secret = subscribe(tx, w.sealer, caller().account_id, wish, w.clock())
    location = {"Location": f"/v1/hooks/{made.id}"}
    return json_response({**_hook(made), "secret": secret}, 201, location)


def _hook_wish(body: Any) -> Wish:
    if not isinstance(body, dict):
        raise InvalidInput([Fault("", "wrong_type", "the body must be a JSON object")])
    named = next((name for name in TARGET_NAMES if body.get(name)), None)
    if named is None:
        message = f"give the address of the hook as one of {', '.join(TARGET_NAMES)}"
        raise InvalidInput([Fault("/target_url", "required", message)])
    given = body.get("event") or body.get("events")
    events = [given] if isinstance(given, str) else given
    wish = {"channel": "webhook", "target": body[named], "events": events}
    wish["format"] = body.get("format") or "flat"
    try:
        return check_wish(wiring().channels, wish, "")
    except InvalidInput as error:
        one = "/event" if body.get("event") else "/events"
        sent = {"/target": f"/{named}", "/events": one, "/events/0": one}
        faults = [replace(f, pointer=sent.get(f.pointer, f.pointer)) for f in error.faults]
        raise InvalidInput(faults) from error


def _same_hook(tx: Connection, wish: Wish) -> Subscription | None:
    account, target = caller().account_id, digest(wish.target)
    same = store.subscriptions.same(tx, account, "webhook", target, hidden=False)
    return next((s for s in same if tuple(s.events) == wish.events), None)


def _hook(subscription: Subscription) -> dict[str, Any]:
    target = wiring().sealer.open(subscription.target)
    return {
        "id": subscription.id,
        "target_url": target,
        "event": subscription.events[0] if len(subscription.events) == 1 else None,
        "events": subscription.events or [event.value for event in DEFAULT_EVENTS],
        "format": subscription.format,
        "enabled": subscription.enabled,
        "created_at": iso(subscription.created_at),
        "expiration_date": None,
    }


@blueprint.get("/hooks/<subscription_id>")
@needs("read")
def get_hook(subscription_id: str) -> Response:
    """One hook, for clients that look whether theirs still exists."""
    with wiring().db.read() as tx:
        return json_response(_hook(owned(tx, subscription_id)))


@blueprint.delete("/hooks/<subscription_id>")
@needs("admin")
def unsubscribe_hook(subscription_id: str) -> Response:
    """End a hook; 204 also when it is gone already."""
    with wiring().db.write() as tx:
        found = store.subscriptions.owned(tx, caller().account_id, subscription_id)
        if found:
            _remove(tx, found)
    return Response(status=204)

"""``/v1/hooks``: subscriptions as REST hooks, for Zapier, Make and n8n."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, NotRequired

from flask import Blueprint, Response, url_for
from typing_extensions import TypedDict

from service import store
from service.deliveries import endpoint_health
from service.deliveries.subscription_fields import Models, Pairs
from service.deliveries.subscription_spec import BLANK, SubscriptionSpec, parse_subscription
from service.deliveries.subscriptions import get_or_create_hook, target_of
from service.errors import FieldError, InvalidInput
from service.formatting import iso
from service.messages.payloads import FormatName
from service.model import EventType, Subscription
from service.model.delivery_json import events_of
from service.model.json_types import HookUrl, Moment, Secret, SubscriptionId, about
from service.web.context import (
    caller,
    channels,
    get_or_404,
    json_body,
    json_response,
    needs,
    wiring,
)

blueprint = Blueprint("hooks", __name__, url_prefix="/v1/hooks")

#: The names under which Zapier, Make and n8n send the target.
TARGET_NAMES = ("target_url", "targetUrl", "hookUrl", "url")


class NewHook(TypedDict):
    """A request for a REST hook; unknown fields are ignored."""

    target_url: Annotated[
        HookUrl,
        about("Where events are sent; also accepted as `targetUrl`, `hookUrl` or `url`."),
    ]
    event: NotRequired[
        Annotated[EventType | list[EventType], about("One event, or a list of events.")]
    ]
    events: NotRequired[
        Annotated[list[EventType], about("The same as `event`; used if there is no `event`.")]
    ]
    format: NotRequired[Annotated[FormatName, about("The format of the body. Default: flat.")]]
    models: NotRequired[Models]
    metadata: NotRequired[Pairs]


@blueprint.post("")
@needs("admin")
def subscribe_hook() -> Response:
    """Create a REST hook. The same target and event again enable the existing hook."""
    w = wiring()
    spec = parse_hook(json_body())
    with w.db.write() as tx:
        hook, secret = get_or_create_hook(tx, w.encryptor, caller().account_id, spec, w.clock())
    if secret is None:
        return json_response(_hook(hook))
    location = {"Location": url_for(".get_hook", subscription_id=hook.id)}
    return json_response({**_hook(hook), "secret": secret}, 201, location)


def parse_hook(body: Any) -> SubscriptionSpec:
    """Parse a hook with any of the platforms' field names. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput([FieldError("", "wrong_type", "the body must be a JSON object")])
    named, target = _first(body, *TARGET_NAMES)
    if target is None:
        message = f"give the address of the hook as one of {', '.join(TARGET_NAMES)}"
        raise InvalidInput([FieldError("/target_url", "required", message)])
    one, given = _first(body, "event", "events")
    events = [given] if isinstance(given, str) else given
    spec = {"channel": "webhook", "target": target, "events": events}
    format_ = _first(body, "format")[1]
    spec["format"] = "flat" if format_ is None else format_
    spec |= {name: body[name] for name in ("models", "metadata") if name in body}
    try:
        return parse_subscription(channels(), spec, "")
    except InvalidInput as error:
        sent = {"/target": f"/{named}", "/events": f"/{one}", "/events/0": f"/{one}"}
        faults = [replace(f, pointer=sent.get(f.pointer, f.pointer)) for f in error.faults]
        raise InvalidInput(faults) from error


def _first(body: dict[str, Any], *names: str) -> tuple[str, Any]:
    """The first of these names that is given, with its value; the value is None if none is."""
    given = [name for name in names if body.get(name) not in BLANK]
    return (given[0], body[given[0]]) if given else (names[-1], None)


class HookJson(TypedDict):
    """A subscription as a REST hook."""

    id: Annotated[SubscriptionId, about("The hook's id.")]
    target_url: Annotated[
        str, about("Where events are sent.", "https://hooks.zapier.com/hooks/standard/1/2/")
    ]
    event: Annotated[EventType | None, about("Its event, if it has only one.", "job.succeeded")]
    events: Annotated[list[EventType], about("Its events.", ["job.succeeded"])]
    format: Annotated[str, about("The format of the body.", "flat")]
    models: Annotated[list[str], about("Only jobs of these models; empty: all jobs.", [])]
    metadata: Annotated[dict[str, Any], about("Only jobs with these pairs.", {})]
    enabled: Annotated[bool, about("Whether it is enabled.", True)]
    created_at: Annotated[Moment, about("The time of its creation.")]
    expiration_date: Annotated[None, about("Always null: hooks don't expire.")]
    secret: NotRequired[
        Annotated[Secret, about("Verifies our signatures; only in the answer that creates it.")]
    ]


def _hook(subscription: Subscription) -> HookJson:
    events = events_of(subscription)
    return {
        "id": subscription.id,
        "target_url": target_of(wiring().encryptor, subscription),
        "event": events[0] if len(events) == 1 else None,
        "events": events,
        "format": subscription.format,
        "models": subscription.models,
        "metadata": subscription.metadata,
        "enabled": subscription.enabled,
        "created_at": iso(subscription.created_at),
        "expiration_date": None,
    }


@blueprint.get("/<subscription_id>")
@needs("read")
def get_hook(subscription_id: str) -> Response:
    """One hook, for clients that check whether theirs still exists."""
    with wiring().db.read() as tx:
        return json_response(_hook(get_or_404(tx, Subscription, subscription_id)))


@blueprint.delete("/<subscription_id>")
@needs("admin")
def unsubscribe_hook(subscription_id: str) -> Response:
    """Delete a hook. The answer is 204 also if it does not exist any more."""
    w = wiring()
    with w.db.write() as tx:
        found = store.subscriptions.owned(tx, caller().account_id, subscription_id)
        if found:
            endpoint_health.remove(tx, found.id, w.clock())
    return Response(status=204)

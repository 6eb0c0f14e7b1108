"""
OpenAI's webhook endpoints, served by us: ``/v1/webhook_endpoints``.

An endpoint is a subscription with the format ``openai`` and the same id; the
dashboard shows it, too. Its events are success and failure of a video.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response

from service import store
from service.deliveries import endpoint_health
from service.deliveries.secrets import revoke_old_secret, rotate_secret
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import parse_changes, subscribe
from service.deliveries.test_sends import test_request_for
from service.errors import InvalidInput, NotFound, got
from service.messages.payloads import OPENAI_TYPES
from service.model import EventType, Subscription
from service.signing import new_webhook_secret
from service.web.api.subscriptions import tried
from service.web.compat.base import CompatError
from service.web.compat.openai import after_arg, in_openai_words
from service.web.compat.openai_endpoint import (
    EVENT_TYPES,
    DeletedEndpointJson,
    EndpointChangeJson,
    EndpointRotationJson,
    EndpointsJson,
    EndpointTestJson,
    EventTypesJson,
    NewEndpointJson,
    TestedEndpointJson,
    shown_endpoint,
    with_secret,
)
from service.web.context import (
    authenticate,
    caller,
    channels,
    get_or_404,
    json_body,
    json_response,
    raw_body,
    wiring,
)
from service.web.pagination import page_rows
from service.web.query import read_argument

blueprint = Blueprint("webhook_endpoints", __name__, url_prefix="/v1")
blueprint.register_error_handler(Exception, in_openai_words)

ENDPOINTS_PAGE = 20
#: Our names of their fields.
_OURS = {"event_types": "events", "url": "target", "name": "name"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


@blueprint.get("/webhook_event_types")
def list_event_types() -> Response:
    """The types of events that an endpoint can get."""
    authenticate("read")
    body: EventTypesJson = {"object": "list", "data": list(EVENT_TYPES)}
    return json_response(body)


@blueprint.post("/webhook_endpoints")
def create_endpoint() -> Response:
    """Create a webhook endpoint. Only this answer shows its secret."""
    authenticate("admin")
    w, fields = wiring(), _fields(NewEndpointJson)
    for name in NewEndpointJson.__annotations__:
        if not fields.get(_OURS[name]):
            raise InvalidInput.at(f"/{name}", "required", "an endpoint needs one")
    try:
        asked = {"channel": "webhook", "format": "openai"} | fields
        spec = parse_subscription(channels(), asked, "")
    except InvalidInput as error:
        raise _in_their_words(error) from error
    with w.db.write() as tx:
        made, secret = subscribe(tx, w.encryptor, caller().account_id, spec, w.clock())
    return json_response(with_secret(made, secret))


@blueprint.get("/webhook_endpoints")
def list_endpoints() -> Response:
    """The account's webhook endpoints, newest first."""
    authenticate("read")
    limit, after = read_argument("limit", page_rows(ENDPOINTS_PAGE)), after_arg("sub")
    with wiring().db.read() as tx:
        found = [s for s in store.subscriptions.all_of(tx, caller().account_id) if _is_one(s)]
    newest = [s for s in reversed(found) if not after or s.id < after]
    data = [shown_endpoint(subscription) for subscription in newest[:limit]]
    body: EndpointsJson = {
        "object": "list",
        "data": data,
        "has_more": len(newest) > limit,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return json_response(body)


@blueprint.get("/webhook_endpoints/<endpoint_id>")
def retrieve_endpoint(endpoint_id: str) -> Response:
    """One webhook endpoint."""
    authenticate("read")
    return json_response(shown_endpoint(_endpoint(endpoint_id)))


@blueprint.post("/webhook_endpoints/<endpoint_id>")
def update_endpoint(endpoint_id: str) -> Response:
    """Change the events, name or URL of an endpoint."""
    authenticate("admin")
    w, before, fields = wiring(), _endpoint(endpoint_id), _fields(EndpointChangeJson)
    try:
        changes = parse_changes(channels(), w.encryptor, before, fields)
    except InvalidInput as error:
        raise _in_their_words(error) from error
    with w.db.write() as tx:
        store.subscriptions.change(tx, before.id, **changes)
    return json_response(shown_endpoint(_endpoint(endpoint_id)))


@blueprint.delete("/webhook_endpoints/<endpoint_id>")
def delete_endpoint(endpoint_id: str) -> Response:
    """Delete an endpoint, with its pending deliveries."""
    authenticate("admin")
    w, found = wiring(), _endpoint(endpoint_id)
    with w.db.write() as tx:
        endpoint_health.remove(tx, found.id, w.clock())
    body: DeletedEndpointJson = {
        "id": found.id,
        "object": "webhook_endpoint.deleted",
        "deleted": True,
    }
    return json_response(body)


@blueprint.post("/webhook_endpoints/<endpoint_id>/rotate_secret")
def rotate_endpoint_secret(endpoint_id: str) -> Response:
    """Replace the secret. The old one ends now, or signs for another day if asked."""
    authenticate("admin")
    w, before = wiring(), _endpoint(endpoint_id)
    given = _body(EndpointRotationJson) if raw_body() else {}
    name = "keep_old_secret_active_for_24_hours"
    if not isinstance(given.get(name, False), bool):
        raise InvalidInput.at(f"/{name}", "wrong_type", "must be true or false" + got(given[name]))
    replaced = rotate_secret if given.get(name) else revoke_old_secret
    with w.db.write() as tx:
        secret = replaced(tx, w.encryptor, before, w.clock(), new_webhook_secret())
    return json_response(with_secret(_endpoint(endpoint_id), secret))


@blueprint.post("/webhook_endpoints/<endpoint_id>/test")
def test_endpoint(endpoint_id: str) -> Response:
    """Send a labelled sample now and return the endpoint's answer."""
    authenticate("submit")
    w, found, type_ = wiring(), _endpoint(endpoint_id), _body(EndpointTestJson).get("event_type")
    if type_ not in EVENT_TYPES:
        message = f"must be one of {_choices()}{got(type_)}"
        raise InvalidInput.at("/event_type", "not_allowed", message)
    sent = test_request_for(w.notifications, found, w.clock())
    result = tried(replace(sent, events=(_events([type_])[0],)))
    if result.status is None:
        raise CompatError(400, f"the endpoint did not answer: {result.error}", code="test_failed")
    body: TestedEndpointJson = {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": found.id,
        "event_type": type_,
        "status_code": result.status,
        "success": True,
    }
    return json_response(body)


def _body(shape: Any) -> dict[str, Any]:
    """The JSON object of the request. Raises InvalidInput for unknown fields."""
    body, known = json_body(), list(shape.__annotations__)
    if not isinstance(body, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    for name in body:
        if name not in known:
            raise InvalidInput.at(f"/{name}", "unknown_field", f"takes {', '.join(known)}")
    return body


def _fields(shape: Any) -> dict[str, Any]:
    """The body as fields of our subscription. Raises InvalidInput for unknown events."""
    fields = {_OURS[name]: value for name, value in _body(shape).items()}
    if "events" not in fields:
        return fields
    given = fields["events"]
    if not isinstance(given, list) or not given or not all(one in EVENT_TYPES for one in given):
        message = f"must be a list of one or more of {_choices()}"
        raise InvalidInput.at("/event_types", "not_allowed", message)
    return fields | {"events": _events(given)}


def _choices() -> str:
    return ", ".join(EVENT_TYPES)


def _events(types: list[str]) -> list[EventType]:
    return [ours for ours, theirs in OPENAI_TYPES.items() if theirs in types]


def _in_their_words(error: InvalidInput) -> InvalidInput:
    faults = []
    for fault in error.faults:
        name = fault.pointer.strip("/").partition("/")[0]
        faults.append(replace(fault, pointer=f"/{_THEIRS.get(name, name)}"))
    return InvalidInput(faults)


def _is_one(subscription: Subscription) -> bool:
    return (subscription.channel, subscription.format) == ("webhook", "openai")


def _endpoint(endpoint_id: str) -> Subscription:
    with wiring().db.read() as tx:
        found = get_or_404(tx, Subscription, endpoint_id)
    if not _is_one(found):
        raise NotFound(f"you have no webhook endpoint {endpoint_id[:80]}")
    return found

"""The list of subscriptions, and the form for a new one, tested before it is saved."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import MODELS
from service.deliveries.custom_headers import parse_headers
from service.deliveries.endpoint_health import health_of
from service.deliveries.subscription_spec import NEEDS, parse_key_value
from service.deliveries.subscriptions import parse_changes, shown_subscription, target_of
from service.errors import Busy, FieldError, InvalidInput
from service.messages.payloads import FORMATS
from service.model import DEFAULT_EVENTS, EventType, Subscription
from service.web.api.subscriptions import wished
from service.web.context import caller, channels, get_or_404, wiring
from service.web.dashboard.forms import form_token, submit_once
from service.web.dashboard.subscription import shown_once
from service.web.session import page, signed_in

blueprint = Blueprint("subscriptions", __name__)

#: The number of attempts shown as a row of marks.
GLANCE = 12
#: For each channel its title, its description and an example of a target.
CHANNELS = {
    "webhook": ("Webhook", "A signed POST to your own code", "https://example.com/hook"),
    "slack": ("Slack", "An incoming webhook of a channel", "https://hooks.slack.com/services/…"),
    "slack_bot": ("Slack app", "One card per job, kept up to date", "#clips"),
    "email": ("Mail", "The link with its poster", "you@example.com"),
    "apprise": ("Apprise", "Discord, Teams, Telegram, ntfy …", "discord://…"),
}
#: The description of each event.
EVENTS = {
    EventType.JOB_SUCCEEDED: "the video is ready",
    EventType.JOB_FAILED: "it could not be made",
    EventType.JOB_UNKNOWN: "it was sent, but not answered",
    EventType.JOB_HELD: "it waits for credits, budget or you",
    EventType.JOB_SUBMITTED: "it was sent to the provider",
    EventType.JOB_OVERDUE: "it is overdue",
    EventType.JOB_CANCELED: "it was canceled",
    EventType.VIDEO_EXPIRING: "its link expires soon",
    EventType.SUBSCRIPTION_DISABLED: "an endpoint was switched off",
    EventType.SUBSCRIPTION_RECOVERED: "that endpoint works again",
}


@blueprint.get("/subscriptions")
@signed_in("read")
def index() -> AnyResponse:
    """The list of subscriptions with their health."""
    with wiring().db.read() as tx:
        found = store.subscriptions.all_of(tx, caller().account_id)
        rows = [subscription_row(tx, subscription) for subscription in found]
    return page("subscriptions.html", rows=rows)


def subscription_row(tx: Connection, subscription: Subscription) -> dict[str, Any]:
    """A subscription with its health and its newest attempts."""
    w = wiring()
    which = {"subscription_id": subscription.id}
    recent = store.deliveries.page(tx, subscription.account_id, GLANCE, **which)
    attempts = store.deliveries.all_attempts(tx, [one.id for one in recent])
    return {
        "subscription": subscription,
        "condition": health_of(subscription, w.clock()),
        "target": target_of(w.encryptor, subscription),
        "events": subscription.events or list(DEFAULT_EVENTS),
        "attempts": sorted(attempts, key=lambda attempt: attempt.created_at)[-GLANCE:],
        "last_success": store.deliveries.last_delivered(tx, subscription.id),
    }


@blueprint.get("/subscriptions/new")
@signed_in("admin")
def show() -> AnyResponse:
    """The form for a new subscription."""
    usual = [("channel", next(iter(channels()))), ("test", "yes"), ("once", form_token())]
    return _form(MultiDict(usual + [("events", event.value) for event in DEFAULT_EVENTS]), [])


def _form(
    given: MultiDict[str, str], faults: list[FieldError], editing: Subscription | None = None
) -> AnyResponse:
    errors: dict[str, list[str]] = {}
    for fault in faults:
        top, *below = fault.names
        # A line of a field by its own name; the place in a list says nothing here.
        named = [name for name in below if not name.isdecimal()]
        errors.setdefault(top, []).append(" ".join([*named, fault.message]))
    return page(
        "subscriptions_new.html",
        422 if faults else 200,
        given=given,
        errors=errors,
        editing=editing,
        usable=channels(),
        needs=NEEDS,
        channel_words=CHANNELS,
        event_words=EVENTS,
        models=MODELS,
        formats=list(FORMATS),
    )


@blueprint.post("/subscriptions/new")
@signed_in("admin")
def create() -> AnyResponse:
    """Create a subscription; with faults, show the form again."""
    given = request.form
    try:
        planned, secret = wished(_body(given, given.get("channel", "")), tested="test" in given)
    except InvalidInput as error:
        return _form(given, error.faults)
    except Busy as error:
        return _form(given, [FieldError("/target", "busy", str(error))])

    def insert() -> str:
        store.subscriptions.insert(tx, planned)
        return planned.id

    with wiring().db.write() as tx:
        # The same form, sent twice, creates one subscription.
        made, now = submit_once(tx, insert)
    if not now or planned.channel != "webhook":
        return redirect(url_for("dashboard.subscription.show", subscription_id=made), 303)
    return shown_once(made, secret, 201)


def _body(given: MultiDict[str, str], channel_name: str) -> dict[str, Any]:
    """The form as the body of an API request. Raises InvalidInput."""
    channel = channels().get(channel_name)
    body: dict[str, Any] = {"channel": channel_name, "target": given.get("target")}
    body |= {name: given.getlist(name) for name in ("events", "models")}
    lines = given.get("metadata", "").splitlines()
    body["metadata"] = dict(parse_key_value(line) for line in lines if line.strip())
    body["name"] = given.get("name", "").strip()
    if channel_name == "webhook":
        lines = given.get("headers", "").splitlines()
        body["headers"] = parse_headers(line for line in lines if line.strip())
        body |= {"secret": given["secret"].strip()} if given.get("secret", "").strip() else {}
    if channel and given.get("format") in channel.formats:
        body["format"] = given["format"]
    return body


@blueprint.get("/subscriptions/<subscription_id>/edit")
@signed_in("admin")
def edit(subscription_id: str) -> AnyResponse:
    """The form with the stored values."""
    w = wiring()
    with w.db.read() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
    shown = shown_subscription(w.encryptor, found)
    stored = [("name", found.name), ("target", shown["target"]), ("format", found.format)]
    stored += [("events", event) for event in shown["events"]]
    stored += [("models", slug) for slug in found.models]
    pairs = [f"{name}={typed_as(value)}" for name, value in found.metadata.items()]
    headers = [f"{name}: {value}" for name, value in shown["headers"].items()]
    stored += [("metadata", "\n".join(pairs)), ("headers", "\n".join(headers))]
    return _form(MultiDict(stored), [], found)


def typed_as(value: Any) -> str:
    """A value of metadata as one line in the form that `parse_key_value` reads."""
    line = value if isinstance(value, str) else ""
    # Text that would be read as another one, or as several lines, gets quotes.
    same = [line] == line.splitlines() and value == parse_key_value(f"={line}")[1]
    return line if same else json.dumps(value)


@blueprint.post("/subscriptions/<subscription_id>/edit")
@signed_in("admin")
def save(subscription_id: str) -> AnyResponse:
    """Store the changes; with faults, show the form again."""
    w, given = wiring(), request.form
    with w.db.read() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
    try:
        body = _body(given, found.channel) | {"channel": found.channel}
        changes = parse_changes(channels(), w.encryptor, found, body)
    except InvalidInput as error:
        return _form(given, error.faults, found)
    with w.db.write() as tx:
        get_or_404(tx, Subscription, subscription_id)
        store.subscriptions.change(tx, found.id, **changes)
    flash("Saved.")
    return redirect(url_for("dashboard.subscription.show", subscription_id=found.id), 303)

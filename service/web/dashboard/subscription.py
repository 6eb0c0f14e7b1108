"""One subscription: its health, its attempts, and its actions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.deliveries import endpoint_health
from service.deliveries.redelivery import Recovery, recover_since
from service.deliveries.secrets import revoke_old_secret, rotate_secret
from service.deliveries.subscriptions import shown_subscription, target_of
from service.deliveries.test_sends import TestResult, test_request_for
from service.errors import Busy
from service.model import DEFAULT_EVENTS, Attempt, Delivery, DeliveryState, Subscription
from service.web.api.subscriptions import tried
from service.web.context import get_or_404, wiring
from service.web.dashboard.forms import form_token, submit_once
from service.web.session import page, signed_in

blueprint = Blueprint("subscription", __name__)

#: The number of deliveries that are read, and of their attempts that are shown.
RECENT = 12
#: The choices for the start of a recovery.
AGO = {
    "1h": ("the last hour", timedelta(hours=1)),
    "6h": ("the last 6 hours", timedelta(hours=6)),
    "2d": ("the last 2 days", timedelta(days=2)),
    "7d": ("the last 7 days", timedelta(days=7)),
}


@blueprint.get("/subscriptions/<subscription_id>")
@signed_in("read")
def show(subscription_id: str) -> AnyResponse:
    """The health and the attempts of a subscription."""
    return _page(subscription_id)


def _page(subscription_id: str, status: int = 200, **more: Any) -> AnyResponse:
    w, now = wiring(), wiring().clock()
    with w.db.read() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
        recent = store.deliveries.page(tx, found.account_id, RECENT, subscription_id=found.id)
        tries = recent_attempts(tx, recent)
        last_success = store.deliveries.last_delivered(tx, found.id)
        pauses = {pause.name: pause for pause in store.channels.paused(tx, now)}
    return page(
        "subscriptions_one.html",
        status,
        subscription=found,
        condition=endpoint_health.health_of(found, now),
        target=target_of(w.encryptor, found),
        headers=list(shown_subscription(w.encryptor, found)["headers"]),
        events=found.events or list(DEFAULT_EVENTS),
        tries=tries,
        waiting=[one for one in recent if one.state is DeliveryState.PENDING],
        last_success=last_success,
        pause=pauses.get(found.channel),
        ago=AGO,
        once=form_token(),
        **more,
    )


def recent_attempts(tx: Connection, recent: list[Delivery]) -> list[tuple[Attempt, Delivery, str]]:
    """The attempts at these deliveries, newest first, each with its delivery and event type."""
    attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in recent])
    by_id = {delivery.id: delivery for delivery in recent}
    events = store.events.of_ids(tx, {delivery.event_id for delivery in recent})
    types = {one.id: events[one.event_id].type.value for one in recent if one.event_id in events}
    attempts.sort(key=lambda attempt: attempt.created_at, reverse=True)
    newest = attempts[:RECENT]
    return [(one, by_id[one.delivery_id], types.get(one.delivery_id, "")) for one in newest]


def shown_once(subscription_id: str, secret: str, status: int = 200) -> AnyResponse:
    """The page of a subscription with its secret, which no later page shows."""
    return _page(subscription_id, status, secret=secret)


@blueprint.post("/subscriptions/<subscription_id>/test")
@signed_in("submit")
def test(subscription_id: str) -> AnyResponse:
    """Send a labelled sample now, and show the result."""
    w = wiring()
    with w.db.read() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
    try:
        test_result = tried(test_request_for(w.notifications, found, w.clock()))
    except Busy as error:
        test_result = TestResult(None, str(error), "", 0)
    return _page(subscription_id, test_result=test_result)


@blueprint.post("/subscriptions/<subscription_id>/enable")
@signed_in("admin")
def enable(subscription_id: str) -> AnyResponse:
    """Enable it, and clear its failures."""
    with wiring().db.write() as tx:
        store.subscriptions.enable(tx, get_or_404(tx, Subscription, subscription_id).id)
    return _back(subscription_id)


def _back(subscription_id: str) -> AnyResponse:
    return redirect(url_for(".show", subscription_id=subscription_id), 303)


@blueprint.post("/subscriptions/<subscription_id>/disable")
@signed_in("admin")
def disable(subscription_id: str) -> AnyResponse:
    """Disable it: nothing is sent until it is enabled again."""
    with wiring().db.write() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
        store.subscriptions.change(tx, found.id, enabled=False)
    return _back(subscription_id)


@blueprint.post("/subscriptions/<subscription_id>/remove")
@signed_in("admin")
def remove(subscription_id: str) -> AnyResponse:
    """Delete it, with its pending deliveries."""
    with wiring().db.write() as tx:
        endpoint_health.remove(
            tx, get_or_404(tx, Subscription, subscription_id).id, wiring().clock()
        )
    return redirect(url_for("dashboard.subscriptions.index"), 303)


@blueprint.post("/subscriptions/<subscription_id>/rotate")
@signed_in("admin")
def rotate(subscription_id: str) -> AnyResponse:
    """Replace the secret and show it once; a form that is sent twice replaces it once."""
    w = wiring()
    renew = revoke_old_secret if "revoke" in request.form else rotate_secret
    with w.db.write() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
        _, first = submit_once(tx, lambda: found.id)
        secret = renew(tx, w.encryptor, found, w.clock()) if first else ""
    return shown_once(subscription_id, secret) if first else _back(subscription_id)


@blueprint.post("/subscriptions/<subscription_id>/recover")
@signed_in("submit")
def recover(subscription_id: str) -> AnyResponse:
    """Send the failed deliveries since a time again, or only count them, and show the number."""
    w = wiring()
    since = chosen_moment(w.clock())
    if since is None:
        return _page(subscription_id, 422, bad_time=request.form.get("at", ""))
    with w.db.read() as tx:
        found = get_or_404(tx, Subscription, subscription_id)
    wanted = Recovery(since, "missing" in request.form, "count" in request.form)
    count = recover_since(w.db, found, wanted, w.clock)
    return _page(subscription_id, recovered=count, wanted=wanted, chosen=request.form)


def chosen_moment(now: datetime) -> datetime | None:
    """The typed time, in UTC, else the chosen one; None if there is neither."""
    typed, chosen = request.form.get("at", "").strip(), request.form.get("since", "")
    if not typed:
        return now - AGO[chosen][1] if chosen in AGO else None
    try:
        found = datetime.fromisoformat(typed)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None

"""One delivery: the request and the answer of each attempt, side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.deliveries.exchanges import as_curl, exchanges_of
from service.deliveries.redelivery import resend_delivery
from service.errors import Conflict, TooOften
from service.model import Attempt, Delivery, DeliveryState, Exchange
from service.web.context import get_or_404, wiring
from service.web.dashboard.deliveries import subscription_title
from service.web.dashboard.job import show_problem
from service.web.dashboard.raw import secrets_of, shown_body
from service.web.errors import as_problem
from service.web.session import live_page, page, signed_in

blueprint = Blueprint("delivery", __name__)

#: If the next attempt is later than this, the page does not refresh every two seconds.
SOON = timedelta(minutes=2)


@blueprint.get("/deliveries/<delivery_id>")
@signed_in("read")
def show(delivery_id: str) -> AnyResponse:
    """One delivery with all its attempts."""
    return live_page("delivery.html", "_delivery.html", **_values(delivery_id))


def _values(delivery_id: str) -> dict[str, Any]:
    w = wiring()
    with w.db.read() as tx:
        delivery = get_or_404(tx, Delivery, delivery_id)
        subscription = store.subscriptions.find(tx, delivery.subscription_id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
        exchanges = exchanges_of(tx, w.encryptor, [delivery])
        event = store.events.find(tx, delivery.event_id)
        job = store.jobs.find(tx, delivery.job_id) if delivery.job_id else None
    due = delivery.due_at
    return {
        "shape": "one-delivery",
        "delivery": delivery,
        "subscription": subscription,
        "title": subscription_title(subscription) if subscription else "",
        "event": event.type.value if event else "",
        "job": job,
        "attempts": [
            attempt_view(delivery, one, exchanges.get((delivery.id, one.number)))
            for one in reversed(attempts)
        ],
        "active": delivery.state is DeliveryState.PENDING
        and (due is None or due < w.clock() + SOON),
    }


def attempt_view(delivery: Delivery, attempt: Attempt, exchange: Exchange | None) -> dict[str, Any]:
    """An attempt with its request and answer as text."""
    shown: dict[str, Any] = {"row": attempt, "sent": None, "answer": None, "curl": None}
    if exchange is None:
        return shown
    secrets = secrets_of(wiring().settings)
    body = exchange.body if exchange.body is not None else delivery.body or b""
    shown["sent"] = {"exchange": exchange, "body": shown_body(body, secrets)}
    if exchange.method == "POST":
        shown["curl"] = as_curl(
            exchange.method, exchange.url, exchange.headers, body.decode("utf-8", "replace")
        )
    if exchange.answer is not None:
        shown["answer"] = shown_body(exchange.answer, secrets)
    return shown


@blueprint.post("/deliveries/<delivery_id>/resend")
@signed_in("submit")
def resend(delivery_id: str) -> AnyResponse:
    """Resend a delivery; then show the page with the button again."""
    with wiring().db.read() as tx:
        job_id = get_or_404(tx, Delivery, delivery_id).job_id
    here = job_id is None or request.form.get("from") == "delivery"
    try:
        with wiring().db.write() as tx:
            resend_delivery(tx, get_or_404(tx, Delivery, delivery_id), wiring().clock())
    except (Conflict, TooOften) as error:
        problem = as_problem(error)
        if not here:
            return show_problem(str(job_id), problem)
        values = _values(delivery_id) | {"problem": problem, "parts": "_delivery.html"}
        address = url_for(".show", delivery_id=delivery_id, live=1)
        return page("delivery.html", problem.status, live_url=address, **values)
    if here:
        return redirect(url_for(".show", delivery_id=delivery_id), 303)
    return redirect(url_for("dashboard.job.show", job_id=job_id, _anchor="news"), 303)

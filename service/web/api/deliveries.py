"""``/v1/deliveries``: deliveries with all attempts, and their resend."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from service import store
from service.deliveries import listing
from service.deliveries.exchanges import exchanges_of
from service.deliveries.redelivery import resend_delivery
from service.model import Delivery, DeliveryState, EventType
from service.model.delivery_json import delivery_json, full_delivery_json
from service.web.context import (
    caller,
    get_or_404,
    json_response,
    needs,
    wiring,
)
from service.web.pagination import cursor_of, page_response, page_rows
from service.web.query import choice, moment, text

blueprint = Blueprint("deliveries", __name__, url_prefix="/v1/deliveries")


@blueprint.get("")
@needs(
    "read",
    job_id=text,
    event_id=text,
    subscription_id=text,
    channel=text,
    state=choice(DeliveryState),
    type=choice(EventType),
    since=moment,
    limit=page_rows(),
    cursor=cursor_of("dlv"),
)
def list_deliveries(limit: int, cursor: str | None, **which: Any) -> Response:
    """An account's deliveries, newest first."""
    with wiring().db.read() as tx:
        found = store.deliveries.page(tx, caller().account_id, limit, before=cursor, **which)
        shown = listing.list_deliveries(tx, wiring().encryptor, found)
    return page_response(shown, found.older)


@blueprint.get("/<delivery_id>")
@needs("read")
def get(delivery_id: str) -> Response:
    """One delivery, with the request and the answer of each attempt."""
    with wiring().db.read() as tx:
        delivery = get_or_404(tx, Delivery, delivery_id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
        exchanges = exchanges_of(tx, wiring().encryptor, [delivery])
    return json_response(full_delivery_json(delivery, attempts, exchanges))


@blueprint.post("/<delivery_id>/resend")
@needs("submit")
def resend(delivery_id: str) -> Response:
    """Make one more attempt now, whatever the state of the delivery."""
    w = wiring()
    with w.db.write() as tx:
        resend_delivery(tx, get_or_404(tx, Delivery, delivery_id), w.clock())
        delivery = get_or_404(tx, Delivery, delivery_id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
    return json_response(delivery_json(delivery, attempts), 202)

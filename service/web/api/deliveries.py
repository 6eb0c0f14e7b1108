"""``/v1/deliveries``: what was sent to whom, every attempt, and once more by hand."""

from __future__ import annotations

from flask import Blueprint, Response, request
from sqlalchemy import Connection

from service import store
from service.deliveries.redelivery import resend_delivery
from service.errors import FieldError, InvalidInput, NotFound
from service.model import Delivery, DeliveryState
from service.model.serializers import delivery_json
from service.web.context import (
    caller,
    cursor,
    json_response,
    needs,
    page_response,
    page_size,
    wiring,
)

blueprint = Blueprint("deliveries", __name__, url_prefix="/v1/deliveries")


@blueprint.get("")
@needs("read", "job_id", "event_id", "subscription_id", "channel", "state", "limit", "cursor")
def list_deliveries() -> Response:
    """An account's deliveries, newest first."""
    given = request.args
    which = {name: given.get(name) for name in _FILTERS}
    if which["state"] not in (None, *DeliveryState):
        message = f"must be one of {', '.join(DeliveryState)}"
        raise InvalidInput([FieldError("?state", "not_allowed", message)])
    limit = page_size()
    with wiring().db.read() as tx:
        account = caller().account_id
        found = store.deliveries.page(tx, account, limit + 1, before=cursor(), **which)
        attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in found])
    return page_response([delivery_json(delivery, attempts) for delivery in found], limit)


_FILTERS = ("job_id", "event_id", "subscription_id", "channel", "state")


def owned(tx: Connection, delivery_id: str) -> Delivery:
    """The caller's delivery of that id. Raises NotFound."""
    found = store.deliveries.owned(tx, caller().account_id, delivery_id)
    if found is None:
        raise NotFound(f"you have no delivery {delivery_id[:80]}")
    return found


@blueprint.get("/<delivery_id>")
@needs("read")
def get(delivery_id: str) -> Response:
    """One delivery."""
    with wiring().db.read() as tx:
        delivery = owned(tx, delivery_id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
    return json_response(delivery_json(delivery, attempts))


@blueprint.post("/<delivery_id>/resend")
@needs("submit")
def resend(delivery_id: str) -> Response:
    """One more attempt now, whatever became of the earlier ones."""
    w = wiring()
    with w.db.write() as tx:
        resend_delivery(tx, owned(tx, delivery_id), w.clock())
        delivery = owned(tx, delivery_id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
    return json_response(delivery_json(delivery, attempts), 202)

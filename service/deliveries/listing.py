"""Deliveries as lists show them: with their attempts, their event and their target."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from service import store
from service.deliveries.subscriptions import target_of
from service.formatting import mask_target
from service.model import Delivery
from service.model.delivery_json import ListedDeliveryJson, delivery_json
from service.signing import Encryptor


def list_deliveries(
    tx: Connection, encryptor: Encryptor, deliveries: Sequence[Delivery]
) -> list[ListedDeliveryJson]:
    """The deliveries as the API lists them."""
    attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in deliveries])
    events = store.events.of_ids(tx, {one.event_id for one in deliveries})
    found = store.subscriptions.of_ids(tx, {one.subscription_id for one in deliveries})
    names = {
        one.id: one.name or f"{one.channel} {mask_target(target_of(encryptor, one))}"
        for one in found.values()
    }
    return [
        {
            **delivery_json(one, attempts),
            "type": events[one.event_id].type if one.event_id in events else None,
            "to": names.get(one.subscription_id, one.channel),
        }
        for one in deliveries
    ]

"""The JSON of the models that jobs can ask for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from service.catalogue.models import MODELS, OFFERS, Model
from service.catalogue.validation import json_schema
from service.jobs.budget import price_span
from service.jobs.choice import Market, routes_of
from service.model.json_types import ModelName, ProviderName, about


class PriceJson(TypedDict):
    """The price of one video; null where the vendor states none."""

    currency: Annotated[Literal["USD"], about("The currency.")]
    min: Annotated[float | None, about("The lowest price.", 0.44)]
    max: Annotated[float | None, about("The highest price.", 0.88)]


class OfferJson(TypedDict):
    """A model as one vendor sells it."""

    provider: Annotated[ProviderName, about("The vendor.")]
    available: Annotated[bool, about("Whether this server has a key for that vendor.", True)]
    input_schema: Annotated[
        dict[str, Any], about("The JSON Schema of its input.", {"type": "object"})
    ]
    price: PriceJson
    expected_seconds: Annotated[
        dict[str, float],
        about("The vendor's own estimate, by the video's seconds.", {"5": 134.32, "10": 134.32}),
    ]
    warning: Annotated[
        str | None, about("A warning if the vendor retires it; null otherwise.", None)
    ]


class ModelJson(OfferJson):
    """A model, as its first vendor here sells it, and its offers by all vendors."""

    id: Annotated[ModelName, about("Its name in a job.")]
    title: Annotated[str, about("Its name for people.", "Kling 2.5 Turbo")]
    routes: Annotated[list[str], about("The values that a job's `provider` may have.", ["auto"])]
    vendors: Annotated[list[OfferJson], about("Each vendor that sells it.")]


def models_json(market: Market) -> list[ModelJson]:
    """All models as the API shows them."""
    found: list[ModelJson] = []
    for slug in MODELS:
        sold = list(OFFERS[slug].values())
        first = next((offer for offer in sold if offer.provider in market.providers), sold[0])
        found.append(
            {
                "id": slug,
                "title": first.title,
                "routes": list(routes_of(slug)),
                **_offer(first, market),
                "vendors": [_offer(offer, market) for offer in sold],
            }
        )
    return found


def _offer(offer: Model, market: Market) -> OfferJson:
    low, high = price_span(market.prices, offer)
    return {
        "provider": offer.provider,
        "available": offer.provider in market.providers,
        "input_schema": json_schema(offer),
        "price": {"currency": "USD", "min": low, "max": high},
        "expected_seconds": {str(k): v for k, v in offer.expected_seconds.items()},
        "warning": offer.warning(market.today) or None,
    }

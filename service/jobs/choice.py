"""
The choice of a vendor: the named one, or the cheapest that accepts exactly this input.

Nothing is sent or written here. If no vendor can accept the job, each reason is an
error in the request, before anything is paid.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.catalogue.models import MODELS, OFFERS, VENDORS, Model
from service.catalogue.validation import check_input
from service.errors import FieldErrors, InvalidInput, did_you_mean, got
from service.formatting import format_money
from service.jobs.budget import stated_price

AUTO = "auto"


@dataclass(frozen=True)
class Market:
    """
    The facts for the choice of a vendor.

    Args:
        providers: the names of the vendors that can be used now.
        prices: the operator's prices in dollars per video, by model or ``VENDOR/MODEL``.
        today: the date, for retired models.
        held: the names of held vendors, without credits or held by an operator.
        has_budget: whether a job without a stated price would be held.
    """

    providers: Container[str]
    prices: Mapping[str, float]
    today: date
    held: Container[str] = ()
    has_budget: bool = False


@dataclass(frozen=True)
class Choice:
    """
    A chosen vendor's model, with the input in the vendor's form.

    `compared` are the vendors that accept this input, cheapest first, with their highest price
    in dollars; only one if the request named it. Those in `held` come last.
    """

    offer: Model
    input: dict[str, Any]
    route: str = AUTO
    compared: tuple[tuple[str, float | None], ...] = ()
    held: frozenset[str] = frozenset()

    def first(self) -> str:
        """The chosen vendor with its price."""
        name, price = self.compared[0]
        return f"{name} {_money(price)}"

    def sentence(self) -> str:
        """The reason for this vendor, for the timeline; blank if there was no choice."""
        if len(self.compared) < 2:
            return ""
        first, *others = [
            f"{name} {_money(price)}{' (held)' if name in self.held else ''}"
            for name, price in self.compared
        ]
        return f"{first} is the cheapest; {', '.join(others)} would take it too"


def _money(price: float | None) -> str:
    return "(price unknown)" if price is None else f"at {format_money(price)}"


def choose(
    market: Market, slug: Any, wanted: Any, given: dict[str, Any] | None, errors: FieldErrors
) -> Choice | None:
    """
    Choose the vendor of a request; None if none fits, with the reasons in `errors`.

    Args:
        slug, wanted, given: the model, the provider and the input of the request;
            `given` is None if the input has another type.
    """
    sold = _sold(slug, errors)
    if sold is None:
        return None
    route, names = _wanted(slug, wanted, sold, errors)
    usable = [name for name in names if name in market.providers]
    if names and not usable:
        who = " or ".join(names)
        message = f"this server has no key for {who}: ask its operator to set one"
        pointer = "/model" if route == AUTO and wanted in (None, AUTO) else "/provider"
        errors.add(pointer, "provider_not_configured", message)
    # The input is checked nevertheless, so that all faults are reported at once.
    configured = [name for name in sold if name in market.providers]
    offers = [sold[name] for name in usable or names or configured or sold]
    open_ = [offer for offer in offers if not (offer.ends and offer.ends <= market.today)]
    if not open_:
        errors.add("/model", "model_ended", offers[0].warning(market.today))
        return None
    return _cheapest(market, open_, route, given, errors) if given is not None else None


def _sold(slug: Any, errors: FieldErrors) -> dict[str, Model] | None:
    allowed = ", ".join(MODELS)
    if slug is None:
        errors.add("/model", "required", f"must be one of {allowed}")
    elif not isinstance(slug, str):
        errors.add("/model", "wrong_type", f"must be one of {allowed}{got(slug)}")
    elif slug not in OFFERS:
        guess = did_you_mean(slug, MODELS)
        errors.add("/model", "not_allowed", f"must be one of {allowed}{got(slug)}{guess}")
    else:
        return OFFERS[slug]
    return None


def _wanted(
    slug: str, wanted: Any, sold: dict[str, Model], errors: FieldErrors
) -> tuple[str, list[str]]:
    """The vendor's own route (or blank), and the names of the vendors to choose from."""
    if wanted is None or wanted == AUTO:
        return AUTO, list(sold)
    if isinstance(wanted, str) and wanted in sold:
        return AUTO, [wanted]
    routed = [name for name, offer in sold.items() if wanted in offer.routes]
    if isinstance(wanted, str) and routed:
        return wanted, routed
    allowed = ", ".join(routes_of(slug))
    code = "not_allowed" if isinstance(wanted, str) else "wrong_type"
    message = f"must be one of {allowed}{got(wanted)}"
    if isinstance(wanted, str) and wanted in VENDORS:
        message = f"{VENDORS[wanted].title} does not sell {slug}: {message}"
    errors.add("/provider", code, message)
    return AUTO, []


def routes_of(slug: str) -> tuple[str, ...]:
    """The values that `provider` may have in a job for this model."""
    sold = OFFERS[slug]
    own = [route for offer in sold.values() for route in offer.routes]
    return tuple(dict.fromkeys([AUTO, *own, *sold]))


def _cheapest(
    market: Market, offers: list[Model], route: str, given: dict[str, Any], errors: FieldErrors
) -> Choice | None:
    taken: list[tuple[float | None, Model, dict[str, Any]]] = []
    refused: list[InvalidInput] = []
    for offer in offers:
        try:
            values = check_input(offer, given)
        except InvalidInput as error:
            refused.append(error)
        else:
            taken.append((stated_price(market.prices, offer, values)[1], offer, values))
    if not taken:
        # Reports the faults of the vendor that has the fewest.
        errors.found += min(refused, key=lambda error: len(error.faults)).faults
        return None

    def rank(one: tuple[float | None, Model, dict[str, Any]]) -> tuple[bool, bool, float]:
        # Held vendors, and those without a stated price, come last. Under a budget the latter come
        # after the held ones, as their jobs wait longer. The catalogue's order decides a tie.
        price, offer, _ = one
        price_missing = market.has_budget and price is None
        held = offer.provider in market.held
        return price_missing, held, float("inf") if price is None else price

    taken.sort(key=rank)
    _, offer, values = taken[0]
    compared = tuple((other.provider, price) for price, other, _ in taken)
    held = frozenset(name for name, _ in compared if name in market.held)
    return Choice(offer, values, route, compared, held)


def next_choice(
    market: Market, slug: str, given: dict[str, Any], refused_by: Container[str]
) -> Choice | None:
    """The cheapest vendor that has not refused the job and is not held; None if none is left."""
    today = market.today
    offers = [
        offer
        for name, offer in OFFERS.get(slug, {}).items()
        if name in market.providers and name not in market.held and name not in refused_by
    ]
    left = [offer for offer in offers if not (offer.ends and offer.ends <= today)]
    return _cheapest(market, left, AUTO, given, FieldErrors()) if left else None

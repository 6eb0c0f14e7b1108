"""
Budgets: the dollars that an account may spend per UTC day, and per job.

Nothing is stored twice: the amount spent or reserved is the sum over the jobs
that were sent today. A job counts with its highest estimate until its actual
cost is known, and not at all once it was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.catalogue.models import Model, sold_model
from service.formatting import format_money
from service.model import Job, JobError
from service.model.error_codes import job_error
from service.settings import Settings


def price_range(
    settings: Settings, model: Model, values: dict[str, Any]
) -> tuple[float | None, float | None]:
    """The lowest and highest cost of a video in dollars, see `stated_price`."""
    return stated_price(settings.prices, model, values)


def price_span(prices: Mapping[str, float], model: Model) -> tuple[float | None, float | None]:
    """The lowest and highest price of the model over all inputs, in dollars."""
    price = prices.get(f"{model.provider}/{model.slug}", prices.get(model.slug))
    return (price, price) if price is not None else model.price_span()


def price_by_length(
    prices: Mapping[str, float], model: Model
) -> list[tuple[str, float | None, float | None]]:
    """
    The price list of a model.

    Returns:
        Tuples of a label ("5 s", "10 s pro"; blank for all), lowest and highest dollars.
    """
    stated = price_span(prices, model)
    if stated != model.price_span():
        return [("", *stated)]
    modes = {mode for mode, _ in model.prices}
    if model.prices:
        return [
            (f"{seconds} s {mode}".strip() if len(modes) > 1 else f"{seconds} s", price, price)
            for (mode, seconds), price in sorted(model.prices.items(), key=lambda one: one[1])
        ]
    if not model.rates:
        return [("", *stated)]
    low, high = min(rate.low for rate in model.rates), max(rate.high for rate in model.rates)
    ends = dict.fromkeys((min(model.expected_seconds), max(model.expected_seconds)))
    return [(f"{length} s", round(low * length, 6), round(high * length, 6)) for length in ends]


def stated_price(
    prices: Mapping[str, float], model: Model, values: dict[str, Any]
) -> tuple[float | None, float | None]:
    """
    The lowest and highest cost in dollars: the operator's price, else the catalogue's.

    Args:
        prices: dollars per video, by ``VENDOR/MODEL`` or for all vendors by the model.
    """
    price = prices.get(f"{model.provider}/{model.slug}", prices.get(model.slug))
    return (price, price) if price is not None else model.price_range(values)


def remaining(
    tx: Connection, settings: Settings, account_id: str, now: datetime, but: str | None = None
) -> float | None:
    """Dollars left today; None without a budget. The job `but` is not counted."""
    if settings.budget is None:
        return None
    return max(0.0, round(settings.budget - spent_today(tx, account_id, now, but), 6))


def spent_today(tx: Connection, account_id: str, now: datetime, but: str | None = None) -> float:
    """Dollars spent or reserved since midnight UTC, without the job `but`."""
    return round(store.jobs.spent_since(tx, account_id, midnight(now), but), 6)


def unpriced_today(tx: Connection, account_id: str, now: datetime) -> int:
    """The number of jobs since midnight UTC without a stated price, missing in `spent_today`."""
    return store.jobs.count_without_price(tx, account_id, midnight(now))


def midnight(now: datetime) -> datetime:
    """The start of the UTC day."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def objection(tx: Connection, settings: Settings, job: Job, now: datetime) -> JobError | None:
    """The reason why this job may not be sent now; None if it may."""
    if not settings.has_budget:
        return None
    _, price = price_range(settings, sold_model(job.model, job.provider), job.input)
    if price is None:
        return job_error("PRICE_UNKNOWN", f"the price of {job.model} is not stated")
    if settings.job_budget is not None and price > settings.job_budget:
        allowed = f"JOB_BUDGET allows {format_money(settings.job_budget)}"
        return job_error("JOB_BUDGET", f"it may cost {format_money(price)}, {allowed}")
    # Without the job's own earlier estimate: else its second attempt would not fit.
    left = remaining(tx, settings, job.account_id, now, but=job.id)
    if left is not None and price > left:
        rest = f"{format_money(left)} are left of today's budget"
        return job_error("BUDGET", f"it may cost {format_money(price)}, {rest}")
    return None

"""Usage: spending, the time of callbacks, the success of deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from flask import Blueprint, request
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import find_offer, model_of
from service.deliveries.subscriptions import target_of
from service.formatting import format_duration, format_share, mask_target
from service.jobs.budget import midnight, unpriced_today
from service.model import DeliveryState, JobState
from service.ops.reports import report_since
from service.store.reports import AttemptCount, DayOfJobs, DayOfWaits, DeliveryCount
from service.web.context import caller, wiring
from service.web.dashboard.widgets.charts import (
    DOLLARS,
    JOBS,
    SECONDS,
    Chart,
    Series,
    Share,
    columns,
    lines,
    shares,
)
from service.web.pages import model_title
from service.web.session import page, signed_in

blueprint = Blueprint("numbers", __name__)

#: The ranges to choose from: the name, and the number of UTC days including today.
USUAL = "30d"
RANGES = {"24h": ("24 hours", 1), "7d": ("7 days", 7), "30d": ("30 days", 30)}


class Range(NamedTuple):
    """A key of `RANGES`, the start of the range, and its UTC days."""

    key: str
    start: datetime
    days: list[date]


class Wait(NamedTuple):
    """The times of a model's callbacks: a chart by day, and a sentence about the last day."""

    model: str
    said: str
    chart: Chart


@blueprint.get("/numbers")
@signed_in("read")
def index() -> AnyResponse:
    """The account's usage as charts and text."""
    w, account = wiring(), caller().account_id
    chosen = chosen_range(account, w.clock())
    start, days = chosen.start, chosen.days
    with w.db.read() as tx:
        report = report_since(tx, account, start)
        counts = store.reports.jobs_by_state(tx, account)
        unpriced = unpriced_today(tx, account, w.clock())
        worked, counted, tried = report.jobs, report.deliveries, report.attempts
        names = {one.subscription_id: subscription_name(tx, one) for one in counted}
    return page(
        "numbers.html",
        chosen=chosen.key,
        ranges=RANGES,
        span=RANGES[chosen.key][0],
        spending=spending_chart(days, worked),
        spent=sum(one.spent for one in worked),
        spent_today=sum(one.spent for one in worked if one.day == days[-1]),
        unpriced=unpriced,
        budget=w.settings.budget,
        ledger=sorted(report.ledger, key=lambda one: (-one.day.toordinal(), one.provider)),
        waits=callback_times(days, report.waits),
        delivery_shares=shares_by_subscription(counted, tried, names),
        attempts=sum(one.count for one in tried),
        failed_attempts=sum(one.count for one in tried if one.failed),
        states=[
            shares(state, f"{counts[state]:,}", [(state, counts[state])], sum(counts.values()))
            for state in JobState
            if state in counts
        ],
        jobs=sum(counts.values()),
        **completion(days, worked),
        **arrivals(counted),
    )


def chosen_range(account_id: str, now: datetime) -> Range:
    """The range in the query; else the shortest one that contains all the account's jobs."""
    key = request.args.get("range", "")
    if key not in RANGES:
        with wiring().db.read() as tx:
            owner = store.accounts.find(tx, account_id)
        age = now - owner.created_at if owner else timedelta.max
        key = next((k for k, (_, n) in RANGES.items() if age <= timedelta(days=n)), USUAL)
    start = midnight(now) - timedelta(days=RANGES[key][1] - 1)
    if key == "24h":
        start = now - timedelta(hours=24)
    count = (now.date() - start.date()).days + 1
    return Range(key, start, [start.date() + timedelta(days=n) for n in range(count)])


def completion(days: Sequence[date], worked: Sequence[DayOfJobs]) -> dict[str, Any]:
    """The sources of results for models that call back, and the names of the others."""
    # A model that left the catalogue is not counted.
    known = [one for one in worked if find_offer(one.model, one.provider)]
    # All results of the other models come by polling, as intended.
    awaited = [one for one in known if model_of(one.model, one.provider).calls_back]
    return {
        "ends": completion_chart(days, awaited),
        "called": sum(one.called for one in awaited),
        "polled": sum(one.polled for one in awaited),
        "silent": sorted({model_title(one.model) for one in known if one not in awaited}),
    }


def arrivals(counted: Sequence[DeliveryCount]) -> dict[str, int]:
    """The numbers of deliveries: arrived, exhausted, and failing."""
    failing = sum(one.count for one in counted if one.failing)
    exhausted = sum(one.count for one in counted if one.state is DeliveryState.EXHAUSTED)
    delivered = sum(one.count for one in counted if one.state is DeliveryState.DELIVERED)
    return {
        "delivered": delivered,
        "failing": failing,
        "exhausted": exhausted,
        "undelivered": failing + exhausted,
    }


def _slot(day: date) -> str:
    return f"{day.day} {day:%b}"


def spending_chart(days: Sequence[date], worked: Sequence[DayOfJobs]) -> Chart:
    """Dollars by day, stacked by model, with the most expensive model at the bottom."""
    spent: dict[str, float] = {}
    for one in worked:
        spent[one.model] = spent.get(one.model, 0) + one.spent
    by_place: dict[tuple[date, str], float] = {}
    for one in worked:
        place = (one.day, one.model)
        by_place[place] = by_place.get(place, 0) + one.spent
    series = [
        Series(model_title(model), [by_place.get((day, model)) or None for day in days])
        for model in sorted(spent, key=spent.__getitem__, reverse=True)
        if spent[model]
    ]
    return columns([_slot(day) for day in days], series, DOLLARS, wiring().settings.budget)


def completion_chart(days: Sequence[date], worked: Iterable[DayOfJobs]) -> Chart:
    """The sources of results by day, for models that call back."""
    called: Counter[date] = Counter()
    polled: Counter[date] = Counter()
    for one in worked:
        called[one.day] += one.called
        polled[one.day] += one.polled
    series = [
        Series("by callback", [called[day] or None for day in days]),
        Series("by polling", [polled[day] or None for day in days]),
    ]
    return columns([_slot(day) for day in days], series, JOBS)


def callback_times(days: Sequence[date], waits: Sequence[DayOfWaits]) -> list[Wait]:
    """A chart for each model, in the order of their names."""
    found = []
    for model in sorted({one.model for one in waits}, key=model_title):
        own = {one.day: one for one in waits if one.model == model}
        series = [
            Series("p50", [own[d].p50 if d in own else None for d in days]),
            Series("p95", [own[d].p95 if d in own else None for d in days]),
        ]
        drawn = lines([_slot(day) for day in days], series, SECONDS)
        last = own[max(own)]
        half, most = format_duration(last.p50), format_duration(last.p95)
        said = f"On {_slot(last.day)} half of {last.callbacks:,} callbacks came within {half}"
        said += f", 95 % within {most}."
        if last.callbacks == 1:
            said = f"On {_slot(last.day)} the one callback came after {half}."
        found.append(Wait(model_title(model), said, drawn))
    return found


def subscription_name(tx: Connection, counted: DeliveryCount) -> str:
    """The title of a subscription for people: its channel, and a part of its target."""
    found = store.subscriptions.find(tx, counted.subscription_id)
    if found is None:
        return f"{counted.channel} removed"
    target = mask_target(target_of(wiring().encryptor, found))
    own = " (named by jobs)" if found.hidden and found.disabled_reason != "removed" else ""
    return f"{found.name or counted.channel} {target}{own}"


def attempts_in_words(counted: Sequence[AttemptCount]) -> str:
    """The number and the duration of a subscription's attempts, as a sentence."""
    whole = sum(one.count for one in counted)
    failed = sum(one.count for one in counted if one.failed)
    noun = "1 attempt" if whole == 1 else f"{whole:,} attempts"
    share = format_share(failed, whole) if failed else "none"
    half, most = (format_duration(at_share(counted, percent) / 1000) for percent in (50, 95))
    return f"{noun}, {share} failed; half took at most {half}, 95 % at most {most}"


def at_share(counted: Sequence[AttemptCount], percent: int) -> int:
    """The percentile of the attempts' durations, in milliseconds."""
    left = sum(one.count for one in counted) * percent / 100
    for one in sorted(counted, key=lambda one: one.milliseconds):
        left -= one.count
        if left <= 0:
            return one.milliseconds
    return 0


def shares_by_subscription(
    counted: Sequence[DeliveryCount], tried: Sequence[AttemptCount], names: dict[str, str]
) -> list[Share]:
    """A bar for each subscription's deliveries, with its attempts as text, the busiest first."""
    counts: dict[str, Counter[str]] = {id_: Counter() for id_ in names}
    for one in counted:
        counts[one.subscription_id]["failing" if one.failing else one.state.value] += one.count
    by_id: dict[str, list[AttemptCount]] = {}
    for attempt in tried:
        by_id.setdefault(attempt.subscription_id, []).append(attempt)
    found = []
    for id_ in sorted(counts, key=lambda id_: -counts[id_].total()):
        count, whole = counts[id_], counts[id_].total()
        parts = [
            (state, count[state]) for state in ("delivered", "failing", "exhausted", "pending")
        ]
        words = ", ".join(f"{number:,} {state}" for state, number in parts if number)
        if own := by_id.get(id_):
            words += f". {attempts_in_words(own)}"
        found.append(shares(names[id_], words, parts, whole))
    return found

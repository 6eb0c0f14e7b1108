"""All deliveries of the account, with filters, live updates and a bulk resend."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from flask import Blueprint, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.deliveries.redelivery import resend_delivery
from service.deliveries.subscriptions import target_of
from service.formatting import mask_target
from service.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Event,
    EventType,
    Job,
    Subscription,
)
from service.web.context import caller, wiring
from service.web.dashboard.bulk_actions import summary, tried
from service.web.dashboard.lists import (
    CREATED,
    PAGE_ROWS,
    SPANS,
    Select,
    begin_of,
    list_page,
    sensible,
)
from service.web.pagination import LONGEST_PAGE
from service.web.session import signed_in

blueprint = Blueprint("deliveries", __name__)

#: The states to filter by; failing deliveries are pending, too.
STATES = (*DeliveryState, "failing")
_ID = re.compile(r"(dlv|sub)_[0-9a-f]{32}")


class Row(NamedTuple):
    """A delivery with the facts for its line."""

    delivery: Delivery
    event: Event | None
    job: Job | None
    subscription: Subscription | None
    target: str
    last: Attempt | None


@blueprint.get("/deliveries")
@signed_in("read")
def index() -> AnyResponse:
    """The account's deliveries, newest first."""
    given = filters(request.args)
    account = caller().account_id
    which: dict[str, Any] = {"channel": given.get("channel"), "type": given.get("type")}
    which |= {"subscription_id": given.get("subscription"), **begin_of(given)}
    state = given.get("state")
    narrowed = {"failing": True} if state == "failing" else {"state": state}
    with wiring().db.read() as tx:
        found = store.deliveries.page(
            tx, account, PAGE_ROWS, before=given.get("before"), **which, **narrowed
        )
        rows = rows_of(tx, found)
        counts = store.deliveries.counts(tx, account, **which)
        own = store.subscriptions.all_of(tx, account)
    selects = [
        Select("subscription", "Subscription", "Any", [(s.id, subscription_title(s)) for s in own]),
        Select("channel", "Channel", "Any", [(name, name) for name in wiring().channels]),
        Select("type", "Event", "Any", [(type_.value, type_.value) for type_ in EventType]),
        CREATED,
    ]
    return list_page(
        "_deliveries.html",
        "Deliveries",
        given,
        selects,
        rows=rows,
        older=found.older,
        counts={name: counts.get(name, 0) for name in STATES if counts.get(name) or name == state},
        active=any(row.delivery.state is DeliveryState.PENDING for row in rows),
    )


def filters(given: MultiDict[str, str]) -> dict[str, str]:
    """The valid filters in a query or a form; the rest is dropped."""
    return sensible(
        given,
        state=STATES.__contains__,
        channel=wiring().channels.__contains__,
        type=list(EventType).__contains__,
        since=SPANS.__contains__,
        subscription=_ID.fullmatch,
        before=_ID.fullmatch,
    )


def subscription_title(subscription: Subscription) -> str:
    """The title for people: its name, else a part of its target."""
    return subscription.name or mask_target(target_of(wiring().encryptor, subscription))


def rows_of(tx: Connection, found: list[Delivery]) -> list[Row]:
    """Each delivery with its event, job, subscription and last attempt."""
    events = store.events.of_ids(tx, {one.event_id for one in found})
    jobs = store.jobs.of_ids(tx, {one.job_id for one in found if one.job_id})
    subscriptions = store.subscriptions.of_ids(tx, {one.subscription_id for one in found})
    attempts = store.deliveries.all_attempts(tx, [one.id for one in found])
    last = {attempt.delivery_id: attempt for attempt in attempts}
    return [
        Row(
            one,
            events.get(one.event_id),
            jobs.get(one.job_id or ""),
            subscription := subscriptions.get(one.subscription_id),
            subscription_title(subscription) if subscription else "",
            last.get(one.id),
        )
        for one in found
    ]


@blueprint.post("/deliveries/selected/resend")
@signed_in("submit")
def resend_selected() -> AnyResponse:
    """Resend the selected deliveries, each alone; then show the list with the result."""
    ids = sorted(set(request.form.getlist("delivery")))[:LONGEST_PAGE]

    def resend(tx: Connection, delivery: Delivery) -> list[str]:
        resend_delivery(tx, delivery, wiring().clock())
        return [""]

    results = [result for id_ in ids for result in tried(Delivery, id_, resend)]
    text = summary(results, "sent again") if ids else "Nothing was selected: tick a delivery first."
    flash(text)
    again: dict[str, Any] = {**filters(request.form)}
    return redirect(url_for(".index", **again), 303)

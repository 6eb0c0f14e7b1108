"""``/v1/events``: the feed, and samples for programs that connect."""

from __future__ import annotations

import re
from typing import Annotated

from flask import Blueprint, Response
from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from service import store
from service.deliveries.notification import build_notification, build_notifications
from service.errors import FieldError, Gone, InvalidInput, got
from service.events.record import trigger_sample
from service.events.samples import sample_event
from service.messages.payloads import FORMATS, JobMessageJson, SubscriptionMessageJson, standard
from service.model import EventType
from service.model.json_types import EventId, about
from service.web.context import (
    caller,
    json_body,
    json_response,
    needs,
    wiring,
)
from service.web.pagination import next_link, page_rows
from service.web.query import choice

blueprint = Blueprint("events", __name__, url_prefix="/v1/events")

SAMPLES = 3


class _FeedEntry(TypedDict):
    id: Annotated[EventId, about("The event's id.")]
    seq: Annotated[int, about("1, 2, 3 … within your account, without a gap.", 1)]


class JobEventJson(_FeedEntry, JobMessageJson):
    """An event of a job, with the body of its push."""


class SubscriptionEventJson(_FeedEntry, SubscriptionMessageJson):
    """An event of a subscription, with the body of its push."""


class EventsJson(TypedDict):
    """A page of events."""

    data: list[JobEventJson | SubscriptionEventJson]
    next_cursor: Annotated[str, about("The value of `after` for later events.", "1")]


def _feed_place(given: str | None) -> int | None:
    """The `seq` in a query; None, also for a blank, means the start of the feed."""
    if given and not re.fullmatch("[0-9]{1,9}", given):
        raise InvalidInput.at("", "bad_cursor", "must be next_cursor from an earlier answer")
    return int(given) if given else None


def _event_types(given: str | None) -> list[str]:
    types = [] if given is None else given.split(",")
    if not set(types) <= set(EventType):
        message = f"must be one or several, with commas, of {', '.join(EventType)}{got(given)}"
        raise InvalidInput.at("", "not_allowed", message)
    return types


@blueprint.get("")
@needs("read", after=_feed_place, type=_event_types, limit=page_rows())
def feed(after: int | None, type: list[str], limit: int) -> Response:
    """
    The account's events after a cursor, each with the body of the push and its `seq`.

    `seq` counts 1, 2, 3 … within the account, without a gap. `next_cursor` is never null:
    use it as `after` to get later events.
    """
    w, account_id = wiring(), caller().account_id
    with w.db.read() as tx:
        first, last = store.events.feed_ends(tx, account_id)
        seen = _seen(after, first, last)
        found = store.events.feed(tx, account_id, seen, last, type, limit)
        pushes = map(standard, build_notifications(tx, w.notifications, found, w.clock()))
        data = [
            {"id": event.id, "seq": event.feed_sequence, **push}
            for event, push in zip(found, pushes, strict=True)
        ]
    # A page that isn't full has reached the end, past events of other types too.
    following = str(found[-1].feed_sequence if len(found) == limit else max(seen, last))
    body = {"data": data, "next_cursor": following}
    return json_response(body, headers=next_link(following, "after"))


def _seen(after: int | None, first: int, last: int) -> int:
    """The last `seq` that the caller has. Raises Gone if the next page would skip events."""
    if after is None:
        return first - 1
    if after < first - 1:
        older = f"events up to {first - 1} are no longer kept"
        raise Gone(f"{older}: look at your jobs, then continue with after={first - 1}")
    if after > last:
        raise Gone(f"the feed ends at {last}, as after a restore: continue with after={last}")
    return after


@with_config(extra="forbid")
class NewSample(TypedDict):
    """The sample to send."""

    type: Annotated[EventType, about("The type of the event.", "job.succeeded")]


_NEW_SAMPLE = TypeAdapter(NewSample)


@blueprint.post("/samples")
@needs("submit")
def trigger() -> Response:
    """Send a labelled sample to the subscriptions that ask for this event."""
    try:
        type_ = _NEW_SAMPLE.validate_python(json_body())["type"]
    except ValidationError:
        message = f"must be one of {', '.join(EventType)}"
        raise InvalidInput([FieldError("/type", "not_allowed", message)]) from None
    w = wiring()
    with w.db.write() as tx:
        shown = trigger_sample(tx, caller().account_id, type_, w.clock())
    return json_response(shown, 201)


@blueprint.get("/samples")
@needs("read", event=choice(EventType, "job.succeeded"), format=choice(FORMATS, "flat"))
def samples(event: str, format: str) -> Response:
    """A JSON array, newest first: the bodies of the account's own events, or a sample."""
    w = wiring()
    type_ = EventType(event)
    with w.db.read() as tx:
        account_id = caller().account_id
        found = store.events.newest(tx, account_id, [type_], SAMPLES)
        found = found or [sample_event(account_id, type_, w.clock())]
        bodies = [
            FORMATS[format](build_notification(tx, w.notifications, one, w.clock()))
            for one in found
        ]
    return json_response(bodies)

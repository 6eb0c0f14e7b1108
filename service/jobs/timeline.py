"""A job's timeline: its steps, callbacks, events and attempts as one list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import with_config
from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.formatting import iso
from service.model import Job, JobState
from service.model.delivery_json import attempt_json
from service.model.json_types import JobId, Moment, about

Entry = dict[str, Any]


@with_config(extra="allow")
class TimelineEntryJson(TypedDict):
    """One step of the job; `kind` decides its further fields."""

    at: Annotated[Moment, about("The time of the event.")]
    kind: Annotated[
        str,
        about("`requested`, `submitted`, `callback`, `attempt` and more.", "requested"),
    ]
    message: Annotated[str, about("A description for people.", "job created")]


class TimelineJson(TypedDict):
    """The whole history of a job, in order of time."""

    job_id: Annotated[JobId, about("The job's id.")]
    state: Annotated[JobState, about("Its state.", JobState.QUEUED.value)]
    data: list[TimelineEntryJson]


def timeline(tx: Connection, job: Job) -> list[Entry]:
    """
    The history of a job, in order of time.

    Returns:
        Entries with ``at`` (ISO 8601, UTC), ``kind``, ``message`` and the fields of the kind.
    """
    asked = _entry("requested", "job created")
    dated: list[tuple[datetime, Entry]] = [(job.created_at, asked)]
    dated += [(s.created_at, _entry(s.kind, s.message)) for s in store.steps.of_job(tx, job.id)]
    for callback in store.callbacks.arrivals(tx, job.id):
        entry = _entry(
            "callback",
            callback.note or "stored, not processed yet",
            id=callback.id,
            state=callback.state.value,
            repeats=callback.repeats,
            bytes=callback.bytes,
        )
        dated.append((callback.received_at, entry))
    dated += [
        (e.created_at, _entry("event", e.type.value, id=e.id, sequence=e.sequence))
        for e in store.events.of_job(tx, job.id)
    ]
    deliveries = {delivery.id: delivery for delivery in store.deliveries.of_job(tx, job.id)}
    for attempt in store.deliveries.all_attempts(tx, list(deliveries)):
        channel = deliveries[attempt.delivery_id].channel
        how = f"failed: {attempt.error}" if attempt.error else "delivered"
        message = f"{channel}, attempt {attempt.number}: {how}"
        sent = {"delivery_id": attempt.delivery_id, "channel": channel}
        entry = _entry("attempt", message, **sent, **attempt_json(attempt))
        dated.append((attempt.created_at, entry))
    return [{"at": iso(at), **entry} for at, entry in sorted(dated, key=lambda pair: pair[0])]


def _entry(kind: str, message: str, **more: Any) -> Entry:
    return {"kind": kind, "message": message, **more}

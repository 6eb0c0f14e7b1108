"""A job's timeline: its steps, callbacks, events and attempts as one list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.model import Attempt, Delivery, Job
from service.model.serializers import attempt_json, iso

Entry = dict[str, Any]


def timeline(tx: Connection, job: Job) -> list[Entry]:
    """All that happened to a job, in order of time: ``at``, ``kind``, ``message`` and more."""
    asked = _entry("requested", "the job was asked for")
    dated: list[tuple[datetime, Entry]] = [(job.created_at, asked)]
    dated += [(s.created_at, _entry(s.kind, s.message)) for s in store.jobs.all_steps(tx, job.id)]
    dated += _callbacks(tx, job.id)
    dated += [
        (e.created_at, _entry("event", e.type.value, id=e.id, sequence=e.sequence))
        for e in store.events.of_job(tx, job.id)
    ]
    dated += _attempts(tx, job.id)
    return [{"at": iso(at), **entry} for at, entry in sorted(dated, key=lambda pair: pair[0])]


def _entry(kind: str, message: str, **more: Any) -> Entry:
    return {"kind": kind, "message": message, **more}


def _callbacks(tx: Connection, job_id: str) -> list[tuple[datetime, Entry]]:
    return [
        (
            callback.received_at,
            _entry(
                "callback",
                callback.note or "kept, not looked at yet",
                id=callback.id,
                state=callback.state.value,
                repeats=callback.repeats,
                bytes=callback.bytes,
            ),
        )
        for callback in store.callbacks.arrivals(tx, job_id)
    ]


def _attempts(tx: Connection, job_id: str) -> list[tuple[datetime, Entry]]:
    deliveries = {delivery.id: delivery for delivery in store.deliveries.of_job(tx, job_id)}
    attempts = store.deliveries.all_attempts(tx, list(deliveries))
    return [(a.created_at, _attempt(deliveries[a.delivery_id], a)) for a in attempts]


def _attempt(delivery: Delivery, attempt: Attempt) -> Entry:
    how = f"failed: {attempt.error}" if attempt.error else "delivered"
    return _entry(
        "attempt",
        f"{delivery.channel}, attempt {attempt.number}: {how}",
        delivery_id=delivery.id,
        channel=delivery.channel,
        **attempt_json(attempt),
    )

"""One job: its video, its timeline, its notifications, its request and its callbacks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import find_offer
from service.deliveries.subscriptions import target_of
from service.errors import ProviderError
from service.jobs.submission import preview
from service.jobs.timeline import timeline
from service.model import (
    CALLBACK_BYTES,
    TERMINAL,
    Callback,
    Delivery,
    DeliveryState,
    Job,
    JobState,
    Video,
    VideoState,
)
from service.model.codings import content_of
from service.videos.links import renewed
from service.web.context import caller, get_or_404, wiring
from service.web.dashboard.callbacks import outcome
from service.web.dashboard.links import poster_path, video_link, video_path
from service.web.dashboard.raw import secrets_of, shown_body, shown_headers
from service.web.dashboard.widgets import timeline_phases as course
from service.web.dashboard.widgets.timeline_chart import drawn
from service.web.errors import Problem
from service.web.pages import words
from service.web.session import live_page, page, signed_in

blueprint = Blueprint("job", __name__)

#: If the next attempt is later than this, the page does not refresh every two seconds.
SOON = timedelta(minutes=2)
#: The number of callbacks that are shown with their content, the newest.
CALLBACKS = 5

News = dict[str, Any]


@blueprint.get("/jobs/<job_id>")
@signed_in("read")
def show(job_id: str) -> AnyResponse:
    """One job: its video, its timeline, its notifications, its request and its callbacks."""
    values = _values(job_id)
    if "live" not in request.args:
        values["wire"] = _wire(values["job"])
    return live_page("job.html", "_job.html", **values)


def show_problem(job_id: str, problem: Problem) -> AnyResponse:
    """The page of the job, with the reason why the last action failed."""
    values = _values(job_id)
    values |= {"wire": _wire(values["job"]), "problem": problem, "parts": "_job.html"}
    address = url_for("dashboard.job.show", job_id=job_id, live=1)
    return page("job.html", problem.status, live_url=address, **values)


def _values(job_id: str) -> dict[str, Any]:
    now = wiring().clock()
    with wiring().db.read() as tx:
        job = get_or_404(tx, Job, job_id)
        video = store.videos.of_job(tx, job.id)
        arrivals = store.callbacks.arrivals(tx, job.id)
        came = store.callbacks.page(tx, job.account_id, CALLBACKS, job_id=job.id)
        news = [delivery_view(tx, delivery) for delivery in store.deliveries.of_job(tx, job.id)]
        steps = store.steps.of_job(tx, job.id)
        entries = timeline(tx, job)
    rows = course.of_job(job, steps, arrivals) + course.of_video(video, steps)
    rows += course.of_deliveries([(one["delivery"], one["attempts"]) for one in news])
    pending = [n["delivery"] for n in news if n["delivery"].state is DeliveryState.PENDING]
    return {
        "shape": "job",
        "job": job,
        "model": find_offer(job.model, job.provider),
        "facts": facts_of(job, video),
        "news": news,
        "entries": [entry for entry in entries if entry["kind"] != "attempt"],
        "picture": drawn(rows, course.expected_end(job, now)),
        "came": [callback_view(callback) for callback in came],
        "earlier": max(len(arrivals) - CALLBACKS, 0),
        "may": allowed_actions(job, pending),
        "active": is_moving(job, video, pending, now),
        **player_of(video, now),
    }


def delivery_view(tx: Connection, delivery: Delivery) -> News:
    """A delivery with its event, its target and every attempt."""
    event = store.events.find(tx, delivery.event_id)
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    return {
        "delivery": delivery,
        "event": event.type.value if event else "",
        "target": target_of(wiring().encryptor, subscription) if subscription else "",
        "attempts": store.deliveries.all_attempts(tx, [delivery.id]),
    }


def facts_of(job: Job, video: Video | None) -> list[tuple[str, str]]:
    """The input besides the prompt, and facts about the result, as pairs of label and text."""
    facts = [(words(name), _shown(v)) for name, v in job.input.items() if name != "prompt"]
    if video and video.width:
        facts.append(("Picture", f"{video.width} × {video.height}"))
    facts += [(f"Metadata: {name}", _shown(v)) for name, v in job.metadata.items()]
    return [*facts, ("Job", job.id), ("Task", job.task_id or "none yet")]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def player_of(video: Video | None, now: datetime) -> dict[str, Any]:
    """The video and its URL; this renews an expired link."""
    alive = renewed(wiring().db, wiring().settings, video, now) if video else None
    kept = alive if alive and alive.state is not VideoState.DELETED else None
    return {
        "video": video,
        "link": video_link(kept) if kept else None,
        "link_until": kept.link_expires_at if kept else None,
        "path": video_path(alive) if alive else None,
        "poster": poster_path(alive),
        # Before the copy is stored, the link leads to the provider, which our policy forbids.
        "playable": alive and alive.state is VideoState.STORED,
    }


def callback_view(callback: Callback) -> dict[str, Any]:
    """A callback with its result and its content, without secrets."""
    secrets = secrets_of(wiring().settings)
    content = content_of(callback.headers, callback.body, CALLBACK_BYTES)
    return {
        "row": callback,
        "outcome": outcome(callback),
        "headers": shown_headers(callback.headers, secrets),
        "body": shown_body(content, secrets),
    }


def _wire(job: Job) -> dict[str, Any] | str:
    """The request to the provider, past or future; or the reason why it can't be shown."""
    w = wiring()
    if job.provider not in w.providers or find_offer(job.model, job.provider) is None:
        return f"This server can no longer send to {job.provider}."
    if job.is_erased:
        return "The content of this job was deleted."
    try:
        found: dict[str, Any] = preview(w.providers, w.settings, w.signer, job)["request"]
    except ProviderError as error:
        return str(error)
    return found | {"body": shown_body(json.dumps(found["body"]).encode(), secrets_of(w.settings))}


def allowed_actions(job: Job, pending: Sequence[Delivery]) -> dict[str, bool]:
    """The actions that this key may take on the job in its state, by name."""
    ended, acts = job.state in TERMINAL, "submit" in caller().scopes
    return {
        "act": acts,
        "cancel": acts and job.state in (JobState.QUEUED, JobState.HELD),
        "mute": acts and not job.muted and bool(pending or not ended),
        "resolve": acts and job.state is JobState.UNKNOWN,
        "erase": ended and bool(job.input) and "admin" in caller().scopes,
    }


def is_moving(job: Job, video: Video | None, pending: Sequence[Delivery], now: datetime) -> bool:
    """Whether the page may look different soon."""
    copying = video is not None and video.state is VideoState.PENDING
    due = any(d.due_at is not None and d.due_at < now + SOON for d in pending)
    return job.state not in TERMINAL or copying or due

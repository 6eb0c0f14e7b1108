"""One job: its video, its facts, who was told, all that happened."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue import MODELS
from service.jobs import cancel_job, mute_job
from service.model import TERMINAL, Delivery, DeliveryState, Job, JobState, Video, VideoState
from service.resends import resend_delivery
from service.timeline import timeline
from service.videos import renewed
from service.web.context import wiring
from service.web.dashboard.links import poster_path, video_link, video_path
from service.web.deliveries import owned as owned_delivery
from service.web.jobs import owned_job
from service.web.pages import words
from service.web.session import live_page, signed_in

blueprint = Blueprint("job", __name__)

#: A delivery whose next attempt is further away is not worth a look every two seconds.
SOON = timedelta(minutes=2)


@blueprint.get("/jobs/<job_id>")
@signed_in("read")
def show(job_id: str) -> AnyResponse:
    """One job: its video, its facts, who was told, all that happened."""
    w = wiring()
    now = w.clock()
    with w.db.read() as tx:
        found = owned_job(tx, job_id)
        video = store.videos.of_job(tx, found.id)
        sent = store.deliveries.of_job(tx, found.id)
        news = [_news(tx, delivery) for delivery in sent]
        entries = timeline(tx, found)
    alive = renewed(w.db, w.settings, video, now) if video else None
    pending = [delivery for delivery in sent if delivery.state is DeliveryState.PENDING]
    return live_page(
        "job.html",
        "_job.html",
        shape="job",
        job=found,
        model=MODELS.get(found.model),
        video=video,
        link=video_link(alive) if alive and alive.state is not VideoState.DELETED else None,
        path=video_path(alive) if alive else None,
        poster=poster_path(alive),
        # Before the copy is here the link leads to the provider, where no player of ours may go.
        playable=alive and alive.state is VideoState.STORED,
        facts=_facts(found, video),
        news=news,
        entries=[entry for entry in entries if entry["kind"] != "attempt"],
        can_cancel=found.state in (JobState.QUEUED, JobState.HELD),
        can_mute=not found.muted and bool(pending or found.state not in TERMINAL),
        active=found.state not in TERMINAL
        or bool(video and video.state is VideoState.PENDING)
        or any(d.due_at is not None and d.due_at < now + SOON for d in pending),
    )


def _news(tx: Connection, delivery: Delivery) -> dict[str, Any]:
    """A delivery with its event, its target and every attempt."""
    event = store.events.find(tx, delivery.event_id)
    subscription = store.subscriptions.find(tx, delivery.subscription_id)
    return {
        "delivery": delivery,
        "event": event.type.value if event else "",
        "target": wiring().sealer.open(subscription.target) if subscription else "",
        "attempts": store.deliveries.all_attempts(tx, [delivery.id]),
    }


def _facts(found: Job, video: Video | None) -> list[tuple[str, str]]:
    """What was asked for besides the prompt, and what came."""
    facts = [(words(name), _shown(v)) for name, v in found.input.items() if name != "prompt"]
    if video and video.width:
        facts.append(("Picture", f"{video.width} × {video.height}"))
    facts += [(f"Metadata: {name}", _shown(v)) for name, v in found.metadata.items()]
    return [*facts, ("Job", found.id), ("Task", found.task_id or "none yet")]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@blueprint.post("/jobs/<job_id>/cancel")
@signed_in("submit")
def cancel(job_id: str) -> AnyResponse:
    """Take the job back."""
    with wiring().db.write() as tx:
        cancel_job(tx, owned_job(tx, job_id), wiring().clock())
    return redirect(url_for(".show", job_id=job_id), 303)


@blueprint.post("/jobs/<job_id>/mute")
@signed_in("submit")
def mute(job_id: str) -> AnyResponse:
    """No more news of the job."""
    with wiring().db.write() as tx:
        mute_job(tx, owned_job(tx, job_id), wiring().clock())
    return redirect(url_for(".show", job_id=job_id), 303)


@blueprint.post("/deliveries/<delivery_id>/resend")
@signed_in("submit")
def resend(delivery_id: str) -> AnyResponse:
    """Send it once more."""
    with wiring().db.write() as tx:
        delivery = owned_delivery(tx, delivery_id)
        resend_delivery(tx, delivery, wiring().clock())
    return redirect(url_for(".show", job_id=delivery.job_id, _anchor="news"), 303)

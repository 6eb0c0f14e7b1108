"""The dashboard: jobs, one job, a new one, and who is told."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service import budget, store
from service.catalogue import MODELS, Model, Parameter
from service.errors import Fault, InvalidInput
from service.jobs import JobRequest, cancel_job, check_request, mute_job, request_job
from service.model import (
    DEFAULT_EVENTS,
    TERMINAL,
    Delivery,
    DeliveryState,
    Job,
    JobState,
    Video,
    VideoState,
)
from service.resends import resend_delivery
from service.timeline import timeline
from service.videos import renewed
from service.web.context import caller, channels, wiring
from service.web.deliveries import owned as owned_delivery
from service.web.jobs import owned_job
from service.web.pages import keep_static, words
from service.web.session import answer_problem, live_page, page, signed_in

blueprint = Blueprint("dashboard", __name__)
blueprint.register_error_handler(Exception, answer_problem)
blueprint.after_app_request(keep_static)

PAGE = 25
#: A delivery whose next attempt is further away is not worth a look every two seconds.
SOON = timedelta(minutes=2)
_JOB_ID = re.compile(r"job_[0-9a-f]{32}")


@blueprint.get("/")
@signed_in("read")
def jobs() -> AnyResponse:
    """The account's jobs, newest first."""
    state = request.args.get("state", "")
    before = request.args.get("before", "")
    wanted = state if state in list(JobState) else None
    last = before if _JOB_ID.fullmatch(before) else None
    with wiring().db.read() as tx:
        found = store.jobs.page(tx, caller().account_id, PAGE + 1, before=last, state=wanted)
        videos = store.videos.of_jobs(tx, [job.id for job in found])
        counts = store.jobs.counts(tx, caller().account_id)
        spent = budget.spent_today(tx, caller().account_id, wiring().clock())
    return live_page(
        "jobs.html",
        "_jobs.html",
        rows=[(job, _poster(videos.get(job.id))) for job in found[:PAGE]],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        counts={name: counts.get(name, 0) for name in JobState if name in counts or name == wanted},
        active=any(job.state not in TERMINAL for job in found[:PAGE]),
        spent=spent,
        budget=wiring().settings.budget,
        public_url=wiring().settings.public_url,
        state=wanted,
        before=last,
    )


def _link(video: Video) -> str:
    return wiring().links.url_for(video.id, video.link_expires_at)


def _path(video: Video) -> str:
    """The video's link within this site, by whatever name the site was opened."""
    return _link(video).removeprefix(wiring().settings.public_url)


def _poster(video: Video | None) -> str | None:
    return f"{_path(video)}/poster.jpg" if video and video.poster_file else None


@blueprint.get("/jobs/<job_id>")
@signed_in("read")
def job(job_id: str) -> AnyResponse:
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
        job=found,
        model=MODELS.get(found.model),
        video=video,
        link=_link(alive) if alive and alive.state is not VideoState.DELETED else None,
        path=_path(alive) if alive else None,
        poster=_poster(alive),
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
    return redirect(url_for(".job", job_id=job_id), 303)


@blueprint.post("/jobs/<job_id>/mute")
@signed_in("submit")
def mute(job_id: str) -> AnyResponse:
    """No more news of the job."""
    with wiring().db.write() as tx:
        mute_job(tx, owned_job(tx, job_id), wiring().clock())
    return redirect(url_for(".job", job_id=job_id), 303)


@blueprint.post("/deliveries/<delivery_id>/resend")
@signed_in("submit")
def resend(delivery_id: str) -> AnyResponse:
    """Send it once more."""
    with wiring().db.write() as tx:
        delivery = owned_delivery(tx, delivery_id)
        resend_delivery(tx, delivery, wiring().clock())
    return redirect(url_for(".job", job_id=delivery.job_id, _anchor="news"), 303)


@blueprint.get("/subscriptions")
@signed_in("read")
def subscriptions() -> AnyResponse:
    """Who is told of what."""
    w = wiring()
    with w.db.read() as tx:
        found = store.subscriptions.all_of(tx, caller().account_id)
    rows = [(s, w.sealer.open(s.target), s.events or list(DEFAULT_EVENTS)) for s in found]
    return page("subscriptions.html", rows=rows)


@blueprint.get("/new")
@signed_in("submit")
def new() -> AnyResponse:
    """The form for a new job."""
    return _form({"model": request.args.get("model", ""), "once": secrets.token_urlsafe(16)}, [])


def _form(given: Mapping[str, str], faults: list[Fault]) -> AnyResponse:
    w = wiring()
    usable = [slug for slug, model in MODELS.items() if model.provider in w.providers]
    chosen = given["model"] if given["model"] in MODELS else (usable or list(MODELS))[0]
    errors: dict[str, list[str]] = {}
    for fault in faults:
        errors.setdefault(_field(chosen, fault.pointer), []).append(fault.message)
    return page(
        "new.html",
        422 if faults else 200,
        models=MODELS,
        usable=usable,
        chosen=chosen,
        given=given,
        errors=errors,
        prices=w.settings.prices,
    )


def _field(slug: str, pointer: str) -> str:
    """The form's name for what a fault points at."""
    _, top, *below = [*pointer.split("/"), ""]
    if top == "provider":
        return f"{slug}.route"
    if top != "input":
        return top
    return below[0] if below[0] in ("prompt", "") else f"{slug}.{below[0]}"


@blueprint.post("/new")
@signed_in("submit")
def create() -> AnyResponse:
    """A new job from the form; the form again, with what is wrong, when it cannot be."""
    w = wiring()
    given = {"model": "", "once": ""} | request.form.to_dict()
    try:
        asked = check_request(_body(given), channels(), w.providers)
    except InvalidInput as error:
        return _form(given, error.faults)
    return redirect(url_for(".job", job_id=_requested(asked, given)), 303)


def _body(given: Mapping[str, str]) -> dict[str, Any]:
    """The form as a request to the API would say it."""
    slug = given["model"]
    model = MODELS.get(slug)
    values = {p.name: _read(model, p, given) for p in (model.parameters if model else ())}
    body: dict[str, Any] = {"model": slug or None}
    body["input"] = {name: value for name, value in values.items() if value is not None}
    if given.get(f"{slug}.route"):
        body["provider"] = given[f"{slug}.route"]
    if given.get("notify", "").strip():
        body["notify"] = given["notify"].split()
    return body


def _read(model: Model | None, parameter: Parameter, given: Mapping[str, str]) -> Any:
    prefix = "" if model is None or parameter.name == "prompt" else f"{model.slug}."
    # Browsers send every line of a text field with CRLF.
    text = given.get(prefix + parameter.name, "").replace("\r\n", "\n").strip()
    if not text:
        return None
    if parameter.kind == "images":
        return text.split()
    try:
        return float(text) if parameter.kind == "number" else text
    except ValueError:
        return text


def _requested(asked: JobRequest, given: Mapping[str, str]) -> str:
    """The job of this form; the same one when the same form comes twice."""
    w, account, now = wiring(), caller().account_id, wiring().clock()
    same = {name: text for name, text in given.items() if name != "form_token"}
    key = "form " + hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    asked = replace(asked, input=w.shelf.put_away(asked.model, asked.input, now))
    with w.db.write() as tx:
        if not store.idempotency.reserve(tx, account, key, "form", now):
            kept = store.idempotency.find(tx, account, key)
            return str(kept.headers["job"]) if kept else ""
        made = request_job(tx, w.sealer, w.settings, account, asked, now)
        store.idempotency.answer(tx, account, key, 303, {"job": made.id}, b"")
    return made.id

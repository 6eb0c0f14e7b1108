"""The form for a new job, made from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import OFFERS
from service.errors import FieldError, InvalidInput, Refused
from service.jobs.budget import price_by_length, price_span
from service.jobs.requests import JobRequest, check_request, planned_job, request_job
from service.jobs.submission import preview
from service.media.image_formats import IMAGE_BYTES
from service.model import Job
from service.web.context import JOB_BYTES, caller, channels, get_or_404, wiring
from service.web.dashboard.estimate import quote
from service.web.dashboard.fields import (
    body_of,
    errors_of,
    filled_from,
    models_here,
    previews,
    with_images,
)
from service.web.dashboard.forms import form_token, submit_once
from service.web.dashboard.snippets import SNIPPETS, Asked
from service.web.errors import Problem
from service.web.pages import html_problem
from service.web.session import page, signed_in

blueprint = Blueprint("new", __name__)
#: Hosts on which a sandbox runs.
LOOPBACK = {"127.0.0.1", "localhost"}


@blueprint.before_request
def _allow_images() -> None:
    """Allow bodies as large as a job's images, as files or as text."""
    request.max_content_length = request.max_form_memory_size = JOB_BYTES


@blueprint.errorhandler(413)
def _too_large(_: Exception) -> AnyResponse:
    """Report a body that is too large on a page, or in the field that sent it."""
    said = f"An image may have {IMAGE_BYTES >> 20} MB, a whole job {JOB_BYTES >> 20} MB"
    if "HX-Request" not in request.headers:
        return html_problem(Problem(413, "the images are too large", hint=said))
    return Response(f'<p class="error">{said}.</p>', headers={"HX-Reswap": "beforeend"})


@blueprint.get("/new")
@signed_in("submit")
def show() -> AnyResponse:
    """The form for a new job; with `like`, filled in from another job."""
    given = {"model": request.args.get("model", ""), "once": form_token()}
    like = request.args.get("like")
    if like is None:
        return _form(given)
    with wiring().db.read() as tx:
        job = get_or_404(tx, Job, like)
    same, lost = filled_from(job)
    return _form(given | same, like=job, lost=lost)


def _form(
    given: Mapping[str, str], faults: list[FieldError] | None = None, **more: Any
) -> AnyResponse:
    chosen = _chosen(given)
    shown = {
        "errors": errors_of(chosen, faults or []),
        "quote": quote(models_here()[chosen], given),
    }
    return page("new.html", 422 if faults else 200, **_known(given), **shown, **more)


def _known(given: Mapping[str, str]) -> dict[str, Any]:
    """The values that all fields of the form need."""
    w = wiring()
    vendors = [w.settings.base_url_of(name) for name in w.providers]
    return {
        "models": models_here(),
        "usable": _usable(),
        "chosen": _chosen(given),
        "given": given,
        "price_list": partial(price_by_length, w.settings.prices),
        "previews": previews,
        "in_sandbox": {urlsplit(url).hostname for url in vendors} <= LOOPBACK,
    }


def _usable() -> list[str]:
    return [slug for slug, sold in OFFERS.items() if sold.keys() & wiring().providers.keys()]


def _chosen(given: Mapping[str, str]) -> str:
    """The chosen model, else the first usable one, preferably with a price."""
    if given["model"] in OFFERS:
        return given["model"]
    usable, models = _usable() or list(OFFERS), models_here()
    prices = wiring().settings.prices
    stated = [slug for slug in usable if price_span(prices, models[slug])[0] is not None]
    return (stated or usable)[0]


@blueprint.post("/new")
@signed_in("submit")
def create() -> AnyResponse:
    """Create a job from the form; with faults, show the form again."""
    given, faults = _given()
    asked = _asked(given, faults)
    if asked is None:
        return _form(given, faults)
    w = wiring()
    with w.db.write() as tx:
        account, now = caller().account_id, w.clock()
        made, _ = submit_once(
            tx, lambda: request_job(tx, w.encryptor, w.settings, account, asked, now).id
        )
    return redirect(url_for("dashboard.job.show", job_id=made), 303)


def _given() -> tuple[dict[str, str], list[FieldError]]:
    return with_images({"model": "", "once": ""} | request.form.to_dict(), request.files)


def _asked(given: Mapping[str, str], faults: list[FieldError]) -> JobRequest | None:
    """The request in the form; None if it has faults, which are added to `faults`."""
    try:
        asked = check_request(body_of(given), channels(), wiring().market())
    except InvalidInput as error:
        named = tuple(fault.pointer for fault in faults)
        faults += [fault for fault in error.faults if not fault.pointer.startswith(named)]
        return None
    return None if faults else asked


@blueprint.post("/new/quote")
@signed_in("submit")
def estimate() -> AnyResponse:
    """The price and time of the current choice."""
    given = {"model": ""} | request.form.to_dict()
    return page("_quote.html", quote=quote(models_here()[_chosen(given)], given))


@blueprint.post("/new/field")
@signed_in("submit")
def check() -> AnyResponse:
    """Check one field once it is filled in, and show it with its faults."""
    given, faults = _given()
    name = request.args.get("name", "")
    _asked(given, faults)
    errors = errors_of(_chosen(given), faults)
    return page("_field.html", name=name, errors=errors, **_known(given))


@blueprint.post("/new/request")
@signed_in("submit")
def dry_run() -> AnyResponse:
    """The form with the request to the vendor, and the same job as code; sends nothing."""
    w = wiring()
    given, faults = _given()
    asked = _asked(given, faults)
    if asked is None:
        return _form(given, faults)
    job = planned_job(w.settings, caller().account_id, asked, w.clock())
    try:
        plan = preview(w.providers, w.settings, w.signer, job, asked.choice)
    except Refused as error:
        return _form(given, [FieldError("/input", error.code, error.message)])
    wire = json.dumps(plan["request"]["body"], indent=2, ensure_ascii=False)
    return _form(given, plan=plan, wire=wire, snippets=snippets_of(given, asked))


def snippets_of(given: Mapping[str, str], asked: JobRequest) -> list[tuple[str, str, str]]:
    """The job in each language, as tuples of id, name and code."""
    with wiring().db.read() as tx:
        first = store.accounts.first(tx)
    account = caller().account_id
    wanted = Asked(
        f"{wiring().settings.public_url}/v1/jobs",
        body_of(given) | {"input": asked.input},
        None if first and first.id == account else account,
    )
    return [(word, name, write(wanted)) for word, (name, write) in SNIPPETS.items()]

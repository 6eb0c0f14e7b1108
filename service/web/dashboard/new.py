"""The form for a new job, made from the catalogue."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue import MODELS, Model, Parameter
from service.errors import Fault, InvalidInput
from service.jobs import JobRequest, check_request, request_job
from service.web.context import caller, channels, wiring
from service.web.session import page, signed_in

blueprint = Blueprint("new", __name__)


@blueprint.get("/new")
@signed_in("submit")
def show() -> AnyResponse:
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
    return redirect(url_for("dashboard.job.show", job_id=_requested(asked, given)), 303)


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

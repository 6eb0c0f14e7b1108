"""
The fields of a new job: conversion of a form to a request body, and of a job to a form.

A field of one model is called ``SLUG.PARAMETER``; `prompt`, `model` and `notify` belong
to all. Images that are sent inside the form are stored at once: from then on
each is a short URL of ours, which can be shown, copied and sent again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from service.catalogue.models import OFFERS, VENDORS, Model, Parameter
from service.errors import BadToken, FieldError, json_pointer
from service.jobs.choice import AUTO, routes_of
from service.media.image_formats import BadImage, is_url, kind_of
from service.model import ACCOUNTS_OWN, Job
from service.web.context import wiring

#: The suffix of the field for a file beside a text field.
FILE = ".file"


def models_here() -> dict[str, Model]:
    """Each model with all inputs that its vendors here accept, by slug."""
    return {slug: merged_model(slug) for slug in OFFERS}


def merged_model(slug: str) -> Model:
    """One model with the inputs of all vendors with a key; without such a vendor, of the first."""
    providers, sold = wiring().providers, list(OFFERS[slug].values())
    usable = [offer for offer in sold if offer.provider in providers] or sold[:1]
    parameters = {p.name: p for offer in reversed(usable) for p in offer.parameters}
    for name, parameter in parameters.items():
        if not all(offer.parameter(name) for offer in usable):
            # Filled in, it would leave only the vendors that take it, perhaps none.
            parameters[name] = replace(parameter, default=None)
    names = [offer.provider for offer in usable]
    routes = [r for r in routes_of(slug) if r not in VENDORS or (r in names and len(names) > 1)]
    # The first vendor's inputs come first, in its order.
    ordered = {p.name: parameters[p.name] for offer in usable for p in offer.parameters}
    return replace(usable[0], parameters=tuple(ordered.values()), routes=tuple(routes))


def name_of(model: Model, parameter: Parameter) -> str:
    """The name of a parameter's form field."""
    return parameter.name if parameter.name == "prompt" else f"{model.slug}.{parameter.name}"


def body_of(given: Mapping[str, str]) -> dict[str, Any]:
    """The form as the body of an API request."""
    slug = given["model"]
    model = models_here().get(slug)
    values = {p.name: typed_value(model, p, given) for p in model.parameters} if model else {}
    body: dict[str, Any] = {"model": slug or None}
    body["input"] = {name: value for name, value in values.items() if value is not None}
    if given.get(f"{slug}.route"):
        body["provider"] = given[f"{slug}.route"]
    if given.get("notify", "").strip():
        body["notify"] = [with_channel(word) for word in given["notify"].split()]
    return body


def with_channel(target: str) -> str:
    """``CHANNEL:TARGET``; without a typed channel, the one that fits the target."""
    if target == ACCOUNTS_OWN or re.match(r"[a-z_]+:(?!//)", target):
        return target
    if "://" not in target:
        return f"email:{target}" if "@" in target else target
    return f"{'slack' if '://hooks.slack.com/' in target else 'webhook'}:{target}"


def typed_value(model: Model, parameter: Parameter, given: Mapping[str, str]) -> Any:
    """The value of a field as JSON; None for a blank field."""
    # Browsers end every line of a text field with CRLF.
    text = given.get(name_of(model, parameter), "").replace("\r\n", "\n").strip()
    if not text:
        return None
    if parameter.kind == "images":
        return text.split()
    try:
        return float(text) if parameter.kind == "number" else text
    except ValueError:
        return text


def errors_of(slug: str, faults: Iterable[FieldError]) -> dict[str, list[str]]:
    """The messages of faults, by the fields of this model's form."""
    found: dict[str, list[str]] = {}
    for fault in faults:
        _, top, *below = [*fault.pointer.split("/"), ""]
        field = f"{slug}.route" if top == "provider" else top
        if top == "input":
            field = below[0] if below[0] in ("prompt", "") else f"{slug}.{below[0]}"
        found.setdefault(field, []).append(fault.message)
    return found


def with_images(
    given: Mapping[str, str], files: MultiDict[str, FileStorage]
) -> tuple[dict[str, str], list[FieldError]]:
    """The form with each uploaded image replaced by a URL of ours, and faults for other files."""
    found, faults = dict(given), list[FieldError]()
    model = models_here().get(given["model"])
    if model is None:
        return found, faults
    for parameter in (p for p in model.parameters if p.kind in ("image", "images")):
        name = name_of(model, parameter)
        typed = found.get(name, "").strip()
        texts = typed.split() if parameter.kind == "images" else [typed]
        kept = [stored_image(model, parameter, text) for text in texts]
        for file in filter(None, files.getlist(name + FILE)):
            content = file.read()
            try:
                kind_of(content)
                data = base64.b64encode(content).decode()
                kept.append(_save_image(model, parameter, data))
            except BadImage as bad:
                # The name stays in the field: else the next press would send no image.
                kept.append("_".join((file.filename or "").split()))
                faults.append(
                    FieldError(json_pointer("input", parameter.name), bad.code.lower(), str(bad))
                )
        # A new file replaces the image of a field for one, and is added in a field for two.
        found[name] = "\n".join(kept if parameter.kind == "images" else kept[-1:])
    return found, faults


def stored_image(model: Model, parameter: Parameter, text: str) -> str:
    """The image's URL; other text stays unchanged, so that the check reports it."""
    try:
        return text if is_url(text) or not text else _save_image(model, parameter, text)
    except BadImage:
        return text


def _save_image(model: Model, parameter: Parameter, data: str) -> str:
    w = wiring()
    images = [data] if parameter.kind == "images" else data
    url = w.uploads.save(model, {parameter.name: images}, w.clock())[parameter.name]
    return str(url[0] if parameter.kind == "images" else url)


def previews(text: str) -> list[str]:
    """Paths of the images in a field that are stored here: our pages load nothing from others."""
    ours = wiring().settings.public_origin
    found = [url for url in text.split() if wiring().uploads.holds(url)]
    return [url.removeprefix(ours) for url in found]


def filled_from(job: Job) -> tuple[dict[str, str], bool]:
    """A form filled in from a job, and whether one of its images is missing."""
    named = job.route == AUTO and job.requested is None and len(OFFERS.get(job.model, {})) > 1
    route = job.provider if named else job.route
    given, lost = {"model": job.model, f"{job.model}.route": route}, False
    for name, value in job.input.items():
        texts = [str(one) for one in (value if isinstance(value, list) else [value])]
        there = [text for text in texts if is_kept(text)]
        lost = lost or there != texts
        given[name if name == "prompt" else f"{job.model}.{name}"] = "\n".join(there)
    return given, lost


def is_kept(text: str) -> bool:
    """Whether the text is not an expired image of ours."""
    w = wiring()
    if not w.uploads.holds(text):
        return True
    try:
        w.uploads.file_name(text.rpartition("/")[2], w.clock())
    except BadToken:
        return False
    return True

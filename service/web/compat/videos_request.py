"""
What a create at ``/v1/videos`` asks for, in the words of our models.

A JSON body and a form say the same. What has no place in the model is refused
with the values that it takes, never rounded: seconds and size set the price.
"""

from __future__ import annotations

import base64
import json
from contextlib import closing, suppress
from dataclasses import replace
from io import BytesIO
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from service.catalogue.models import MODELS, OFFERS, Model, Parameter, find_offer
from service.errors import FieldError, FieldErrors, InvalidInput
from service.jobs.requests import FIELDS, JobRequest, check_request
from service.model import ACCOUNTS_OWN, Job
from service.web.compat.base import CompatError
from service.web.context import JOB_BYTES, channels, decoded_body, json_body, wiring
from service.web.errors import Problem

SOURCE = "openai"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
FORM_PARTS = 100
#: What a size is to a model that is asked for a frame's shape; how many pixels is its own matter.
SIZES = {
    **dict.fromkeys(("1280x720", "1920x1080"), "16:9"),
    **dict.fromkeys(("720x1280", "1080x1920"), "9:16"),
    **dict.fromkeys(("720x720", "1024x1024", "1080x1080"), "1:1"),
}
#: The fields that are no input of a model.
JOB_FIELDS = ("model", "callback_url", *(name for name in FIELDS if name not in ("model", "input")))
BLANK = (None, "")
#: The input that names a video to start from, and the model whose names are in the settings.
REMIX, OWN = "remix_of", "videos"


def read_fields() -> dict[str, Any]:
    """
    The fields of the request's body, files in base64.

    Raises:
        Problem: 400, 413 or 415, as for every body.
    """
    if request.mimetype not in FORMS:
        body = json_body(JOB_BYTES)
        if not isinstance(body, dict):
            raise Problem(400, "the body must be a JSON object or a form")
        return body
    body = decoded_body(JOB_BYTES)
    parser = FormDataParser(max_form_memory_size=JOB_BYTES, max_form_parts=FORM_PARTS, silent=False)
    try:
        _, form, files = parser.parse(
            BytesIO(body), request.mimetype, len(body), request.mimetype_params
        )
    except (ValueError, RequestEntityTooLarge) as error:
        raise Problem(400, f"the body is not {request.mimetype}: {error}") from None
    fields: dict[str, Any] = {}
    for name, values in form.lists():
        _add_field(fields, name, values)
    for name, file in files.items():
        with closing(file):
            fields[name] = base64.b64encode(file.read()).decode()
    return fields


def _add_field(fields: dict[str, Any], name: str, values: list[str]) -> None:
    """``name``, ``name[]`` of a list or ``name[key]`` of an object, as the SDKs write them."""
    outer, bracket, key = name.partition("[")
    if not bracket:
        fields[name] = values[0] if len(values) == 1 else values
    elif key == "]":
        fields[outer] = values
    elif isinstance(fields.setdefault(outer, {}), dict):
        fields[outer][key.removesuffix("]")] = values[0]


def check_fields(fields: dict[str, Any]) -> JobRequest:
    """
    The request for a job that the fields stand for.

    Raises:
        InvalidInput: every fault, each pointing at the field that the caller sent.
    """
    slug, values = _model(fields.get("model"))
    offers = _offers(slug, fields.get("provider"))
    errors = FieldErrors()
    sent: dict[str, str] = {}
    for name, value in fields.items():
        if not offers or name in JOB_FIELDS or value in BLANK:
            continue
        with errors.collect(f"/{name}"):
            parameter, value = _translate(offers, name, value)
            if parameter in sent:
                message = f"{sent[parameter]} says the same: give one of them"
                raise InvalidInput.at("", "repeated", message)
            values[parameter], sent[parameter] = value, name
    if sent.get("aspect_ratio") == "size" and all(o.parameter("resolution") for o in offers):
        short = min(int(side) for side in fields["size"].split("x"))
        values.setdefault("resolution", f"{short}p")
    body = {"model": slug, "input": values} | _job_fields(fields)
    try:
        asked = check_request(body, channels(), wiring().market())
    except InvalidInput as error:
        named = {fault.pointer for fault in errors.found}
        faults = [_in_callers_words(fault, sent, fields) for fault in error.faults]
        errors.found += [fault for fault in faults if fault.pointer not in named]
    errors.raise_any()
    size = fields.get("size")
    return replace(asked, source=SOURCE, source_fields={"size": size} if size else None)


def check_remix(source: Job, fields: dict[str, Any]) -> JobRequest:
    """
    The request for a job that makes another video of that one's.

    Raises:
        CompatError: 400, since its model takes no video.
        InvalidInput: every fault of the fields.
    """
    offer = find_offer(source.model, source.provider)
    if offer is None or not offer.parameter(REMIX):
        raise CompatError(400, _no_remix(source.model), code="unsupported")
    known = ("prompt", *(name for name in JOB_FIELDS if name not in ("model", "provider")))
    for name in fields:
        if name not in known:
            raise InvalidInput.at(f"/{name}", "unknown_field", f"takes {', '.join(known)}")
    kept: dict[str, Any] = {
        name: source.input[name] for name in ("duration", "size") if name in source.input
    }
    kept |= {"model": source.input.get("model", source.model), "provider": source.provider}
    asked = check_fields({**fields, **kept, REMIX: source.task_id})
    return replace(asked, source_fields={"remixed_from_video_id": source.id})


def _no_remix(slug: str) -> str:
    can = [one for one, offer in MODELS.items() if offer.parameter(REMIX)]
    images = [one for one, offer in MODELS.items() if image_of(offer)]
    return (
        f"{slug} takes no video to start from. Videos of these models can be remixed: "
        f"{', '.join(can)} (your own server). Or create a new video, with an image as "
        f"input_reference: {', '.join(images)}"
    )


def _model(given: Any) -> tuple[Any, dict[str, Any]]:
    """A model of ours and the input that its name stands for: one's own server has names, too."""
    if given not in OFFERS and given in wiring().settings.videos_models:
        return OWN, {"model": given}
    return given, {}


def _offers(slug: Any, wanted: Any) -> list[Model]:
    """The model as those sell it who may have the job, the first one's words being the model's."""
    sold = OFFERS.get(slug, {}) if isinstance(slug, str) else {}
    named = [offer for name, offer in sold.items() if name == wanted]
    usable = [offer for name, offer in sold.items() if name in wiring().providers]
    return named or usable or list(sold.values())


def _translate(offers: list[Model], name: str, value: Any) -> tuple[str, Any]:
    """The parameter of the model that a field stands for, and its value there."""
    if name == "seconds":
        return "duration", value
    if name == "size" and not any(offer.parameter("size") for offer in offers):
        return "aspect_ratio", _shape(offers, value)
    if name == "input_reference":
        return _first_image(offers, value)
    known = [p for offer in offers for p in offer.parameters if name in (p.name, *p.aliases)]
    return name, _typed(known[0].kind, value) if known and isinstance(value, str) else value


def _typed(kind: str, text: str) -> Any:
    """A value that a form can only hold as text."""
    if kind == "number":
        with suppress(ValueError):
            return float(text)
    if kind == "flag":
        return {"true": True, "false": False}.get(text.lower(), text)
    return [text] if kind == "images" else text


def sizes_of(offers: list[Model]) -> list[str]:
    """The sizes that one of these takes, or whose shape it makes."""
    own = [size for offer in offers if (p := offer.parameter("size")) for size in p.choices]
    if own:
        return own
    ratios = [ratio for offer in offers if (ratio := offer.parameter("aspect_ratio"))]
    return [size for size, shape in SIZES.items() if any(shape in r.choices for r in ratios)]


def _shape(offers: list[Model], size: Any) -> str:
    if size not in sizes_of(offers):
        allowed = ", ".join(f'"{one}"' for one in sizes_of(offers))
        raise InvalidInput.at("", "not_allowed", f"must be one of {allowed}")
    return SIZES[size]


def _first_image(offers: list[Model], given: Any) -> tuple[str, Any]:
    """The model's first frame; an image is a file, or an object that names one by URL."""
    image = next((found for offer in offers if (found := image_of(offer))), None)
    if image is None:
        others = ", ".join(slug for slug, one in MODELS.items() if image_of(one))
        message = f"{offers[0].slug} takes no image; these models do: {others}"
        raise InvalidInput.at("", "not_allowed", message)
    if isinstance(given, dict):
        if list(given) != ["image_url"]:
            message = 'must be a file, or {"image_url": "https://…"}; no files are kept by id here'
            raise InvalidInput.at("", "not_allowed", message)
        given = given["image_url"]
    return image.name, [given] if image.kind == "images" else given


def image_of(model: Model) -> Parameter | None:
    """The parameter for the first frame, None for a model that takes no image."""
    return next((p for p in model.parameters if p.kind in ("image", "images")), None)


def _job_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of `POST /v1/jobs`; `callback_url` is one more of those who hear of the end."""
    found = {
        name: _structured(fields[name])
        for name in FIELDS
        if name not in ("model", "input") and fields.get(name) not in BLANK
    }
    for name in ("notify", "events"):
        if isinstance(found.get(name), str):
            found[name] = [found[name]]
    if isinstance(found.get("cancel_after"), str):
        found["cancel_after"] = _typed("number", found["cancel_after"])
    if fields.get("callback_url") not in BLANK:
        hook = {"channel": "webhook", "target": fields["callback_url"], "format": "openai"}
        others = found.get("notify", [ACCOUNTS_OWN])
        found["notify"] = [*others, hook] if isinstance(others, list) else others
    return found


def _structured(value: Any) -> Any:
    """A list or an object, which a form may hold as JSON."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _in_callers_words(
    fault: FieldError, sent: dict[str, str], fields: dict[str, Any]
) -> FieldError:
    """The fault under the name that the caller sent."""
    pointer = fault.pointer.removeprefix("/input")
    parameter = pointer.split("/")[1] if "/" in pointer else ""
    if pointer.startswith("/notify") and "notify" not in fields:
        return replace(fault, pointer="/callback_url")
    name = sent.get(parameter, parameter)
    if name == parameter:
        return replace(fault, pointer=pointer)
    return replace(fault, pointer=f"/{name}", message=fault.message.replace(parameter, name))

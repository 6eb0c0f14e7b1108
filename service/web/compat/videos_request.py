"""
The parser of creates at ``/v1/videos``: it translates them to the models' own parameters.

A JSON body and a form have the same fields. A value that the model does not accept is
refused with the accepted values, never rounded: seconds and size set the price.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from service.catalogue.models import MODELS, OFFERS, Model, Parameter, find_offer
from service.errors import FieldError, FieldErrors, InvalidInput, got
from service.jobs.budget import price_range
from service.jobs.requests import FIELDS, JobRequest, check_request
from service.model import ACCOUNTS_OWN, Job
from service.web.compat.base import CompatError
from service.web.compat.form_body import FileContent
from service.web.context import channels, wiring

SOURCE = "openai"
#: The aspect ratio of each size; its number of lines matters if a vendor offers a choice.
SIZES = {
    **dict.fromkeys(("1280x720", "1920x1080"), "16:9"),
    **dict.fromkeys(("720x1280", "1080x1920"), "9:16"),
    **dict.fromkeys(("720x720", "1024x1024", "1080x1080"), "1:1"),
}
#: The fields that are not input of a model.
JOB_FIELDS = ("model", "callback_url", *(name for name in FIELDS if name not in ("model", "input")))
BLANK = (None, "")
#: The kinds of parameters that may be a file.
IMAGES = ("image", "images")
#: The input that names the original of a remix, and the model whose names are in the settings.
REMIX, OWN = "remix_of", "videos"


def check_fields(fields: dict[str, Any]) -> JobRequest:
    """
    The request for a job with these fields.

    Raises:
        InvalidInput: all faults, each with a pointer to the field that the caller sent.
    """
    slug, values, offers = _named_model(fields.get("model"), fields.get("provider"))
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
    body = {"model": slug, "input": values} | _job_fields(fields)
    try:
        if sent.get("aspect_ratio") == "size":
            asked = _check_sized(body, offers, fields["size"])
        else:
            asked = check_request(body, channels(), wiring().market())
    except InvalidInput as error:
        named = {fault.pointer for fault in errors.found}
        faults = [_in_callers_words(fault, sent, fields) for fault in error.faults]
        errors.found += [fault for fault in faults if fault.pointer not in named]
    errors.raise_any()
    size = fields.get("size")
    return replace(asked, source=SOURCE, source_fields={"size": size} if size else None)


def _check_sized(body: dict[str, Any], offers: list[Model], size: str) -> JobRequest:
    """
    The request with the number of lines of the size, if the vendor offers a choice.

    A vendor with only one resolution gets the job if it is cheaper. Raises InvalidInput.
    """
    w, lines = wiring(), lines_of(size)
    given = body["input"].get("resolution", lines)
    if given != lines:
        raise InvalidInput.at(
            "/size", "not_allowed", f"{size} is not {given}: leave one of them out"
        )
    exact = body | {"input": body["input"] | {"resolution": lines}}
    if all(offer.parameter("resolution") for offer in offers):
        return check_request(exact, channels(), w.market())
    plain = check_request(body, channels(), w.market())
    try:
        chosen = check_request(exact, channels(), w.market())
    except InvalidInput:
        made = plain.model.parameter("resolution")
        if made and lines not in made.choices:
            raise _not_a_size([plain.model], "/size", size) from None
        if made:
            raise
        return plain
    prices = [price_range(w.settings, one.model, one.input)[1] for one in (chosen, plain)]
    dearer = prices[0] is None or (prices[1] is not None and prices[1] < prices[0])
    return plain if dearer and not plain.model.parameter("resolution") else chosen


def check_remix(source: Job, fields: dict[str, Any]) -> JobRequest:
    """
    The request for a job that remixes a video.

    Raises:
        CompatError: 400, since its model accepts no video.
        InvalidInput: all faults of the fields.
    """
    offer = find_offer(source.model, source.provider)
    if offer is None or not offer.parameter(REMIX):
        can = [one for one, offer in MODELS.items() if offer.parameter(REMIX)]
        images = [one for one, offer in MODELS.items() if image_of(offer)]
        message = (
            f"{source.model} takes no video to start from. Videos of these models can be remixed: "
            f"{', '.join(can)} (your own server). Or create a new video, with an image as "
            f"input_reference: {', '.join(images)}"
        )
        raise CompatError(400, message, code="unsupported")
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


def _named_model(given: Any, provider: Any) -> tuple[Any, dict[str, Any], list[Model]]:
    """
    The model with this name, and its input if it is a model of the user's own server.

    Returns:
        The model, that input, and the offers of possible vendors; the first names the parameters.
    """
    names = wiring().settings.videos_models
    slug, values = given, {}
    if isinstance(given, str) and given in names and given not in OFFERS:
        slug, values = OWN, {"model": given}
    sold = OFFERS.get(slug, {}) if isinstance(slug, str) else {}
    named = [offer for name, offer in sold.items() if name == provider]
    usable = [offer for name, offer in sold.items() if name in wiring().providers]
    return slug, values, named or usable or list(sold.values())


def _translate(offers: list[Model], name: str, value: Any) -> tuple[str, Any]:
    """The model's parameter for a field, and its value."""
    if name == "seconds":
        return "duration", value
    if name == "size" and not any(offer.parameter("size") for offer in offers):
        if value not in sizes_of(offers):
            raise _not_a_size(offers, "", value)
        return "aspect_ratio", SIZES[value]
    if name == "input_reference":
        return _first_image(offers, value)
    known = [p for offer in offers for p in offer.parameters if name in (p.name, *p.aliases)]
    if isinstance(value, FileContent) and not (known and known[0].kind in IMAGES):
        raise InvalidInput.at("", "wrong_type", "must be a text, not a file")
    return name, _typed(known[0].kind, value) if known and isinstance(value, str) else value


def _typed(kind: str, text: str) -> Any:
    """Convert a value that a form has only as text."""
    if kind == "number":
        with suppress(ValueError):
            return float(text)
    if kind == "flag":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind == "json" and text[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(text)
    return [text] if kind == "images" else text


def sizes_of(offers: list[Model]) -> list[str]:
    """The sizes that one of these accepts, or whose aspect ratio it makes."""
    own = [size for offer in offers if (p := offer.parameter("size")) for size in p.choices]
    if own:
        return own
    return [size for size in SIZES if any(_makes(offer, size) for offer in offers)]


def lines_of(size: str) -> str:
    """The name of a size such as ``1280x720`` by its lines: ``720p``."""
    return f"{min(int(side) for side in size.split('x'))}p"


def _makes(offer: Model, size: str) -> bool:
    ratio, lines = offer.parameter("aspect_ratio"), offer.parameter("resolution")
    fits = lines is None or lines_of(size) in lines.choices
    return ratio is not None and SIZES[size] in ratio.choices and fits


def _not_a_size(offers: list[Model], at: str, given: Any) -> InvalidInput:
    allowed = ", ".join(f'"{one}"' for one in sizes_of(offers))
    return InvalidInput.at(at, "not_allowed", f"must be one of {allowed}{got(given)}")


def _first_image(offers: list[Model], given: Any) -> tuple[str, Any]:
    """The parameter and value of the first frame: a file, or an object with an image's URL."""
    image = next((found for offer in offers if (found := image_of(offer))), None)
    if image is None:
        others = ", ".join(slug for slug, one in MODELS.items() if image_of(one))
        message = f"{offers[0].slug} takes no image; these models do: {others}"
        raise InvalidInput.at("", "not_allowed", message)
    if isinstance(given, dict):
        if list(given) != ["image_url"] or given["image_url"] in BLANK:
            message = 'must be a file, or {"image_url": "https://…"}; no files are kept by id here'
            raise InvalidInput.at("", "not_allowed", message)
        given = given["image_url"]
    images = given if isinstance(given, list) else [given]
    if image.kind == "images":
        return image.name, images
    if len(images) != 1:
        message = f"{offers[0].slug} takes one image, not a list of {len(images)}"
        raise InvalidInput.at("", "not_allowed", message)
    return image.name, images[0]


def image_of(model: Model) -> Parameter | None:
    """The parameter for the first frame; None for a model that accepts no image."""
    return next((p for p in model.parameters if p.kind in IMAGES), None)


def _job_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of `POST /v1/jobs`; `callback_url` becomes one more target of `notify`."""
    found = {
        name: _typed("json", fields[name]) if isinstance(fields[name], str) else fields[name]
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


def _in_callers_words(
    fault: FieldError, sent: dict[str, str], fields: dict[str, Any]
) -> FieldError:
    """The fault with the name of the field that the caller sent."""
    pointer = fault.pointer.removeprefix("/input")
    parameter = pointer.split("/")[1] if "/" in pointer else ""
    if pointer.startswith("/notify") and "notify" not in fields:
        return replace(fault, pointer="/callback_url")
    name = sent.get(parameter, parameter)
    if name == parameter:
        return replace(fault, pointer=pointer)
    return replace(fault, pointer=f"/{name}", message=fault.message.replace(parameter, name))

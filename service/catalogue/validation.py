"""
Checking a model's input against the catalogue: every fault at once, types settled.

The documents' contradictions are decided here: "10" is 10, a blank is absent,
and nothing that could change the price is left to a vendor's silent default.
"""

from __future__ import annotations

import json
import re
from string import punctuation
from typing import Any
from urllib.parse import quote

from service.catalogue.models import OFFERS, Model, Parameter
from service.errors import FieldErrors, InvalidInput, did_you_mean, got, json_pointer
from service.media.image_formats import BadImage, decode, is_url

#: A URL's path, query and fragment.
_BEHIND_HOST = re.compile(r"(?<=[^/:])[/?#].*")


def check_input(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """
    The input as it will be sent, by parameter: typed, with defaults, without blanks.

    Raises:
        InvalidInput: all faults, with pointers below ``/input``.
    """
    errors = FieldErrors("/input")
    given = _by_own_names(model, given, errors)
    for name in [one for one in given if not model.parameter(one)]:
        # What the vendor takes instead, and which others take this.
        known, sold = ", ".join(p.name for p in model.parameters), OFFERS.get(model.slug, {})
        others = [f'"{vendor}"' for vendor, offer in sold.items() if offer.parameter(name)]
        seller = model.slug if len(sold) < 2 else f"{model.provider}'s {model.slug}"
        hint = did_you_mean(name, [p.name for p in model.parameters])
        if others:
            hint = f'; {name} works with "provider": {" or ".join(others)}'
        errors.add(json_pointer(name), "unknown_field", f"{seller} takes only {known}{hint}")
    values: dict[str, Any] = {}
    for parameter in model.parameters:
        with errors.collect(json_pointer(parameter.name)):
            value = _read_value(parameter, given.get(parameter.name))
            if value is not None:
                values[parameter.name] = value
    faulty = {"/".join(fault.pointer.split("/")[:3]) for fault in errors.found}
    relations = FieldErrors("/input")
    _check_relations(model, values, relations)
    errors.found += [fault for fault in relations.found if fault.pointer not in faulty]
    errors.raise_any()
    return values


def _by_own_names(model: Model, given: dict[str, Any], errors: FieldErrors) -> dict[str, Any]:
    """The input with other vendors' names for a parameter replaced by this vendor's own."""
    names = {alias: p.name for p in model.parameters for alias in p.aliases}
    found = dict(given)
    for alias in [name for name in given if name in names and not model.parameter(name)]:
        if names[alias] in given:
            message = f"means the same as {names[alias]}: give one of them"
            errors.add(json_pointer(alias), "not_allowed", message)
        value = found.pop(alias)
        found.setdefault(names[alias], value)
    return found


def _read_value(parameter: Parameter, value: Any) -> Any:
    if any(value == blank and type(value) is type(blank) for blank in parameter.absent):
        if parameter.required:
            raise _wrong("required", "this field is required")
        return parameter.default
    return READERS[parameter.kind](parameter, value)


def _wrong(code: str, message: str) -> InvalidInput:
    """An error in the value at hand; `check_input` adds the parameter's name."""
    return InvalidInput.at("", code, message)


def read_text(parameter: Parameter, value: Any) -> str:
    """
    A string: one of the choices, else not blank and not too long.

    Raises:
        InvalidInput: as every reader of a parameter's value does.
    """
    if not isinstance(value, str):
        raise _wrong("wrong_type", "must be a string" + got(value))
    if parameter.choices:
        return str(_choice(parameter, value))
    if not value.strip():
        raise _wrong("blank", "must not be blank")
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise _wrong("bad_characters", "must be text without NUL or lone surrogates")
    if parameter.max_length and len(value) > parameter.max_length:
        limit = f"must have at most {parameter.max_length} characters, has {len(value)}"
        raise _wrong("too_long", limit)
    return value


def _choice(parameter: Parameter, value: Any) -> Any:
    if value not in parameter.choices:
        allowed = ", ".join(json.dumps(c) for c in parameter.choices)
        raise _wrong("not_allowed", f"must be one of {allowed}{got(value)}")
    return value


def read_number(parameter: Parameter, value: Any) -> float:
    """A number within the parameter's range, on one of its steps."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise _wrong("wrong_type", "must be a number" + got(value))
    _within(parameter, value)
    steps = value / parameter.step if parameter.step else 0.0
    if abs(steps - round(steps)) > 1e-6:
        raise _wrong("not_allowed", f"must be a multiple of {parameter.step}{got(value)}")
    return value


def read_integer(parameter: Parameter, value: Any) -> int:
    """A whole number: 5 or "5", as in the vendors' own samples; never true or 5.5."""
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,4}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise _wrong("wrong_type", "must be a whole number" + got(value))
    if parameter.choices:
        _choice(parameter, value)
    else:
        _within(parameter, value)
    return int(value)


def read_flag(parameter: Parameter, value: Any) -> bool:
    """true or false, also as the text that forms and command lines send."""
    words = {"true": True, "false": False}
    found = words.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise _wrong("wrong_type", "must be true or false" + got(value))
    return found


def _within(parameter: Parameter, value: float) -> None:
    if parameter.low is None or parameter.high is None:
        return
    if not parameter.low <= value <= parameter.high:
        bounds = f"must be from {parameter.low:g} to {parameter.high:g}"
        raise _wrong("out_of_range", bounds + got(value))


def read_image(parameter: Parameter, value: Any) -> str:
    """An image as an http(s) URL, which is not fetched here, or as base64 data."""
    if not isinstance(value, str):
        raise _wrong("wrong_type", "must be an http(s) URL or base64 image data" + got(value))
    text: str = value.strip()
    if is_url(text):
        if len(text) > 2048 or any(c.isspace() or not c.isprintable() for c in text):
            raise _wrong("invalid_image_url", "must be one URL of at most 2048 characters")
        # Not every vendor encodes other letters than ASCII's by itself.
        return _BEHIND_HOST.sub(lambda found: quote(found[0], safe=punctuation), text, 1)
    try:
        decode(text)
    except BadImage as bad:
        raise _wrong(bad.code.lower(), str(bad)) from None
    return text


def read_images(parameter: Parameter, value: Any) -> list[str] | None:
    """One or two images; None for an empty list."""
    if not isinstance(value, list):
        raise _wrong("wrong_type", "must be a list of one or two image URLs" + got(value))
    if len(value) > 2:
        raise _wrong("too_many", "takes at most two images: first and last frame")
    errors, found = FieldErrors(), []
    for place, one in enumerate(value):
        with errors.collect(f"/{place}"):
            found.append(read_image(parameter, one))
    errors.raise_any()
    return found or None


#: How the value of each kind of parameter is read and checked.
READERS: dict[str, Any] = {
    "text": read_text,
    "number": read_number,
    "integer": read_integer,
    "flag": read_flag,
    "image": read_image,
    "images": read_images,
}


def _check_relations(model: Model, values: dict[str, Any], errors: FieldErrors) -> None:
    """Check the fields against each other; fills in APIXO's mode from the images."""
    if model.parameter("image_urls"):
        with errors.collect():
            _check_mode(values)
    for parameter in [one for one in model.parameters if one.name in values]:
        if parameter.needs and parameter.needs not in values:
            message = f"a last frame needs a first one: give {parameter.needs} too"
            errors.add(json_pointer(parameter.needs), "required", message)
        if parameter.excludes in values:
            message = f"leave it out: the video starts from {parameter.name}"
            errors.add(json_pointer(parameter.excludes), "not_allowed", message)
        name, allowed = parameter.only_with or ("", ())
        if parameter.only_with and values.get(name) not in allowed:
            choices = " or ".join(json.dumps(value) for value in allowed)
            message = f"works only with {name} {choices}"
            errors.add(json_pointer(parameter.name), "not_allowed", message)
    together = ("camera_control_config", "camera_control_config_value")
    missing = [name for name in together if name not in values]
    if model.parameter("camera_control_type") and len(missing) < len(together):
        for name in missing:
            errors.add(json_pointer(name), "required", "an axis and its value go together")
        if values.get("camera_control_type") != "simple":
            message = 'an axis works only with camera_control_type "simple"'
            errors.add("/camera_control_type", "not_allowed", message)


def _check_mode(values: dict[str, Any]) -> None:
    """Settle APIXO's mode and frame; images and text exclude each other."""
    has_images = "image_urls" in values
    mode = values.setdefault("mode", "image-to-video" if has_images else "text-to-video")
    if mode == "image-to-video" and not has_images:
        message = "image-to-video needs one or two images"
        raise InvalidInput.at("/image_urls", "required", message)
    if mode == "text-to-video" and has_images:
        message = "text-to-video takes no images"
        raise InvalidInput.at("/image_urls", "not_allowed", message)
    if has_images and "aspect_ratio" in values:
        message = "the image decides the frame: leave aspect_ratio out of image-to-video"
        raise InvalidInput.at("/aspect_ratio", "not_allowed", message)
    if not has_images:
        values.setdefault("aspect_ratio", "16:9")


def json_schema(model: Model) -> dict[str, Any]:
    """The model's input as JSON Schema (2020-12)."""
    types = {"text": "string", "image": "string", "images": "array", "flag": "boolean"}
    properties = {}
    for parameter in model.parameters:
        found: dict[str, Any] = {
            "type": types.get(parameter.kind, parameter.kind),
            "description": parameter.note,
            "default": parameter.default,
            "enum": list(parameter.choices) if parameter.kind != "flag" else None,
            "minimum": parameter.low,
            "maximum": parameter.high,
            "multipleOf": parameter.step,
            "maxLength": parameter.max_length,
        }
        if parameter.kind == "images":
            found |= {"items": {"type": "string"}, "maxItems": 2}
        properties[parameter.name] = {
            k: value for k, value in found.items() if value not in (None, [])
        }
    return {
        "type": "object",
        "properties": properties,
        "required": [p.name for p in model.parameters if p.required],
        "additionalProperties": False,
    }

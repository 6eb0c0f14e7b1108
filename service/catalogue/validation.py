"""
Checking a model's input against the catalogue: every fault at once, types settled.

The documents' contradictions are decided here: "10" is 10, a blank is absent,
and nothing that could change the price is left to a vendor's silent default.
"""

from __future__ import annotations

import json
import re
from typing import Any

from service.catalogue.models import Model, Parameter
from service.errors import FieldError, InvalidInput, json_pointer
from service.media.image_formats import BadImage, decode, is_url


def check_input(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """
    The input as it will be sent: types settled, defaults filled in, blanks gone.

    Raises:
        InvalidInput: with every fault at once, pointers below ``/input``.
    """
    faults: list[FieldError] = [
        _unknown(model, name) for name in given if not model.parameter(name)
    ]
    values: dict[str, Any] = {}
    for parameter in model.parameters:
        value = _one_value(parameter, given.get(parameter.name), faults)
        if value is not None:
            values[parameter.name] = value
    faulty = {"/".join(fault.pointer.split("/")[:3]) for fault in faults}
    faults += [f for f in _relations(model, values) if f.pointer not in faulty]
    if faults:
        raise InvalidInput(faults)
    return values


def _unknown(model: Model, name: str) -> FieldError:
    known = ", ".join(p.name for p in model.parameters)
    return FieldError(
        json_pointer("input", name), "unknown_field", f"{model.slug} takes only {known}"
    )


def _one_value(parameter: Parameter, value: Any, faults: list[FieldError]) -> Any:
    if any(value == blank and type(value) is type(blank) for blank in parameter.absent):
        if parameter.required:
            faults.append(
                FieldError(
                    json_pointer("input", parameter.name), "required", "this field is required"
                )
            )
        return parameter.default
    try:
        return _READERS[parameter.kind](parameter, value)
    except _Wrong as wrong:
        faults.append(
            FieldError(
                json_pointer("input", parameter.name) + wrong.below, wrong.code, wrong.message
            )
        )
        return None


class _Wrong(Exception):
    def __init__(self, code: str, message: str, below: str = "") -> None:
        self.code, self.message, self.below = code, message, below


def _text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("wrong_type", "must be a string")
    if parameter.choices:
        return str(_choice(parameter, value))
    if not value.strip():
        raise _Wrong("blank", "must not be blank")
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise _Wrong("bad_characters", "must be text without NUL or lone surrogates")
    if parameter.max_length and len(value) > parameter.max_length:
        limit = f"must have at most {parameter.max_length} characters, has {len(value)}"
        raise _Wrong("too_long", limit)
    return value


def _choice(parameter: Parameter, value: Any) -> Any:
    if value not in parameter.choices:
        allowed = ", ".join(json.dumps(c) for c in parameter.choices)
        raise _Wrong("not_allowed", f"must be one of {allowed}")
    return value


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise _Wrong("wrong_type", "must be a number")
    _within(parameter, value)
    steps = value / parameter.step if parameter.step else 0.0
    if abs(steps - round(steps)) > 1e-6:
        raise _Wrong("not_allowed", f"must be a multiple of {parameter.step}")
    return value


def _integer(parameter: Parameter, value: Any) -> int:
    """Takes 5 and "5", as the vendors' own samples do; never true or 5.5."""
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,4}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise _Wrong("wrong_type", "must be a whole number")
    if parameter.choices:
        _choice(parameter, value)
    else:
        _within(parameter, value)
    return int(value)


def _within(parameter: Parameter, value: float) -> None:
    if parameter.low is None or parameter.high is None:
        return
    if not parameter.low <= value <= parameter.high:
        raise _Wrong("out_of_range", f"must be from {parameter.low:g} to {parameter.high:g}")


def _image_text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("wrong_type", "must be an http(s) URL or base64 image data")
    if is_url(value):
        return _image_url(value)
    try:
        decode(value)
    except BadImage as bad:
        raise _Wrong(bad.code.lower(), str(bad)) from None
    return value


def _image_url(value: str) -> str:
    if len(value) > 2048 or any(c.isspace() or not c.isprintable() for c in value):
        raise _Wrong("invalid_image_url", "must be one URL of at most 2048 characters")
    return value


def _images(parameter: Parameter, value: Any) -> list[str] | None:
    if not isinstance(value, list):
        raise _Wrong("wrong_type", "must be a list of one or two image URLs")
    if len(value) > 2:
        raise _Wrong("too_many", "takes at most two images: first and last frame")
    return [_listed_image(parameter, one, place) for place, one in enumerate(value)] or None


def _listed_image(parameter: Parameter, value: Any, place: int) -> str:
    try:
        return _image_text(parameter, value)
    except _Wrong as wrong:
        raise _Wrong(wrong.code, wrong.message, f"/{place}") from None


_READERS: dict[str, Any] = {
    "text": _text,
    "number": _number,
    "integer": _integer,
    "image": _image_text,
    "images": _images,
}


def _relations(model: Model, values: dict[str, Any]) -> list[FieldError]:
    """What one field demands of another; fills in APIXO's mode from the images."""
    faults = []
    if model.parameter("image_urls"):
        faults += _mode_and_images(values)
    if "tail_image_url" in values and "image_url" not in values:
        message = "a last frame needs a first one: give image_url too"
        faults.append(FieldError("/input/image_url", "required", message))
    if model.parameter("camera_control_type"):
        faults += _camera(values)
    return faults


def _mode_and_images(values: dict[str, Any]) -> list[FieldError]:
    has_images = "image_urls" in values
    mode = values.setdefault("mode", "image-to-video" if has_images else "text-to-video")
    if mode == "image-to-video" and not has_images:
        return [
            FieldError("/input/image_urls", "required", "image-to-video needs one or two images")
        ]
    if mode == "text-to-video" and has_images:
        return [FieldError("/input/image_urls", "not_allowed", "text-to-video takes no images")]
    if has_images and "aspect_ratio" in values:
        message = "the image decides the frame: leave aspect_ratio out of image-to-video"
        return [FieldError("/input/aspect_ratio", "not_allowed", message)]
    if not has_images:
        values.setdefault("aspect_ratio", "16:9")
    return []


def _camera(values: dict[str, Any]) -> list[FieldError]:
    axis, distance = "camera_control_config", "camera_control_config_value"
    if axis not in values and distance not in values:
        return []
    missing = [name for name in (axis, distance) if name not in values]
    faults = [
        FieldError(f"/input/{n}", "required", "an axis and its value go together") for n in missing
    ]
    if values.get("camera_control_type") != "simple":
        message = 'an axis works only with camera_control_type "simple"'
        faults.append(FieldError("/input/camera_control_type", "not_allowed", message))
    return faults


def json_schema(model: Model) -> dict[str, Any]:
    """The model's input as JSON Schema (2020-12)."""
    return {
        "type": "object",
        "properties": {p.name: _property(p) for p in model.parameters},
        "required": [p.name for p in model.parameters if p.required],
        "additionalProperties": False,
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    types = {"text": "string", "image": "string", "images": "array"}
    found: dict[str, Any] = {
        "type": types.get(parameter.kind, parameter.kind),
        "description": parameter.note,
        "default": parameter.default,
        "enum": list(parameter.choices) or None,
        "minimum": parameter.low,
        "maximum": parameter.high,
        "multipleOf": parameter.step,
        "maxLength": parameter.max_length,
    }
    if parameter.kind == "images":
        found |= {"items": {"type": "string"}, "maxItems": 2}
    return {key: value for key, value in found.items() if value is not None}

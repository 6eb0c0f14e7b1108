"""
The models: what each takes, costs and needs.

One frozen table. Validation, `/v1/models`, the command line's help and the
sandbox's strictness are all read from it; a new model is one more entry.
Ranges and defaults are the vendors' documented ones, except that no documented
*example* (a prompt, a picture) is ever taken for a default.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from service.errors import Fault, InvalidInput, pointer
from service.imagedata import BadImage, decode, is_url

ASPECT_RATIOS = ("16:9", "9:16", "1:1")
CAMERA_AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
CAMERA_TYPES = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
PROMPT_LENGTH = 2500


@dataclass(frozen=True)
class Parameter:
    """
    One input of a model, under its documented name.

    `kind` is ``text``, ``number``, ``integer``, ``image`` or ``images``;
    `choices` closes the set; `low` and `high` are inclusive. `absent` lists
    values that the vendors' documents use for "not given".
    """

    name: str
    kind: str
    note: str
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    max_length: int | None = None
    absent: tuple[Any, ...] = (None, "")


@dataclass(frozen=True)
class Model:
    """
    One sold model.

    Prices are US dollars per video, lowest and highest, ``None`` where the
    vendor states none; `prices` maps (mode, seconds) where it is known
    exactly. `expected_seconds` is the vendor's own figure by duration;
    `calls_back` says whether the vendor tells us the end, or has to be asked.
    """

    slug: str
    title: str
    provider: str
    parameters: tuple[Parameter, ...]
    expected_seconds: dict[int, float]
    price_min: float | None = None
    price_max: float | None = None
    prices: dict[tuple[str, int], float] = field(default_factory=dict)
    poll_after: float = 30.0
    poll_every: float = 5.0
    calls_back: bool = False
    routes: tuple[str, ...] = ("auto",)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def expected(self, values: dict[str, Any]) -> float:
        """Seconds that the vendor says this input takes."""
        return self.expected_seconds[values["duration"]]

    def price_range(self, values: dict[str, Any]) -> tuple[float | None, float | None]:
        """Lowest and highest price of this input in dollars; None where nobody states it."""
        exact = self.prices.get((values.get("mode") or "", values["duration"]))
        return (exact, exact) if exact is not None else (self.price_min, self.price_max)


def _prompt() -> Parameter:
    return Parameter("prompt", "text", "What the video shows.", True, max_length=PROMPT_LENGTH)


def _negative() -> Parameter:
    return Parameter("negative_prompt", "text", "What it must not show.", max_length=PROMPT_LENGTH)


def _ratio() -> Parameter:
    note = "Frame size; a given image decides it instead."
    return Parameter("aspect_ratio", "text", note, default="16:9", choices=ASPECT_RATIOS)


def _duration(default: int) -> Parameter:
    note = "Seconds of video; always sent, since it sets the price."
    return Parameter("duration", "integer", note, default=default, choices=(5, 10))


def _cfg(default: float | None, step: float | None = None) -> Parameter:
    note = "How closely the prompt is followed."
    return Parameter("cfg_scale", "number", note, default=default, low=0, high=1, step=step)


def _mode(*choices: str) -> Parameter:
    return Parameter("mode", "text", "Quality.", default=choices[0], choices=choices)


def _image(name: str, note: str) -> Parameter:
    return Parameter(name, "image", note, absent=(None, "", 1))


MODELS: dict[str, Model] = {
    model.slug: model
    for model in (
        Model(
            slug="kling-2-5-turbo-pro",
            title="Kling 2.5 Turbo Pro",
            provider="apixo",
            parameters=(
                _prompt(),
                Parameter(
                    "mode",
                    "text",
                    "Told by the images where it is left out.",
                    choices=("text-to-video", "image-to-video"),
                ),
                _duration(5),
                Parameter("image_urls", "images", "First frame, and the last one as a second."),
                Parameter(
                    "aspect_ratio", "text", "Frame size; text-to-video only.", choices=ASPECT_RATIOS
                ),
                _negative(),
                _cfg(None, step=0.1),
            ),
            expected_seconds={5: 45.0, 10: 60.0},
            routes=("auto", "value", "official"),
            calls_back=True,
        ),
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="segmind",
            parameters=(
                _prompt(),
                _duration(10),
                _ratio(),
                _cfg(0.7),
                _mode("pro"),
                _negative(),
                _image("image_url", "First frame."),
                _image("tail_image_url", "Last frame; needs image_url."),
            ),
            expected_seconds={5: 134.32, 10: 134.32},
            price_min=0.44,
            price_max=0.88,
            prices={("pro", 5): 0.44, ("pro", 10): 0.88},
            poll_after=20.0,
            poll_every=3.0,
        ),
        Model(
            slug="kling-text2video",
            title="Kling text to video",
            provider="segmind",
            parameters=(
                _prompt(),
                _duration(5),
                _ratio(),
                _cfg(0.5),
                _mode("std", "pro"),
                _negative(),
                Parameter("camera_control_type", "text", "Camera movement.", choices=CAMERA_TYPES),
                Parameter(
                    "camera_control_config",
                    "text",
                    "The axis that moves; type simple only.",
                    choices=CAMERA_AXES,
                ),
                Parameter(
                    "camera_control_config_value",
                    "integer",
                    "How far along that axis.",
                    low=-10,
                    high=10,
                ),
            ),
            expected_seconds={5: 320.06, 10: 320.06},
            price_min=0.28,
            price_max=1.96,
            prices={("std", 5): 0.28, ("pro", 10): 1.96},
            poll_after=30.0,
        ),
        Model(
            slug="kling-2",
            title="Kling 2.0",
            provider="segmind",
            parameters=(
                _prompt(),
                _duration(5),
                _ratio(),
                _cfg(0.5),
                _negative(),
                _image("start_image", "First frame."),
            ),
            expected_seconds={5: 317.18, 10: 317.18},
            price_min=1.75,
            price_max=3.50,
            prices={("", 5): 1.75, ("", 10): 3.50},
            poll_after=30.0,
        ),
    )
}


def check_input(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """
    The input as it will be sent: types settled, defaults filled in, blanks gone.

    Raises:
        InvalidInput: with every fault at once, pointers below ``/input``.
    """
    faults: list[Fault] = [_unknown(model, name) for name in given if not model.parameter(name)]
    values: dict[str, Any] = {}
    for parameter in model.parameters:
        value = _one_value(parameter, given.get(parameter.name), faults)
        if value is not None:
            values[parameter.name] = value
    faulty = {fault.pointer for fault in faults}
    faults += [f for f in _relations(model, values) if f.pointer not in faulty]
    if faults:
        raise InvalidInput(faults)
    return values


def _unknown(model: Model, name: str) -> Fault:
    known = ", ".join(p.name for p in model.parameters)
    return Fault(pointer("input", name), "unknown_field", f"{model.slug} takes only {known}")


def _one_value(parameter: Parameter, value: Any, faults: list[Fault]) -> Any:
    if any(value == blank and type(value) is type(blank) for blank in parameter.absent):
        if parameter.required:
            faults.append(
                Fault(pointer("input", parameter.name), "required", "this field is required")
            )
        return parameter.default
    try:
        return _READERS[parameter.kind](parameter, value)
    except _Wrong as wrong:
        faults.append(
            Fault(pointer("input", parameter.name) + wrong.below, wrong.code, wrong.message)
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
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,5}", value):
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
    for place, one in enumerate(value):
        if not isinstance(one, str) or not one:
            raise _Wrong("wrong_type", "must be an http(s) URL or base64 data", f"/{place}")
    return [_image_text(parameter, one) for one in value] or None


_READERS: dict[str, Any] = {
    "text": _text,
    "number": _number,
    "integer": _integer,
    "image": _image_text,
    "images": _images,
}


def _relations(model: Model, values: dict[str, Any]) -> list[Fault]:
    """What one field demands of another; fills in APIXO's mode from the images."""
    faults = []
    if model.parameter("image_urls"):
        faults += _mode_and_images(values)
    if "tail_image_url" in values and "image_url" not in values:
        message = "a last frame needs a first one: give image_url too"
        faults.append(Fault("/input/image_url", "required", message))
    if model.parameter("camera_control_type"):
        faults += _camera(values)
    return faults


def _mode_and_images(values: dict[str, Any]) -> list[Fault]:
    has_images = "image_urls" in values
    mode = values.setdefault("mode", "image-to-video" if has_images else "text-to-video")
    if mode == "image-to-video" and not has_images:
        return [Fault("/input/image_urls", "required", "image-to-video needs one or two images")]
    if mode == "text-to-video" and has_images:
        return [Fault("/input/image_urls", "not_allowed", "text-to-video takes no images")]
    if has_images and "aspect_ratio" in values:
        message = "the image decides the frame: leave aspect_ratio out of image-to-video"
        return [Fault("/input/aspect_ratio", "not_allowed", message)]
    if not has_images:
        values.setdefault("aspect_ratio", "16:9")
    return []


def _camera(values: dict[str, Any]) -> list[Fault]:
    axis, distance = "camera_control_config", "camera_control_config_value"
    if axis not in values and distance not in values:
        return []
    missing = [name for name in (axis, distance) if name not in values]
    faults = [
        Fault(f"/input/{n}", "required", "an axis and its value go together") for n in missing
    ]
    if values.get("camera_control_type") != "simple":
        message = 'an axis works only with camera_control_type "simple"'
        faults.append(Fault("/input/camera_control_type", "not_allowed", message))
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

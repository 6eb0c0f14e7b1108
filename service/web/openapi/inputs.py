"""
What a job's body may hold, to the letter: the models' inputs with their relations, and targets.

`/v1/models` shows what to send; this also says what is taken besides (a blank
for "not given", "5" for 5), so that a program can tell beforehand what is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from service.catalogue.models import CAMERA_AXES, MODELS, Model, Parameter
from service.catalogue.validation import json_schema
from service.channels.base import Channel
from service.deliveries.subscriptions import JOBLESS, METADATA_PAIRS
from service.jobs.requests import NOTIFY_LENGTH
from service.messages.payloads import FORMATS
from service.model import ACCOUNTS_OWN, EventType
from service.web.openapi.builders import Schema, list_of, one_of, text, things

#: Some text without NUL.
_WORDS = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
_IMAGE_NOTE = "An http(s) URL, a data URI, or base64 of a JPG, PNG or WebP of at most 10 MB."
_BLANKS = [None, ""]
#: The formats that can tell of everything; APIXO's can tell of jobs only.
USUAL = tuple(format_ for format_ in FORMATS if format_ != "apixo")
JOB_EVENTS = tuple(type_ for type_ in EventType if type_ not in JOBLESS)
#: A title, the fields that are narrower in this shape, and those that it needs besides.
Shape = tuple[str, dict[str, Schema], tuple[str, ...]]


def taken_input(model: Model) -> Schema:
    """The input of a model, exactly as `inputs.check_input` takes it."""
    shown = json_schema(model)["properties"]
    taken = {p.name: _taken(p, shown[p.name]) for p in model.parameters}
    shapes = [
        {
            "type": "object",
            "title": title,
            "properties": taken | {n: _noted(taken[n], one) for n, one in narrowed.items()},
            "required": ["prompt", *needed],
            "additionalProperties": False,
        }
        for title, narrowed, needed in _shapes(model, taken)
    ]
    about = {"description": f"What {model.title} takes."}
    return about | (shapes[0] if len(shapes) == 1 else {"anyOf": shapes})


def _taken(parameter: Parameter, shown: Schema) -> Schema:
    told = {name: shown[name] for name in ("description", "default") if name in shown}
    exact = {name: value for name, value in shown.items() if name not in told}
    if parameter.kind == "text" and not parameter.choices:
        exact["pattern"] = _WORDS
    if parameter.step and parameter.high:
        steps = round(parameter.high / parameter.step)
        exact = {"enum": [round(n * parameter.step, 6) for n in range(steps + 1)]}
    if parameter.kind == "image":
        exact = _image()
    if parameter.kind == "images":
        exact = {"type": "array", "items": _image(), "maxItems": 2}
    if parameter.required:
        return told | exact
    return told | {"anyOf": [exact, *_as_text(parameter), {"enum": list(parameter.absent)}]}


def _noted(field: Schema, narrowed: Schema) -> Schema:
    """The narrower schema of a field, which means the same."""
    return {"description": field["description"], **narrowed}


def _image() -> Schema:
    return text(_IMAGE_NOTE, format="image")


def _as_text(parameter: Parameter) -> list[Schema]:
    """Whole numbers are taken as text too, as the vendors' own samples send them."""
    if parameter.kind != "integer":
        return []
    numbers = parameter.choices or range(int(parameter.low or 0), int(parameter.high or 0) + 1)
    return [{"enum": [str(number) for number in numbers]}]


def _shapes(model: Model, taken: dict[str, Schema]) -> list[Shape]:
    """What one field demands of another, as shapes."""
    if model.parameter("image_urls"):
        return _apixo_shapes()
    if model.parameter("tail_image_url"):
        without: dict[str, Schema] = {"tail_image_url": {"enum": [*_BLANKS, 1]}}
        return [("One image or none", without, ()), _two_frames()]
    if model.parameter("camera_control_type"):
        axis, distance = "camera_control_config", "camera_control_config_value"
        still: dict[str, Schema] = {axis: {"enum": _BLANKS}, distance: {"enum": _BLANKS}}
        moving: dict[str, Schema] = {
            "camera_control_type": {"const": "simple"},
            axis: {"enum": list(CAMERA_AXES)},
            distance: {"anyOf": taken[distance]["anyOf"][:2]},
        }
        return [("No axis", still, ()), ("Along an axis", moving, tuple(moving))]
    return [("", {}, ())]


def _apixo_shapes() -> list[Shape]:
    from_text: dict[str, Schema] = {
        "mode": {"enum": ["text-to-video", *_BLANKS]},
        "image_urls": {"enum": [*_BLANKS, []]},
    }
    from_image: dict[str, Schema] = {
        "mode": {"enum": ["image-to-video", *_BLANKS]},
        "image_urls": {"type": "array", "items": _image(), "minItems": 1, "maxItems": 2},
        "aspect_ratio": {"enum": _BLANKS},
    }
    return [("From text", from_text, ()), ("From images", from_image, ("image_urls",))]


def _two_frames() -> Shape:
    return "First and last frame", {"image_url": _image()}, ("image_url",)


def job_request(providers: Collection[str], channels: Mapping[str, Channel]) -> Schema:
    """The body of `POST /v1/jobs`: its input by the model, of those that this server sells."""
    sold = [model for model in MODELS.values() if model.provider in providers]
    told = "Who hears of it: an empty list nobody, null or nothing your subscriptions."
    notify = list_of(_wished(channels), told, maxItems=NOTIFY_LENGTH) | {"type": ["array", "null"]}
    metadata = things("Yours, at most 4 kB; comes back in the job and its events.")
    return {
        "type": "object",
        "properties": {
            "model": one_of("What shall make it; see `/v1/models`.", [m.slug for m in sold]),
            "input": things("What the model takes, under its documented names."),
            "provider": {"description": "The vendor's own route; `auto` where it has none."},
            "notify": notify,
            "metadata": metadata | {"type": ["object", "null"]},
        },
        "required": ["model", "input"],
        "additionalProperties": False,
        "anyOf": [_of(model) for model in sold],
    }


def _of(model: Model) -> Schema:
    return {
        "title": model.title,
        "properties": {
            "model": {"const": model.slug},
            "input": {"$ref": f"#/components/schemas/Input-{model.slug}"},
            "provider": {"enum": [*model.routes, None]},
        },
    }


def _wished(channels: Mapping[str, Channel]) -> Schema:
    own = {"const": ACCOUNTS_OWN, "description": "Your own subscriptions, beside others."}
    short = text("CHANNEL:TARGET, such as `slack:https://…`.", format="channel-target")
    return {"anyOf": [own, short, {"$ref": "#/components/schemas/NewSubscription"}]}


def subscription_request(channels: Mapping[str, Channel]) -> Schema:
    """The body of `POST /v1/subscriptions`: one shape for each channel and kind of format."""
    shapes = []
    for name, channel in channels.items():
        usual = [format_ for format_ in channel.formats if format_ != "apixo"]
        shapes.append(_subscription(name, usual, [*usual, *_BLANKS], tuple(EventType)))
        if "apixo" in channel.formats:
            shape = _subscription(name, ["apixo"], ["apixo"], JOB_EVENTS)
            shapes.append(shape | {"required": [*shape["required"], "format"]})
    return {"description": "Where news shall go; one shape for each channel.", "anyOf": shapes}


def _subscription(
    channel: str, formats: list[str], taken: list[Any], events: tuple[str, ...]
) -> Schema:
    return {
        "type": "object",
        "title": f"{channel}, {' or '.join(formats)}",
        "properties": {
            "channel": {"const": channel, "description": "The kind of transport."},
            "target": TARGETS[channel],
            "format": {"enum": taken, "description": "The body's form; the first is the usual."},
            **narrowings(events),
        },
        "required": ["channel", "target"],
        "additionalProperties": False,
    }


def narrowings(events: tuple[str, ...] = tuple(EventType)) -> dict[str, Schema]:
    """What narrows a subscription: events, models, and pairs of a job's metadata."""
    worth = {"type": ["string", "number", "boolean"]}
    wanted = list_of(one_of("An event.", events), "Which events; none: the usual ones.")
    models = list_of(one_of("A model.", MODELS), "Only jobs of these models; none: of all.")
    pairs = things("Only jobs that bear these very pairs.", maxProperties=METADATA_PAIRS)
    return {
        "events": wanted | {"type": ["array", "null"]},
        "models": models | {"type": ["array", "null"]},
        "metadata": pairs | {"additionalProperties": worth, "type": ["object", "null"]},
    }


#: What each channel's target is.
TARGETS: dict[str, Schema] = {
    "webhook": text("An http(s) URL that this server may reach.", format="http-url", minLength=8),
    "slack": text("The URL of an incoming webhook of Slack.", format="http-url", minLength=8),
    "email": text("An address.", format="email"),
    "slack_bot": text("A Slack channel's id or name.", format="slack-channel"),
    "apprise": text("An Apprise URL; for operators only.", format="apprise-url"),
}

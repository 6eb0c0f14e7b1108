"""
The request bodies that depend on the server: its models, its channels.

They contain only the documented values. Blanks for missing values and "5" for 5 are accepted
too, but a generated client has one type for each field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from service.catalogue.models import OFFERS, VENDORS, Model
from service.catalogue.validation import json_schema
from service.channels.base import Channel
from service.deliveries.subscription_fields import NewSubscription
from service.jobs.batches import KEY, MOST_ROWS
from service.jobs.choice import routes_of
from service.jobs.requests import NOTIFY_LENGTH, NewJob
from service.messages.payloads import FORMAT_EVENTS
from service.model import EventType
from service.web.compat.apixo import NewTask
from service.web.compat.videos_request import image_of, sizes_of
from service.web.openapi.builders import Schema, Schemas, component_name, ref

#: The kind of target of each channel, for tests that generate requests.
TARGET_FORMATS = {
    "webhook": "http-url",
    "slack": "http-url",
    "email": "email",
    "slack_bot": "slack-channel",
    "apprise": "apprise-url",
}


#: The fields of a job that another API names differently.
OF_THE_MODEL = ("model", "input")


def model_input(model: Model) -> Schema:
    """The schema of a model's input, with the dependencies between its fields."""
    schema, fields = json_schema(model), {}
    for parameter in model.parameters:
        shown = schema["properties"][parameter.name]
        # The default is in the description; in `default`, generators would make the field required.
        field = {name: value for name, value in shown.items() if name != "default"}
        if parameter.default is not None:
            field["description"] += f" Default: {parameter.default}."
        if parameter.kind == "text" and not parameter.choices:
            field |= {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
        if parameter.kind == "image":
            field |= {"format": "image"}
        if parameter.kind == "images":
            field["items"] |= {"format": "image"}
        fields[parameter.name] = field
    about = {"description": f"The input of {model.title}."}
    return about | schema | {"properties": fields} | _relations(model)


def _relations(model: Model) -> Schema:
    """Dependencies between fields, in keywords that client generators ignore."""
    if model.parameter("image_urls"):
        image: Schema = {"mode": {"const": "image-to-video"}}
        given = {"image_urls": {"minItems": 1}}
        return {
            "dependentSchemas": {
                "image_urls": {"properties": given | image | {"aspect_ratio": False}}
            },
            "if": {"properties": image, "required": ["mode"]},
            "then": {"properties": given, "required": ["image_urls"]},
        }
    if needed := {p.name: [p.needs] for p in model.parameters if p.needs}:
        return {"dependentRequired": needed}
    if model.parameter("camera_control_type"):
        axis, distance = "camera_control_config", "camera_control_config_value"
        fields: Schema = {"camera_control_type": {"const": "simple"}, axis: {}, distance: {}}
        simple = {"properties": fields, "required": list(fields)}
        return {"dependentSchemas": {axis: simple, distance: simple}}
    return {}


_KEY_NOTE = "Your own key for this job. A job with a known key is never made twice."
_ROW: Schema = {
    "type": "object",
    "properties": {
        "key": {"type": "string", "pattern": KEY, "description": _KEY_NOTE},
        "job": ref("NewJob"),
    },
    "required": ["key", "job"],
    "additionalProperties": False,
}
#: Rows of a job each.
_BATCH: Schema = {
    "type": "object",
    "description": "A request for many videos.",
    "properties": {
        "rows": {"type": "array", "items": _ROW, "minItems": 1, "maxItems": MOST_ROWS},
    },
    "required": ["rows"],
    "additionalProperties": False,
}

#: Vendors whose API this server also offers, with or without a key for them.
COMPATIBLE = ("apixo", "segmind")


def add_requests(
    schemas: Schemas, providers: Collection[str], channels: Mapping[str, Channel]
) -> None:
    """Add the components of all bodies that depend on the server."""
    types, found = (NewSubscription, NewJob, NewTask), schemas.components
    for type_ in types:
        schemas.of(type_)
    # They are not components themselves, since their fields depend on the server.
    subscription, job, task = (found.pop(type_.__name__) for type_ in types)
    for name, channel in channels.items():
        found[f"NewSubscription_{name}"] = _subscription(subscription, name, channel)
    found["NewSubscription"] = _one_of("NewSubscription", "channel", list(channels))
    sold = _sold_by(providers) or _sold_by(VENDORS)
    compatible = [model for name in COMPATIBLE for model in VENDORS[name].models]
    for offer in (*compatible, *(offer for usable in sold.values() for offer in usable)):
        found[input_name(offer)] = model_input(offer)
    for model in VENDORS["apixo"].models:
        found[f"NewTask_{component_name(model.slug)}"] = _of_model(task, [model], model.routes)
    for slug, usable in sold.items():
        names = [offer.provider for offer in usable]
        words = [word for word in routes_of(slug) if word not in VENDORS or word in names]
        found[f"NewJob_{component_name(slug)}"] = _of_model(job, usable, words)
        found[f"NewVideo_{component_name(slug)}"] = _video(job, task, usable[0], words)
    found["NewRemix"] = _remix(job, task)
    for name in ("NewJob", "NewVideo"):
        found[name] = _one_of(name, "model", list(sold))
    found["NewBatch"] = _BATCH


def input_name(offer: Model) -> str:
    """The component name of a model's input; without the vendor for the first one."""
    first = next(iter(OFFERS[offer.slug])) == offer.provider
    return f"Input_{component_name(offer.slug)}" + ("" if first else f"_{offer.provider}")


def _sold_by(providers: Collection[str]) -> dict[str, list[Model]]:
    found = {
        slug: [offer for name, offer in offers.items() if name in providers]
        for slug, offers in OFFERS.items()
    }
    return {slug: offers for slug, offers in found.items() if offers}


def _one_of(name: str, field: str, values: list[str]) -> Schema:
    """One component for each value of the field that distinguishes them."""
    mapping = {value: ref(f"{name}_{component_name(value)}")["$ref"] for value in values}
    return {
        "description": f"One shape for each {field}.",
        "oneOf": [{"$ref": address} for address in mapping.values()],
        "discriminator": {"propertyName": field, "mapping": mapping},
    }


def _of_model(schema: Schema, offers: Sequence[Model], words: Sequence[str]) -> Schema:
    """The body for one model, with the inputs that any of these vendors accepts."""
    about = {"description": schema["properties"]["input"]["description"]}
    inputs = [ref(input_name(offer)) for offer in offers]
    own: Schema = {
        "model": {"const": offers[0].slug},
        "input": (inputs[0] if len(inputs) == 1 else {"anyOf": inputs}) | about,
        "provider": {"enum": list(words)},
    }
    return _narrowed(schema, f"{schema['description'].rstrip('.')} for {offers[0].title}.", own)


def _video(job: Schema, task: Schema, model: Model, words: Sequence[str]) -> Schema:
    """The body of a create of OpenAI's API: the model's input, partly with that API's names."""
    image = image_of(model)
    names = {"duration": "seconds", "aspect_ratio": "size"}
    names |= {image.name: "input_reference"} if image else {}
    whole: Schema = _renamed(model_input(model), names)
    fields = whole["properties"]
    seconds = [str(one) for one in fields["seconds"]["enum"]]
    fields["seconds"] = {"type": "string", "enum": seconds, "description": "Seconds of video."}
    fields["size"] = {
        "type": "string",
        "enum": sizes_of([model]),
        "description": "Width and height of the video.",
    }
    if image:
        url = {"type": "string", "format": "image"}
        fields["input_reference"] = {
            "type": "object",
            "description": f"{image.note} In a form: a file.",
            "properties": {"image_url": url},
            "required": ["image_url"],
            "additionalProperties": False,
        }
    fields |= {"model": {"const": model.slug}, "callback_url": task["properties"]["callback_url"]}
    fields |= {
        name: job["properties"][name]
        for name in job["properties"]
        if name not in ("model", "input")
    }
    fields["provider"] = fields["provider"] | {"enum": list(words)}
    about = {"description": f"A request for a video of {model.title}; a form may hold the same."}
    return whole | about | {"required": ["model", "prompt"], "allOf": [_with_callback_url()]}


def _with_callback_url() -> Schema:
    """The rule of `callback_url`: it is a target that gets only final events."""
    given: Schema = {"properties": {"callback_url": True}, "required": ["callback_url"]}
    rule = _only_its_events("openai", given)
    rule["then"]["properties"]["notify"] = {"maxItems": NOTIFY_LENGTH - 1}
    return rule


def _remix(job: Schema, task: Schema) -> Schema:
    """The body of a remix of OpenAI's API: the prompt, and the fields that are not input."""
    prompt = {"type": "string", "minLength": 1, "description": "A description of the new video."}
    taken = {"prompt": prompt, "callback_url": task["properties"]["callback_url"]}
    others = (name for name in job["properties"] if name not in ("model", "input", "provider"))
    fields = taken | {name: job["properties"][name] for name in others}
    return {
        "type": "object",
        "description": "A request for a remix; a form may hold the same.",
        "properties": fields,
        "required": ["prompt"],
        "additionalProperties": False,
        "allOf": [_with_callback_url()],
    }


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with renamed properties, in their definition and in `required`."""
    if isinstance(schema, list):
        return [names.get(one, one) if isinstance(one, str) else one for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {names.get(key, key): _renamed(value, names) for key, value in schema.items()}


def _subscription(schema: Schema, name: str, channel: Channel) -> Schema:
    own: Schema = {
        "channel": {"const": name},
        "target": {"format": TARGET_FORMATS[name]},
        "format": {"enum": list(channel.formats)},
    }
    if name != "webhook":
        fields = schema["properties"]
        taken = {one: fields[one] for one in fields if one not in ("headers", "secret")}
        schema = schema | {"properties": taken}
    narrowed = _narrowed(schema, f"A request for a subscription of the channel {name}.", own)
    rules = [
        _only_its_events(
            format_, {"properties": {"format": {"const": format_}}, "required": ["format"]}
        )
        for format_ in channel.formats
        if format_ in FORMAT_EVENTS
    ]
    return narrowed | {"allOf": rules} if rules else narrowed


def _only_its_events(format_: str, condition: Schema) -> Schema:
    """The rule for the events of a body with this format, under a condition."""
    fitting = [type_.value for type_ in EventType if type_ in FORMAT_EVENTS[format_]]
    return {"if": condition, "then": {"properties": {"events": {"items": {"enum": fitting}}}}}


def _narrowed(schema: Schema, description: str, own: Schema) -> Schema:
    """The schema with some fields narrowed, or replaced if they are references."""
    fields = {}
    for name, field in schema["properties"].items():
        narrower = own.get(name, {})
        kept = {} if "$ref" in narrower else field
        if narrower:
            kept = {key: value for key, value in kept.items() if key not in ("enum", "examples")}
        fields[name] = kept | narrower
    return schema | {"description": description, "properties": fields}

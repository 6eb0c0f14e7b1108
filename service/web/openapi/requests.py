"""
The request bodies that depend on the server: its models, its channels.

They hold the documented values only. Blanks for "not given" and "5" for 5 are accepted too,
but a generated client has one type for each field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from service.catalogue.models import MODELS, Model, Parameter
from service.catalogue.validation import json_schema
from service.channels.base import Channel
from service.deliveries.subscription_fields import NewSubscription
from service.jobs.requests import NewJob
from service.messages.payloads import TOLD_EVENTS
from service.model import EventType
from service.web.compat.apixo import NewTask
from service.web.openapi.builders import Schema, Schemas, component_name, ref

#: The kinds of targets, by channel: what a test that makes up requests has to know.
TARGET_FORMATS = {
    "webhook": "http-url",
    "slack": "http-url",
    "email": "email",
    "slack_bot": "slack-channel",
    "apprise": "apprise-url",
}


def model_input(model: Model) -> Schema:
    """The input of a model, with what one field demands of another."""
    schema = json_schema(model)
    fields = {p.name: _field(p, schema["properties"][p.name]) for p in model.parameters}
    about = {"description": f"The input of {model.title}."}
    return about | schema | {"properties": fields} | _relations(model)


def _field(parameter: Parameter, shown: Schema) -> Schema:
    """A default stands in the description: a field that has one is no less optional."""
    field = {name: value for name, value in shown.items() if name != "default"}
    if parameter.default is not None:
        field["description"] += f" Default: {parameter.default}."
    if parameter.kind == "text" and not parameter.choices:
        field |= {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
    if parameter.kind == "image":
        field |= {"format": "image"}
    if parameter.kind == "images":
        field["items"] |= {"format": "image"}
    return field


def _relations(model: Model) -> Schema:
    """What one field demands of another, in keywords that generators of clients pass over."""
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
    if model.parameter("tail_image_url"):
        return {"dependentRequired": {"tail_image_url": ["image_url"]}}
    if model.parameter("camera_control_type"):
        axis, distance = "camera_control_config", "camera_control_config_value"
        fields: Schema = {"camera_control_type": {"const": "simple"}, axis: {}, distance: {}}
        simple = {"properties": fields, "required": list(fields)}
        return {"dependentSchemas": {axis: simple, distance: simple}}
    return {}


def add_requests(
    schemas: Schemas, providers: Collection[str], channels: Mapping[str, Channel]
) -> None:
    """Add the components of all bodies that depend on the server."""
    subscription, job, task = (_taken(schemas, one) for one in (NewSubscription, NewJob, NewTask))
    found = schemas.components
    for name, channel in channels.items():
        found[f"NewSubscription_{name}"] = _subscription(subscription, name, channel)
    found["NewSubscription"] = _one_of("NewSubscription", "channel", list(channels))
    for model in MODELS.values():
        found[f"Input_{component_name(model.slug)}"] = model_input(model)
        if model.provider == "apixo":
            found[f"NewTask_{component_name(model.slug)}"] = _of_model(task, model)
    sold = [m for m in MODELS.values() if m.provider in providers] or list(MODELS.values())
    for model in sold:
        found[f"NewJob_{component_name(model.slug)}"] = _of_model(job, model)
    found["NewJob"] = _one_of("NewJob", "model", [model.slug for model in sold])


def _taken(schemas: Schemas, type_: type) -> Schema:
    """The schema of a type that is no component itself: its fields depend on the server."""
    schemas.of(type_)
    return schemas.components.pop(type_.__name__)


def _one_of(name: str, field: str, values: list[str]) -> Schema:
    """One component for each value of the field that tells them apart."""
    mapping = {value: ref(f"{name}_{component_name(value)}")["$ref"] for value in values}
    return {
        "description": f"One shape for each {field}.",
        "oneOf": [{"$ref": address} for address in mapping.values()],
        "discriminator": {"propertyName": field, "mapping": mapping},
    }


def _of_model(schema: Schema, model: Model) -> Schema:
    about = {"description": schema["properties"]["input"]["description"]}
    own: Schema = {
        "model": {"const": model.slug},
        "input": ref(f"Input_{component_name(model.slug)}") | about,
        "provider": {"enum": list(model.routes)},
    }
    return _narrowed(schema, f"{schema['description'].rstrip('.')} for {model.title}.", own)


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
    rules = [_told(format_) for format_ in channel.formats if format_ in TOLD_EVENTS]
    return narrowed | {"allOf": rules} if rules else narrowed


def _told(format_: str) -> Schema:
    """What a format demands of the events."""
    told = [type_.value for type_ in EventType if type_ in TOLD_EVENTS[format_]]
    return {
        "if": {"properties": {"format": {"const": format_}}, "required": ["format"]},
        "then": {"properties": {"events": {"items": {"enum": told}}}},
    }


def _narrowed(schema: Schema, description: str, own: Schema) -> Schema:
    """The same with some fields narrower, or replaced where these are references."""
    fields = {}
    for name, field in schema["properties"].items():
        narrower = own.get(name, {})
        kept = {} if "$ref" in narrower else field
        if narrower:
            kept = {key: value for key, value in kept.items() if key not in ("enum", "examples")}
        fields[name] = kept | narrower
    return schema | {"description": description, "properties": fields}

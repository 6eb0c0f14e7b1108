"""The document: every route of the API with what `OPERATIONS` says of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from service import __version__
from service.bootstrap import Wiring
from service.catalogue.models import MODELS, Model
from service.web.openapi import callbacks as inbound
from service.web.openapi import compat as doors
from service.web.openapi import jobs, schemas
from service.web.openapi import subscriptions as flash
from service.web.openapi.builders import JSON, Operation, Schema, fields, in_header, ref, text
from service.web.openapi.inputs import job_request, subscription_request, taken_input
from service.web.openapi.responses import HEADERS, REFUSALS, answered

#: By endpoint; a test compares them with the app's routes.
OPERATIONS: dict[str, Operation] = (
    jobs.OPERATIONS | flash.OPERATIONS | inbound.OPERATIONS | doors.OPERATIONS
)
TAGS = {
    "Jobs": "A job is one video somebody asked for.",
    "Models": "What can be asked for, with price and time.",
    "Account": "The owner of jobs, keys and subscriptions; sees only its own.",
    "Subscriptions": "Who wants which events, by which channel, at which target.",
    "REST hooks": "Subscriptions for Zapier, Make and n8n.",
    "Events": "For those who would rather ask than listen.",
    "Deliveries": "One event for one subscription, with every attempt.",
    "Callbacks": "What vendors sent.",
    "Signed links": "The link itself is the proof: no key is needed.",
    "Operators": "For whoever runs the service.",
    "Segmind's doors": "For clients of Segmind's API, with its errors.",
    "APIXO's doors": "For clients of APIXO's API, with its errors.",
}
ABOUT = """
Send a video job and forget it: the finished link arrives in Slack, by mail or at a hook.

Send a key as `x-api-key: KEY` or `Authorization: Bearer KEY`. Errors are
`application/problem+json` (RFC 9457) with every fault at once; the front doors
answer in their vendor's shape. Lists lead on by `next_cursor` and `Link`. Reads
have an `ETag`: with `If-None-Match` they answer 304 while nothing has changed.
"""
_MATCH = in_header("If-None-Match", text("The ETag you have."))


def document(app: Flask, wiring: Wiring) -> dict[str, Any]:
    """The whole of it, for this server: its models, its channels, its address."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for path, method, told in _operations(app, rule):
            paths.setdefault(path, {})[method] = told
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clipbell",
            "version": __version__,
            "description": ABOUT.strip(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": wiring.settings.public_url}],
        "tags": [{"name": name, "description": note} for name, note in TAGS.items()],
        "paths": paths,
        "webhooks": {"event": {"post": _push()}},
        "components": {
            "schemas": _schemas(wiring),
            "headers": HEADERS,
            "responses": REFUSALS,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _schemas(wiring: Wiring) -> dict[str, Schema]:
    inputs = {f"Input-{model.slug}": taken_input(model) for model in MODELS.values()}
    tasks = {
        f"Task-{model.slug}": doors.apixo_request(model.slug, model.routes)
        for model in MODELS.values()
        if model.provider == "apixo"
    }
    requests = {
        "NewJob": job_request(wiring.providers, wiring.channels),
        "NewSubscription": subscription_request(wiring.channels),
        "Resolution": jobs.RESOLUTION,
    }
    return schemas.SCHEMAS | doors.SCHEMAS | flash.REQUESTS | requests | inputs | tasks


def _operations(app: Flask, rule: Rule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is told, for each operation behind a route."""
    operation = OPERATIONS.get(rule.endpoint)
    if operation is None:
        return
    path = re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule)
    methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    view = app.view_functions[rule.endpoint]
    for method in sorted(methods):
        if operation.vendor is None:
            yield path, method.lower(), _told(rule, method, operation, view, None)
            continue
        for model in MODELS.values():
            if model.provider == operation.vendor:
                sold = path.replace("{slug}", model.slug)
                yield sold, method.lower(), _told(rule, method, operation, view, model)


def _told(
    rule: Rule, method: str, operation: Operation, view: Any, model: Model | None
) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(view) or "").partition("\n")
    title = f" ({model.title})" if model else ""
    scope = operation.scope or vars(view).get("scope")
    read = method == "GET" and scope is not None and rule.rule.startswith("/v1/")
    body = _body(operation, model)
    told = {
        "operationId": _id(rule, model),
        "tags": [operation.tag],
        "summary": summary.rstrip(".") + title,
        "description": rest.strip().replace("``", "`"),
        "parameters": [*operation.parameters, *([_MATCH] if read else [])],
        "requestBody": body,
        "responses": answered(operation, scope, read=read, body=body is not None),
        "security": [{"key": [scope]}, {"bearer": [scope]}] if scope else [],
    }
    return {name: value for name, value in told.items() if value or name == "security"}


def _id(rule: Rule, model: Model | None) -> str:
    name = str(rule.endpoint).replace(".", "_")
    # The same view under two addresses.
    old = "_v1" if rule.endpoint == "segmind_door.result" and "/v1/" in rule.rule else ""
    return name + old + (f"_{model.slug}" if model else "")


def _body(operation: Operation, model: Model | None) -> dict[str, Any] | None:
    """A body of JSON; at a door that of its model."""
    schema = operation.body
    if model is not None and operation.example is not None:
        schema = ref(f"Task-{model.slug}" if model.provider == "apixo" else f"Input-{model.slug}")
    if schema is None:
        return None
    content = {JSON: {"schema": schema, "example": operation.example}}
    return {"required": not operation.optional, "content": content}


def _push() -> dict[str, Any]:
    """What a subscription of the channel `webhook` gets."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    body = fields(
        "The body in the format `standard`.",
        **{name: schemas.SCHEMAS["Event"]["properties"][name] for name in _PUSHED},
    )
    return {
        "operationId": "event",
        "summary": "An event, pushed to your URL and signed (Standard Webhooks)",
        "parameters": [in_header(name, text("See standardwebhooks.com.")) for name in names],
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {
            "2XX": {"description": "Taken: it is not sent again."},
            "410": {"description": "No more of these: a hook ends, a subscription is off."},
            "default": {"description": "It is tried again by the schedule."},
        },
        "security": [],
    }


_PUSHED = ("type", "timestamp", "api_version", "sequence", "data")

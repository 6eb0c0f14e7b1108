"""The document: every route of the API with its entry in `OPERATIONS`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from service import __version__
from service.bootstrap import Wiring
from service.catalogue.models import VENDORS, Model
from service.messages.payloads import JobMessageJson, SubscriptionMessageJson
from service.web.openapi import callbacks, compat, jobs, openai, subscriptions
from service.web.openapi.builders import (
    JSON,
    Operation,
    Parameter,
    Schemas,
    component_name,
    in_header,
    ref,
)
from service.web.openapi.requests import add_requests
from service.web.openapi.responses import responses, shared_refusals
from service.web.openapi.titles import TITLES

#: By endpoint; a test compares them with the app's routes.
OPERATIONS: dict[str, Operation] = (
    jobs.OPERATIONS
    | subscriptions.OPERATIONS
    | callbacks.OPERATIONS
    | compat.OPERATIONS
    | openai.OPERATIONS
)
TAGS = {
    "Jobs": "A job is one video that somebody asked for.",
    "Models": "The models that jobs can ask for, with price and time.",
    "Account": "An account owns jobs, keys and subscriptions, and sees only its own.",
    "Subscriptions": "A subscription sends chosen events by one channel to one target.",
    "REST hooks": "Subscriptions for Zapier, Make and n8n.",
    "Events": "The event feed: polling instead of webhooks.",
    "Deliveries": "One event for one subscription, with every attempt.",
    "Callbacks": "The requests that vendors send when a task changes.",
    "Signed links": "These links are signed, so they need no key.",
    "Operators": "For the operator of the service.",
    "Segmind-compatible API": "For clients of Segmind's API, with its errors.",
    "APIXO-compatible API": "For clients of APIXO's API, with its errors.",
    "OpenAI-compatible API": "For clients of OpenAI's videos API, with its errors.",
}
ABOUT = """
Send a video job and forget it: the finished link arrives in Slack, by mail or at a hook.

Send a key as `x-api-key: KEY` or `Authorization: Bearer KEY`. Errors are
`application/problem+json` (RFC 9457) with everything that is wrong at once; the
compatible APIs answer in their vendor's shape. Lists have `next_cursor` and `Link`.
Reads have an `ETag`: with `If-None-Match` they answer 304 if nothing has changed.
"""
_MATCH = in_header("If-None-Match", str, "The ETag of your copy.")


def document(app: Flask, wiring: Wiring) -> dict[str, Any]:
    """The document of this server, with its models, channels and address; built once."""
    if "openapi" in app.extensions:
        kept: dict[str, Any] = app.extensions["openapi"]
        return kept
    schemas = Schemas()
    add_requests(schemas, wiring.providers, wiring.channels)
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for path, method, described in _operations(app, rule, schemas):
            paths.setdefault(path, {})[method] = described
    made = {
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
        "webhooks": {"event": {"post": _push(schemas)}},
        "components": {
            "responses": shared_refusals(schemas),
            "schemas": dict(sorted(schemas.components.items())),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }
    app.extensions["openapi"] = made
    return made


def _operations(
    app: Flask, rule: Rule, schemas: Schemas
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation behind a route."""
    operation = OPERATIONS.get(rule.endpoint)
    if operation is None:
        return
    path = re.sub(r"<(?:[^<>:]*:)?(\w+)>", r"{\1}", rule.rule)
    methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    view = app.view_functions[rule.endpoint]
    for method in sorted(methods):
        if operation.vendor is None:
            yield path, method.lower(), _described(rule, method, view, schemas, None)
            continue
        for model in VENDORS[operation.vendor].models:
            sold = path.replace("{slug}", model.slug)
            yield sold, method.lower(), _described(rule, method, view, schemas, model)


def _described(
    rule: Rule, method: str, view: Any, schemas: Schemas, model: Model | None
) -> dict[str, Any]:
    operation = OPERATIONS[rule.endpoint]
    summary, _, rest = (inspect.getdoc(view) or "").partition("\n")
    title = TITLES.get(rule.endpoint, rule.endpoint) + (f" ({model.title})" if model else "")
    scope = operation.scope or vars(view).get("scope")
    read = method == "GET" and scope is not None and rule.rule.startswith("/v1/")
    shape, body = operation.body, None
    if model is not None and operation.example is not None:
        # In a compatible API, the model decides the body.
        kind = "NewTask" if model.provider == "apixo" else "Input"
        shape = ref(f"{kind}_{component_name(model.slug)}")
    if shape is not None:
        content = {JSON: {"schema": schemas.of(shape), "example": operation.example}}
        body = {"required": not operation.optional, "content": content}
    # The same view under two addresses.
    old = "_v1" if rule.endpoint == "segmind.result" and "/v1/" in rule.rule else ""
    id_ = f"{rule.endpoint}{old}" + (f"_{model.slug}" if model else "")
    parameters = [*operation.parameters, *([_MATCH] if read else [])]
    described = {
        "operationId": component_name(id_),
        "tags": [operation.tag],
        "summary": title,
        "description": f"{summary.rstrip('.')}.\n{rest}".strip().replace("``", "`"),
        "parameters": [_parameter(one, schemas) for one in parameters],
        "requestBody": body,
        "responses": responses(operation, schemas, scope, read=read, body=body is not None),
        "security": [{"key": [scope]}, {"bearer": [scope]}] if scope else [],
    }
    return {name: value for name, value in described.items() if value or name == "security"}


def _parameter(parameter: Parameter, schemas: Schemas) -> dict[str, Any]:
    found = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.note,
        "schema": schemas.of(parameter.shape),
    }
    return found | ({"required": True} if parameter.required else {}) | dict(parameter.more)


def _push(schemas: Schemas) -> dict[str, Any]:
    """The request that Clipbell sends to a webhook."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = [in_header(name, str, "See standardwebhooks.com.") for name in names]
    shape = schemas.of(JobMessageJson | SubscriptionMessageJson)
    content = {JSON: {"schema": shape, "example": schemas.example(shape)}}
    return {
        "operationId": "event",
        "summary": "An event, pushed to your URL and signed (Standard Webhooks)",
        "parameters": [_parameter(header, schemas) for header in headers],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "2XX": {"description": "Accepted: it is not sent again."},
            "410": {"description": "No more events: a hook is deleted, a subscription disabled."},
            "default": {"description": "It is retried by the schedule."},
        },
        "security": [],
    }

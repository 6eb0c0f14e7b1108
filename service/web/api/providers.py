"""``/v1/providers``: the vendors' states, and the operator's hold and resume."""

from __future__ import annotations

from flask import Blueprint, Response

from service import store
from service.errors import NotFound
from service.jobs.provider_json import ProviderJson, provider_json
from service.jobs.provider_status import release_provider
from service.web.context import json_response, needs, wiring

blueprint = Blueprint("providers", __name__, url_prefix="/v1/providers")


def shown(name: str) -> ProviderJson:
    """A provider as JSON."""
    w = wiring()
    with w.db.read() as tx:
        return provider_json(tx, name, w.providers[name].limits, w.clock())


def hold_provider(name: str) -> None:
    """Hold a provider. Raises NotFound."""
    with wiring().db.write() as tx:
        store.providers.ensure(tx, _known(name), wiring().clock())
        store.providers.hold(tx, name, "held by an operator")


def resume_provider(name: str) -> None:
    """Resume a provider, and queue the jobs that were held for it. Raises NotFound."""
    with wiring().db.write() as tx:
        store.providers.ensure(tx, _known(name), wiring().clock())
        release_provider(tx, name, wiring().clock())


def _known(name: str) -> str:
    if name not in wiring().providers:
        raise NotFound(f"there is no provider {name[:40]}")
    return name


@blueprint.get("")
@needs("operator")
def list_providers() -> Response:
    """Every provider that has a key."""
    found = [shown(name) for name in wiring().providers]
    return json_response({"data": found, "next_cursor": None})


@blueprint.post("/<name>/hold")
@needs("operator")
def hold(name: str) -> Response:
    """Stop sending jobs to this vendor."""
    hold_provider(name)
    return json_response(shown(name))


@blueprint.post("/<name>/resume")
@needs("operator")
def resume(name: str) -> Response:
    """Send jobs to this vendor again. Jobs that were held for it are queued."""
    resume_provider(name)
    return json_response(shown(name))

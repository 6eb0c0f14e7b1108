"""``/v1/providers``: what is held, and the operator's hold and resume."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response
from typing_extensions import TypedDict

from service import store
from service.errors import NotFound
from service.jobs.requests import release_provider
from service.model.json_types import about
from service.web.context import json_response, needs, wiring

blueprint = Blueprint("providers", __name__, url_prefix="/v1/providers")


class ProviderJson(TypedDict):
    """A vendor, as it is now."""

    id: Annotated[str, about("Its name.", "apixo")]
    held: Annotated[str | None, about("Why nothing is sent to it.", None)]
    paused_seconds: Annotated[float, about("For how long nothing is asked of it.", 0.0)]
    open_tasks: Annotated[int, about("The tasks that it may be working on.", 2)]
    task_limit: Annotated[
        int | None, about("How many it takes at once; null where it states none.", 1000)
    ]
    credits_left: Annotated[
        float | None, about("US dollars there, by its own last figure; null without one.", None)
    ]


def shown(name: str) -> ProviderJson:
    """A provider as JSON: why it is held, if it is, and how busy it is."""
    w = wiring()
    with w.db.read() as tx:
        held = store.providers.held(tx, name)
        paused = store.providers.paused_for(tx, name, w.clock())
        tasks = store.jobs.count_open(tx, name)
        left = store.providers.credits_left(tx, name)
    return {
        "id": name,
        "held": held,
        "paused_seconds": paused.total_seconds(),
        "open_tasks": tasks,
        "task_limit": w.providers[name].limits.tasks,
        "credits_left": left,
    }


def hold_provider(name: str) -> None:
    """Send it nothing more. Raises NotFound."""
    with wiring().db.write() as tx:
        store.providers.ensure(tx, _known(name), wiring().clock())
        store.providers.hold(tx, name, "held by an operator")


def resume_provider(name: str) -> None:
    """Go on sending, the jobs first that were held for it. Raises NotFound."""
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
    """Send this provider nothing more."""
    hold_provider(name)
    return json_response(shown(name))


@blueprint.post("/<name>/resume")
@needs("operator")
def resume(name: str) -> Response:
    """Go on sending; the jobs that were held for this provider are queued again."""
    resume_provider(name)
    return json_response(shown(name))

"""The JSON of a vendor, as it is now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.model.json_types import about
from service.providers.base import Provider


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


def provider_json(tx: Connection, provider: Provider, now: datetime) -> ProviderJson:
    """A provider as the API shows it: why it is held, if it is, and how busy it is."""
    return {
        "id": provider.name,
        "held": store.providers.held(tx, provider.name),
        "paused_seconds": store.providers.paused_for(tx, provider.name, now).total_seconds(),
        "open_tasks": store.jobs.count_open(tx, provider.name),
        "task_limit": provider.limits.tasks,
        "credits_left": store.providers.credits_left(tx, provider.name),
    }

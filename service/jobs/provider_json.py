"""The JSON of a vendor, as it is now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.catalogue.entries import Limits
from service.model.json_types import about


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


def provider_json(tx: Connection, name: str, limits: Limits, now: datetime) -> ProviderJson:
    """A provider as the API shows it: why it is held, if it is, and how busy it is."""
    return {
        "id": name,
        "held": store.providers.held(tx, name),
        "paused_seconds": store.providers.paused_for(tx, name, now).total_seconds(),
        "open_tasks": store.jobs.count_open(tx, name),
        "task_limit": limits.tasks,
        "credits_left": store.providers.credits_left(tx, name),
    }

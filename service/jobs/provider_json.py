"""The JSON of a vendor and its current state."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.catalogue.entries import Limits
from service.model.json_types import about


class ProviderJson(TypedDict):
    """A vendor and its current state."""

    id: Annotated[str, about("Its name.", "apixo")]
    held: Annotated[str | None, about("The reason why it is held; null: it is not held.", None)]
    paused_seconds: Annotated[
        float, about("Seconds until the next request to it; 0: no pause.", 0.0)
    ]
    open_tasks: Annotated[int, about("The number of tasks that it may be working on.", 2)]
    task_limit: Annotated[
        int | None,
        about("The number of tasks that it accepts at once; null: no stated limit.", 1000),
    ]
    credits_left: Annotated[
        float | None,
        about(
            "The account's remaining US dollars, as the vendor last reported; null: unknown.", None
        ),
    ]


def provider_json(tx: Connection, name: str, limits: Limits, now: datetime) -> ProviderJson:
    """A provider as the API shows it, with the reason of a hold and its open tasks."""
    return {
        "id": name,
        "held": store.providers.held(tx, name),
        "paused_seconds": store.providers.paused_for(tx, name, now).total_seconds(),
        "open_tasks": store.jobs.count_open(tx, name),
        "task_limit": limits.tasks,
        "credits_left": store.providers.credits_left(tx, name),
    }

"""The vendors' own records compared with ours: tasks that belong to no job here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.catalogue.models import VENDORS
from service.errors import ProviderError
from service.formatting import iso
from service.jobs.outcomes import settled_cost
from service.model import JobState
from service.model.json_types import about
from service.settings import Settings
from service.store.database import Database
from service.store.reports import DayOfLedger

if TYPE_CHECKING:
    # These imports load the HTTP client, which few verbs need.
    from service.providers.base import PastTask, Provider

#: The number of tasks compared with one query.
BATCH = 200
#: The default range of a ledger and of a comparison.
USUAL_DAYS = timedelta(days=29)
USUAL_HISTORY = timedelta(days=1)


@dataclass(frozen=True)
class UnmatchedTask:
    """
    A task in a vendor's history that belongs to no job here.

    `job_id` is the job that the vendor's record names, if that job exists; `cost` is the
    vendor's figure in dollars, None if it gives none.
    """

    provider: str
    task_id: str
    state: str
    created_at: datetime | None
    job_id: str | None
    cost: float | None

    def sentence(self) -> str:
        """A sentence that explains the task."""
        if self.job_id:
            return f"made for {self.job_id}, which does not have it"
        return "made by another program, or for a job that is no longer here"


def unmatched_tasks(
    db: Database,
    provider: Provider,
    settings: Settings,
    since: datetime,
    job_of: Callable[[str], str | None],
) -> Iterator[UnmatchedTask]:
    """
    Ask a vendor for its tasks since a time, without those that belong to jobs here.

    A task whose create is being answered at this moment is left out too.

    Args:
        job_of: returns the id of the job of a callback URL; None for other URLs.

    Raises:
        ProviderError: the vendor did not answer, or has no list.
    """
    tasks: list[PastTask] = []
    trouble = None
    try:
        tasks.extend(provider.history(since, job_of))
    except ProviderError as error:
        # The tasks read before the error are compared nevertheless.
        trouble = error
    for start in range(0, len(tasks), BATCH):
        with db.read() as tx:
            found = list(_unmatched(tx, provider.name, settings, tasks[start : start + BATCH]))
        yield from found
    if trouble:
        raise trouble


def _unmatched(
    tx: Connection, provider: str, settings: Settings, tasks: list[PastTask]
) -> Iterator[UnmatchedTask]:
    ids = [task.task_id for task in tasks if task.task_id]
    held = store.jobs.holders_of(tx, provider, ids)
    named = store.jobs.of_ids(tx, [task.job_id for task in tasks if task.job_id])
    for task in tasks:
        job = named.get(task.job_id or "")
        is_busy = job is not None and job.state is JobState.SUBMITTING
        if task.task_id and task.task_id not in held and not is_busy:
            outcome = task.outcome
            yield UnmatchedTask(
                provider=provider,
                task_id=task.task_id,
                state=outcome.raw_state or outcome.state.value,
                created_at=task.created_at,
                job_id=job.id if job else None,
                cost=settled_cost(settings, provider, outcome),
            )


def compare_all(
    db: Database,
    providers: Mapping[str, Provider],
    settings: Settings,
    since: datetime,
    job_of: Callable[[str], str | None],
) -> tuple[list[UnmatchedTask], dict[str, str]]:
    """The unmatched tasks of all vendors with a list, and by vendor the reason of a failure."""
    found: list[UnmatchedTask] = []
    troubles: dict[str, str] = {}
    for name, provider in providers.items():
        if not VENDORS[name].history:
            continue
        try:
            found.extend(unmatched_tasks(db, provider, settings, since, job_of))
        except ProviderError as error:
            troubles[name] = error.message
    return found, troubles


class LedgerDayJson(TypedDict):
    """The jobs sent to one vendor on one UTC day, in US dollars."""

    day: Annotated[str, about("The UTC day of sending.", "2026-01-01")]
    provider: Annotated[str, about("The vendor.", "kling")]
    jobs: Annotated[int, about("Jobs that were sent.", 12)]
    settled_jobs: Annotated[int, about("Jobs whose cost the vendor has reported.", 11)]
    estimated: Annotated[
        float, about("The sum of the highest estimates, of all jobs that count as paid.", 4.2)
    ]
    reserved: Annotated[float, about("The estimates of the jobs without a reported cost.", 0.35)]
    settled: Annotated[float, about("The costs that the vendor reported.", 3.9)]
    difference: Annotated[float, about("`settled` minus the estimates of the same jobs.", 0.05)]


class UnmatchedTaskJson(TypedDict):
    """A task of a vendor that belongs to no job here."""

    provider: Annotated[str, about("The vendor.", "kling")]
    task_id: Annotated[str, about("Its id at the vendor.", "8f31c2")]
    state: Annotated[str, about("The vendor's own word for its state.", "succeeded")]
    created_at: Annotated[
        str | None, about("The time of its creation, by the vendor.", "2026-01-01T12:00:00Z")
    ]
    job_id: Annotated[
        str | None, about("The job that it was made for, if it is one of this service.", None)
    ]
    cost: Annotated[float | None, about("US dollars, as the vendor reports them.", 0.35)]
    note: Annotated[str, about("An explanation.", "made by another program")]


class UnmatchedTasksJson(TypedDict):
    """The tasks without a job, and the vendors that did not answer."""

    data: list[UnmatchedTaskJson]
    next_cursor: Annotated[None, about("Always null: there is only one page.", None)]
    errors: Annotated[dict[str, str], about("By vendor: the reason why it gave no list.", {})]


def ledger_day_json(day: DayOfLedger) -> LedgerDayJson:
    """One day of one vendor as JSON."""
    return {
        "day": day.day.isoformat(),
        "provider": day.provider,
        "jobs": day.jobs,
        "settled_jobs": day.settled_jobs,
        "estimated": round(day.estimated, 6),
        "reserved": round(day.reserved, 6),
        "settled": round(day.settled, 6),
        "difference": day.difference,
    }


def unmatched_task_json(task: UnmatchedTask) -> UnmatchedTaskJson:
    """One unmatched task as JSON."""
    return {
        "provider": task.provider,
        "task_id": task.task_id,
        "state": task.state,
        "created_at": iso(task.created_at) if task.created_at else None,
        "job_id": task.job_id,
        "cost": task.cost,
        "note": task.sentence(),
    }

"""`cancel`, `mute` and `resolve`: what a person decides about one job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import Connection

from service import store
from service.cli.ask import Request, answer
from service.cli.here import jobs_json, open_here, own_job
from service.cli.jobs import ONE, print_job
from service.cli.output import JobArgument, JsonOption
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.requests import cancel_job, mute_job
from service.model import Job, utc_now
from service.model.job_json import JobJson


def cancel(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """
    Cancel a job before it is sent.

    Examples:
      clipbell cancel job_01a2b3c4
    """
    _change("cancel", job_id, json_, lambda tx, job: cancel_job(tx, job, utc_now()))


def mute(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """
    Stop all messages about a job. The job itself goes on.

    Examples:
      clipbell mute job_01a2b3c4
    """
    _change("mute", job_id, json_, lambda tx, job: mute_job(tx, job, utc_now()))


def resolve(
    job_id: str = JobArgument,
    task: str = typer.Option(None, "--task", metavar="ID", help="The vendor's task for this job."),
    resend: bool = typer.Option(False, "--resend", help="Send it again; it may be paid twice."),
    fail: bool = typer.Option(False, "--fail", help="Mark it failed."),
    json_: bool = JsonOption,
) -> None:
    """
    Resolve an unknown job by hand.

    Clipbell does not know whether the vendor made it. Check with the vendor first.

    Examples:
      clipbell resolve job_01a2b3c4 --task 7f3e9a
      clipbell resolve job_01a2b3c4 --fail
    """
    chosen = {name: value for name, value in (("resend", resend), ("fail", fail)) if value}
    body = chosen | ({"task_id": task} if task else {})
    if len(body) != 1:
        raise typer.BadParameter("give one of --task ID, --resend and --fail")
    how = Resolution(task or None, resend)
    _change(
        "resolve", job_id, json_, lambda tx, job: resolve_by_hand(tx, job, how, utc_now()), body
    )


def _change(
    verb: str,
    job_id: str,
    json_: bool,
    change: Callable[[Connection, Job], Any],
    body: dict[str, Any] | None = None,
) -> None:
    """Change the job, here or over the API, and print it."""

    def here() -> JobJson:
        opened = open_here()
        with opened.db.write() as tx:
            job = store.jobs.lock(tx, own_job(tx, job_id).id)
            if job:
                change(tx, job)
            job = own_job(tx, job_id)
        return jobs_json(opened, [job])[0]

    print_job(answer(Request("POST", f"{ONE}/{verb}", job_id, body=body), here), json_)

"""`jobs`, `show`, `cancel` and `resolve`."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import acting_account, own_job
from service.cli.completion import models
from service.cli.output import (
    JobArgument,
    JsonOption,
    ago,
    console,
    in_colour,
    open_wiring,
    print_json,
    table,
)
from service.cli.parsing import moment
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.requests import cancel_job, mute_job
from service.jobs.timeline import timeline
from service.messages.content import cut, plain
from service.model import Job, JobState
from service.model.job_json import JobJson, job_json
from service.videos.archive import link_of


def shown_job(wiring: Wiring, job: Job) -> JobJson:
    """The job as the API shows it."""
    with wiring.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    link = link_of(wiring.db, wiring.links, wiring.settings, video, wiring.clock())
    return job_json(job, video, link)


def print_job(wiring: Wiring, job: Job, json_: bool) -> None:
    """Print the job with its link, or with its error."""
    shown = shown_job(wiring, job)
    if json_:
        print_json(shown)
        return
    out = console()
    out.print(job.id, in_colour(job.state), f" {job.model}", sep="  ", soft_wrap=True)
    if shown["video"]:
        out.print(shown["video"]["url"], soft_wrap=True)
    if job.error:
        message = plain(job.error["message"])
        out.print(f"{job.error['code']}: {message}. {job.error['hint']}")


def list_jobs(
    state: JobState = typer.Option(None, help="Only jobs in this state."),
    model: str = typer.Option(None, help="Only jobs of this model.", autocompletion=models),
    since: str = typer.Option(None, help="Only jobs created since: a time, or 30min, 6h, 2d."),
    q: str = typer.Option(None, "--q", "-q", help="Start of an id or a task id."),
    limit: int = typer.Option(20, min=1, max=1000, help="Number of jobs."),
    json_: bool = JsonOption,
) -> None:
    """List the newest jobs."""
    wiring = open_wiring()
    account = acting_account(wiring)
    begin = moment(since, wiring.clock()) if since else None
    filters: dict[str, Any] = {"state": state, "model": model, "since": begin, "prefix": q}
    with wiring.db.read() as tx:
        page = store.jobs.page(tx, account.id, limit, **filters)
    if json_:
        print_json([shown_job(wiring, job) for job in page])
        return
    rows = [
        {
            "job": job.id,
            "state": job.state.value,
            "model": job.model,
            "asked": ago(job.created_at),
            "prompt": cut(plain(job.input.get("prompt")), 60),
        }
        for job in page
    ]
    if rows:
        table(rows, spare="asked")
    elif any(filters.values()):
        console().print("No job matches: `clipbell jobs` shows all.")
    else:
        console().print("No jobs yet: try `clipbell submit kling-2-5-turbo-pro --prompt …`.")


def show(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """Show one job with its timeline."""
    wiring = open_wiring()
    job = own_job(wiring, job_id)
    with wiring.db.read() as tx:
        entries = timeline(tx, job)
    if json_:
        print_json({**shown_job(wiring, job), "timeline": entries})
        return
    print_job(wiring, job, False)
    console().print(plain(job.input.get("prompt")), soft_wrap=True)
    table([{"at": e["at"], "what": e["kind"], "message": e["message"]} for e in entries])


def cancel(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """Cancel a job before it is sent."""
    wiring = open_wiring()
    with wiring.db.write() as tx:
        job = store.jobs.lock(tx, own_job(wiring, job_id).id)
        if job:
            cancel_job(tx, job, wiring.clock())
    print_job(wiring, own_job(wiring, job_id), json_)


def mute(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """Send no more messages about a job. The job itself goes on."""
    wiring = open_wiring()
    with wiring.db.write() as tx:
        job = store.jobs.lock(tx, own_job(wiring, job_id).id)
        if job:
            mute_job(tx, job, wiring.clock())
    print_job(wiring, own_job(wiring, job_id), json_)


def resolve(
    job_id: str = JobArgument,
    task: str = typer.Option(None, "--task", help="The provider's task id."),
    resend: bool = typer.Option(False, "--resend", help="Send it again."),
    fail: bool = typer.Option(False, "--fail", help="Mark it failed."),
    json_: bool = JsonOption,
) -> None:
    """Resolve an unknown job by hand."""
    if sum([bool(task), resend, fail]) != 1:
        raise typer.BadParameter("give one of --task ID, --resend and --fail")
    wiring = open_wiring()
    with wiring.db.write() as tx:
        job = store.jobs.lock(tx, own_job(wiring, job_id).id)
        if job:
            resolve_by_hand(tx, job, Resolution(task or None, resend), wiring.clock())
    print_job(wiring, own_job(wiring, job_id), json_)

"""`submit`, `jobs`, `show` and `cancel`."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from rich.status import Status

from service import store
from service.bootstrap import Wiring
from service.catalogue import MODELS
from service.cli.acting import acting_account, own_job
from service.cli.batch import submit_file
from service.cli.inputs import from_pairs
from service.cli.output import (
    JsonOption,
    ago,
    complain,
    console,
    emit,
    open_wiring,
    table,
)
from service.jobs import cancel_job, check_request, planned_job, request_job
from service.messages import job_json
from service.model import TERMINAL, Job, JobState
from service.outcomes import Resolution, resolve_by_hand
from service.submissions import preview
from service.timeline import timeline
from service.videos import link_of

POLL_SECONDS = 0.5


def submit(
    model: str = typer.Argument(None, help=f"One of {', '.join(MODELS)}."),
    prompt: str = typer.Option(None, "--prompt", "-p", help="What the video shows."),
    inputs: list[str] = typer.Option([], "--input", "-i", help="Further input, key=value."),
    notify: list[str] = typer.Option(None, "--notify", help="channel:target, e.g. slack:URL."),
    provider: str = typer.Option("auto", help="APIXO's route: auto, value or official."),
    file: Path = typer.Option(None, "--file", help="A batch: jobs.csv or jobs.jsonl."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the request, send nothing."),
    wait: bool = typer.Option(False, "--wait", help="Wait for the end, with progress."),
    json_: bool = JsonOption,
) -> None:
    """Send one job, or a file of them."""
    body: dict[str, Any] = {"provider": provider} | ({"notify": list(notify)} if notify else {})
    if file is not None:
        if prompt or inputs or wait:
            raise typer.BadParameter("not with --prompt, --input or --wait", param_hint="--file")
        submit_file(file, body | ({"model": model} if model else {}), dry_run, json_)
        return
    if model is None or prompt is None:
        raise typer.BadParameter("give a model and --prompt, or --file")
    body |= {"model": model, "input": {"prompt": prompt} | from_pairs(model, inputs)}
    _submit_one(body, dry_run, wait, json_)


def _submit_one(body: dict[str, Any], dry_run: bool, wait: bool, json_: bool) -> None:
    wiring = open_wiring()
    account = acting_account(wiring)
    asked = check_request(body, wiring.channels, wiring.providers)
    now = wiring.clock()
    if dry_run:
        job = planned_job(wiring.settings, account.id, asked, now)
        found = preview(wiring.providers, wiring.signer, job)
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    asked = replace(asked, input=wiring.shelf.put_away(asked.model, asked.input, now))
    with wiring.db.write() as tx:
        job = request_job(tx, wiring.sealer, wiring.settings, account.id, asked, now)
    if wait:
        job = _wait(wiring, job, quiet=json_)
    _print_job(wiring, job, json_)
    if job.state is JobState.FAILED:
        raise typer.Exit(1)


def _wait(wiring: Wiring, job: Job, *, quiet: bool) -> Job:
    """The job at its end; says on stderr what it is waiting for."""
    out = console()
    out.quiet = quiet
    with Status("queued", console=out) as status:
        while job.state not in TERMINAL:
            time.sleep(POLL_SECONDS)
            with wiring.db.read() as tx:
                job = store.jobs.find(tx, job.id) or job
            seconds = (wiring.clock() - job.created_at) // timedelta(seconds=1)
            status.update(f"{job.id}: {job.state} for {seconds} s")
            if job.state in (JobState.HELD, JobState.UNKNOWN) and job.error:
                complain(f"{job.error['message']} {job.error['hint']}")
                raise typer.Exit(1)
    return job


def _as_json(wiring: Wiring, job: Job) -> dict[str, Any]:
    with wiring.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    link = link_of(wiring.db, wiring.links, wiring.settings, video, wiring.clock())
    return job_json(job, video, link)


def _print_job(wiring: Wiring, job: Job, json_: bool) -> None:
    shown = _as_json(wiring, job)
    if json_:
        emit(shown)
        return
    out = console()
    out.print(f"{job.id}  {job.state}  {job.model}", soft_wrap=True)
    if shown["video"]:
        out.print(shown["video"]["url"], soft_wrap=True)
    if job.error:
        out.print(f"{job.error['code']}: {job.error['message']}. {job.error['hint']}")


def list_jobs(
    state: str = typer.Option(None, help=f"Only {', '.join(JobState)}."),
    limit: int = typer.Option(20, min=1, max=1000, help="How many."),
    json_: bool = JsonOption,
) -> None:
    """The newest jobs."""
    if state is not None and state not in list(JobState):
        raise typer.BadParameter(f"must be one of {', '.join(JobState)}", param_hint="--state")
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        found = store.jobs.page(tx, account.id, limit, state=state)
    if json_:
        emit([_as_json(wiring, job) for job in found])
        return
    if not found:
        console().print("No jobs yet: try `clipbell submit kling-2-5-turbo-pro --prompt …`.")
        return
    table([_row(job) for job in found])


def _row(job: Job) -> dict[str, str]:
    prompt = str(job.input.get("prompt", ""))
    return {
        "job": job.id,
        "state": job.state.value,
        "model": job.model,
        "asked": ago(job.created_at),
        "prompt": prompt if len(prompt) <= 40 else prompt[:39] + "…",
    }


def show(job_id: str = typer.Argument(metavar="JOB"), json_: bool = JsonOption) -> None:
    """One job with its whole timeline."""
    wiring = open_wiring()
    job = own_job(wiring, job_id)
    with wiring.db.read() as tx:
        entries = timeline(tx, job)
    if json_:
        emit({**_as_json(wiring, job), "timeline": entries})
        return
    _print_job(wiring, job, False)
    for entry in entries:
        console().print(f"{entry['at']}  {entry['kind']:<10} {entry['message']}", soft_wrap=True)


def cancel(job_id: str = typer.Argument(metavar="JOB"), json_: bool = JsonOption) -> None:
    """Take a job back before it is sent."""
    wiring = open_wiring()
    with wiring.db.write() as tx:
        job = store.jobs.lock(tx, own_job(wiring, job_id).id)
        if job:
            cancel_job(tx, job, wiring.clock())
    _print_job(wiring, own_job(wiring, job_id), json_)


def resolve(
    job_id: str = typer.Argument(metavar="JOB"),
    task: str = typer.Option(None, "--task", help="It is this task of the provider's."),
    resend: bool = typer.Option(False, "--resend", help="Send it once more."),
    fail: bool = typer.Option(False, "--fail", help="Give it up."),
    json_: bool = JsonOption,
) -> None:
    """End an unknown job by hand."""
    if sum([bool(task), resend, fail]) != 1:
        raise typer.BadParameter("give one of --task ID, --resend and --fail")
    wiring = open_wiring()
    with wiring.db.write() as tx:
        job = store.jobs.lock(tx, own_job(wiring, job_id).id)
        if job:
            resolve_by_hand(tx, job, Resolution(task or None, resend), wiring.clock())
    _print_job(wiring, own_job(wiring, job_id), json_)

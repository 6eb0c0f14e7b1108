"""`submit`: one job or a file of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service import store
from service.bootstrap import Wiring
from service.catalogue.models import MODELS
from service.cli.account_option import acting_account
from service.cli.batch import submit_file
from service.cli.completion import models
from service.cli.jobs import print_job
from service.cli.output import JsonOption, errors, open_wiring, print_error, print_json
from service.cli.parsing import from_pairs
from service.cli.progress import doing, done
from service.jobs.requests import (
    check_request,
    planned_job,
    request_job,
    with_saved_images,
)
from service.jobs.submission import preview
from service.model import TERMINAL, Job, JobState
from service.ops.health import provider_trouble, worker_trouble

POLL_SECONDS = 0.5


def submit(
    model: str = typer.Argument(None, help=f"One of {', '.join(MODELS)}.", autocompletion=models),
    prompt: str = typer.Option(None, "--prompt", "-p", help="What the video shows."),
    inputs: list[str] = typer.Option([], "--input", "-i", help="Further input, key=value."),
    notify: list[str] = typer.Option(None, "--notify", help="channel:target, e.g. slack:URL."),
    provider: str = typer.Option(
        "auto", help="A vendor, auto for the cheapest, or APIXO's value or official."
    ),
    file: Path = typer.Option(None, "--file", help="A batch: jobs.csv or jobs.jsonl."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the request without sending it."),
    wait: bool = typer.Option(False, "--wait", help="Wait for the result, with progress."),
    json_: bool = JsonOption,
) -> None:
    """Submit one job, or a file of jobs."""
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
    request = check_request(body, wiring.channels, wiring.market())
    now = wiring.clock()
    if dry_run:
        job = planned_job(wiring.settings, account.id, request, now)
        shown = preview(wiring.providers, wiring.settings, wiring.signer, job, request.choice)
        print_json(shown, indent=2)
        return
    request = with_saved_images(wiring.uploads, request, now)
    with wiring.db.write() as tx:
        job = request_job(tx, wiring.encryptor, wiring.settings, account.id, request, now)
    if wait:
        job = _wait(wiring, job)
    print_job(wiring, job, json_)
    if job.state is JobState.FAILED:
        raise typer.Exit(1)


def _wait(wiring: Wiring, job: Job) -> Job:
    """The job at its end; its progress is shown on stderr, if that is a terminal."""
    out = errors()
    bar = (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    text = TextColumn("{task.fields[state]} {task.description}", markup=False)
    try:
        with Progress(*bar, text, console=out, disable=not out.is_terminal) as progress:
            job = _follow(wiring, job, progress)
    except KeyboardInterrupt:
        print_error(f"{job.id} continues; `clipbell show {job.id}` shows its state")
        raise typer.Exit(130) from None
    if job.state not in TERMINAL and job.error:
        print_error(f"{job.id} is {job.state}: {job.error['message']} {job.error['hint']}")
        raise typer.Exit(1)
    return job


def _follow(wiring: Wiring, job: Job, progress: Progress) -> Job:
    """The job once it has ended or waits for a person; moves the progress until then."""
    bar = progress.add_task("", total=1.0, state=job.state)
    while True:
        with wiring.db.read() as tx:
            job = store.jobs.find(tx, job.id) or job
            now = wiring.clock()
            trouble = worker_trouble(tx, now) or provider_trouble(tx, [job.provider], now)
        text = doing(job, now, trouble)
        progress.update(bar, completed=done(job, now), description=text, state=job.state)
        if job.state in (*TERMINAL, JobState.HELD, JobState.UNKNOWN):
            return job
        time.sleep(POLL_SECONDS)

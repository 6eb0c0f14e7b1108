"""`submit`: one job or a file of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.catalogue.models import MODELS
from service.cli.ask import Request, answer
from service.cli.batch import submit_file
from service.cli.completion import models
from service.cli.errors import print_error
from service.cli.estimate import estimate, print_estimate
from service.cli.here import acting_account, jobs_json, open_here
from service.cli.jobs import error_text, print_job
from service.cli.live import Live
from service.cli.output import JsonOption, errors
from service.cli.parsing import from_pairs
from service.cli.progress import doing, done
from service.cli.wired import open_wiring
from service.jobs.requests import check_request, request_job, with_saved_images
from service.model import TERMINAL, JobState
from service.model.job_json import JobJson

POLL_SECONDS = 0.5
INPUT = "The video"
SENDING = "Sending"
#: States that a job does not leave by itself.
RESTING = (*TERMINAL, JobState.HELD, JobState.UNKNOWN)
ModelArgument = typer.Argument(None, help=f"One of {', '.join(MODELS)}.", autocompletion=models)
PromptOption = typer.Option(
    None, "--prompt", "-p", metavar="WORDS", help="What it shows.", rich_help_panel=INPUT
)
InputOption = typer.Option(
    [],
    "--input",
    "-i",
    metavar="KEY=VALUE",
    help="More input, such as duration=10 or image=fox.png. Repeat it for several.",
    rich_help_panel=INPUT,
)
ProviderOption = typer.Option(
    "auto",
    metavar="VENDOR",
    help="Which vendor makes it; auto is the cheapest that can.",
    rich_help_panel=INPUT,
)
NotifyOption = typer.Option(
    None,
    "--notify",
    metavar="CHANNEL:TARGET",
    help="Who gets the link, such as slack:URL. Repeat it for several.",
    rich_help_panel=SENDING,
)
FileOption = typer.Option(
    None, "--file", help="A batch: jobs.csv or jobs.jsonl.", rich_help_panel=SENDING
)
DryRunOption = typer.Option(
    False,
    "--dry-run",
    help="Show vendor, price and time, and send nothing.",
    rich_help_panel=SENDING,
)
WaitOption = typer.Option(
    False, "--wait", help="Wait for the result, with progress.", rich_help_panel=SENDING
)


def submit(
    model: str = ModelArgument,
    prompt: str = PromptOption,
    inputs: list[str] = InputOption,
    provider: str = ProviderOption,
    notify: list[str] = NotifyOption,
    file: Path = FileOption,
    dry_run: bool = DryRunOption,
    wait: bool = WaitOption,
    json_: bool = JsonOption,
) -> None:
    """
    Submit one job, or a file of jobs.

    Examples:
      clipbell submit kling-2-5-turbo-pro -p "A fox in the snow" --dry-run
      clipbell submit kling-2-5-turbo-pro -p "A fox in the snow" --wait
      clipbell submit kling-2 -p "It runs" -i image=fox.png --notify email:me@example.com
      clipbell submit --file jobs.csv
    """
    body: dict[str, Any] = {"provider": provider} | ({"notify": list(notify)} if notify else {})
    if file is not None:
        if prompt or inputs or wait:
            raise typer.BadParameter("not with --prompt, --input or --wait", param_hint="--file")
        submit_file(file, body | ({"model": model} if model else {}), dry_run, json_)
        return
    if model is None or prompt is None:
        raise typer.BadParameter("give a model and --prompt, or --file")
    body |= {"model": model, "input": {"prompt": prompt} | from_pairs(model, inputs)}
    if dry_run:
        request = Request("POST", "/v1/dry-runs", body=body)
        print_estimate(answer(request, lambda: estimate(body)), json_)
        return
    job = answer(Request("POST", "/v1/jobs", body=body), lambda: _submit(body))
    job = _wait(job) if wait else job
    print_job(job, json_)
    if job["state"] == JobState.FAILED:
        raise typer.Exit(1)


def _submit(body: dict[str, Any]) -> JobJson:
    wiring = open_wiring()
    request, now = check_request(body, wiring.channels, wiring.market()), wiring.clock()
    request = with_saved_images(wiring.uploads, request, now)
    with wiring.db.write() as tx:
        account_id = acting_account(tx).id
        job = request_job(tx, wiring.encryptor, wiring.settings, account_id, request, now)
    return jobs_json(open_here(), [job])[0]


def _wait(job: JobJson) -> JobJson:
    """The job at its end; its progress is shown on stderr, if that is a terminal."""
    out = errors()
    bar = (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    text = TextColumn("{task.fields[state]} {task.description}", markup=False)
    try:
        with Progress(*bar, text, console=out, disable=not out.is_terminal) as progress:
            job = _follow(job, progress)
    except KeyboardInterrupt:
        print_error(f"{job['id']} continues; `clipbell show {job['id']}` shows its state")
        raise typer.Exit(130) from None
    if job["state"] not in TERMINAL and job["error"]:
        print_error(f"{job['id']} is {job['state']}: {error_text(job['error'])}")
        raise typer.Exit(1)
    return job


def _follow(job: JobJson, progress: Progress) -> JobJson:
    """The job once it has ended or waits for a person; moves the progress until then."""
    bar, live = progress.add_task("", total=1.0, state=job["state"]), Live()
    while True:
        snapshot = live.one(job["id"])
        (job,) = snapshot.jobs
        text = doing(job, snapshot.now, snapshot.trouble(job))
        share = done(job, snapshot.now)
        progress.update(bar, completed=share, description=text, state=job["state"])
        if job["state"] in RESTING:
            return job
        time.sleep(POLL_SECONDS)

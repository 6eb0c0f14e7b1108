"""`submit`: one job or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from service.catalogue.models import MODELS
from service.cli.ask import Request, answer
from service.cli.completion import models
from service.cli.estimate import print_estimate
from service.cli.jobs import print_job
from service.cli.lazy import imported
from service.cli.output import JsonOption
from service.cli.parsing import from_pairs
from service.model import JobState

INPUT = "The video"
SENDING = "Sending"
ModelArgument = typer.Argument(None, help=f"One of {', '.join(MODELS)}.", autocompletion=models)
PromptOption = typer.Option(
    None,
    "--prompt",
    "-p",
    metavar="WORDS",
    help="A description of the video.",
    rich_help_panel=INPUT,
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
    help="The vendor to use; auto is the cheapest that fits.",
    rich_help_panel=INPUT,
)
NotifyOption = typer.Option(
    None,
    "--notify",
    metavar="CHANNEL:TARGET",
    help="A channel that gets the link, such as slack:URL. Repeat it for several.",
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
        defaults = body | ({"model": model} if model else {})
        imported("batch:submit_file")(file, defaults, dry_run, json_)
        return
    if model is None or prompt is None:
        raise typer.BadParameter("give a model and --prompt, or --file")
    body |= {"model": model, "input": {"prompt": prompt} | from_pairs(model, inputs)}
    # A job for this machine loads the whole service; one for another machine does without.
    if dry_run:
        request = Request("POST", "/v1/dry-runs", body=body)
        print_estimate(answer(request, lambda: imported("submit_here:estimate")(body)), json_)
        return
    request = Request("POST", "/v1/jobs", body=body)
    job = answer(request, lambda: imported("submit_here:submit_job")(body))
    job = imported("follow:follow")(job) if wait else job
    print_job(job, json_)
    raise typer.Exit(int(job["state"] == JobState.FAILED))

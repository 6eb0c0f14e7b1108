"""`submit --wait`: a job until its end, with a bar."""

from __future__ import annotations

import time

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.errors import print_error
from service.cli.jobs import error_text
from service.cli.live import Live
from service.cli.output import errors
from service.cli.progress import doing, done
from service.model import TERMINAL, JobState
from service.model.job_json import JobJson

POLL_SECONDS = 0.5
#: States that a job does not leave by itself.
RESTING = (*TERMINAL, JobState.HELD, JobState.UNKNOWN)


def follow(job: JobJson) -> JobJson:
    """The job at its end; its progress is shown on stderr, if that is a terminal."""
    out = errors()
    bar = (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    text = TextColumn("{task.fields[state]} {task.description}", markup=False)
    try:
        with Progress(*bar, text, console=out, disable=not out.is_terminal) as progress:
            job = _until_rest(job, progress)
    except KeyboardInterrupt:
        print_error(f"{job['id']} continues; `clipbell show {job['id']}` shows its state")
        raise typer.Exit(130) from None
    if job["state"] not in TERMINAL and job["error"]:
        print_error(f"{job['id']} is {job['state']}: {error_text(job['error'])}")
        raise typer.Exit(1)
    return job


def _until_rest(job: JobJson, progress: Progress) -> JobJson:
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

"""`watch`: jobs as they go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import acting_account
from service.cli.jobs import shown_job
from service.cli.output import (
    ID_WIDTH,
    ROOMY,
    JsonOption,
    console,
    in_colour,
    open_wiring,
    print_json,
)
from service.cli.progress import doing, done, seconds_of
from service.formatting import format_count, harmless
from service.model import TERMINAL, Job, JobState, Video
from service.ops.health import provider_trouble, worker_trouble
from service.store.work import MOST_COUNTED

#: States that a job leaves by itself.
MOVING = (JobState.QUEUED, JobState.SUBMITTING, JobState.SUBMITTED)


@dataclass(frozen=True)
class Snapshot:
    """The jobs at one moment, newest first; `last_errors` by provider, `counts` by state."""

    jobs: list[Job]
    videos: dict[str, Video]
    counts: dict[str, int]
    last_errors: dict[str, str]
    now: datetime

    def moving(self) -> int:
        """The number of jobs of the account that go on by themselves."""
        return sum(self.counts.get(state, 0) for state in MOVING)

    def mark(self, job: Job) -> Any:
        """The parts of a job whose change is worth a line."""
        video = self.videos.get(job.id)
        return job.state, job.task_id, job.overdue, video.state if video else None


def watch(
    limit: int = typer.Option(
        None, min=1, max=1000, help="Number of jobs; 15 on a terminal, else 200."
    ),
    every: float = typer.Option(1.0, min=0.2, max=3600, help="Seconds between updates."),
    until_idle: bool = typer.Option(
        False, "--until-idle", help="Stop when no job is queued or running."
    ),
    json_: bool = JsonOption,
) -> None:
    """Live view of jobs, until Ctrl-C. With --json, one line for each change."""
    wiring, out = open_wiring(), console()
    live_view = out.is_terminal and not json_
    snapshots = _snapshots(wiring, limit or (15 if live_view else 200), every, until_idle)
    try:
        if not live_view:
            _print_changes(wiring, snapshots, json_)
            return
        with Live(console=out, auto_refresh=False) as live:
            for snapshot in snapshots:
                live.update(_render(snapshot, out.width), refresh=True)
    except KeyboardInterrupt:
        return


def _snapshots(wiring: Wiring, limit: int, every: float, until_idle: bool) -> Iterator[Snapshot]:
    """One snapshot after another, `every` seconds; the last one shows the end."""
    account_id = acting_account(wiring).id
    while True:
        with wiring.db.read() as tx:
            jobs = store.jobs.page(tx, account_id, limit)
            videos = store.videos.of_jobs(tx, [job.id for job in jobs])
            counts, now = store.jobs.counts(tx, account_id), wiring.clock()
            idle = worker_trouble(tx, now)
            named = {job.provider for job in jobs}
            last_errors = {name: idle or provider_trouble(tx, [name], now) for name in named}
            snapshot = Snapshot(jobs, videos, counts, last_errors, now)
        yield snapshot
        if until_idle and not snapshot.moving():
            return
        time.sleep(every)


def _print_changes(wiring: Wiring, snapshots: Iterator[Snapshot], json_: bool) -> None:
    """Print a line for each job that has not ended, and for each change since."""
    known: dict[str, Any] | None = None
    for snapshot in snapshots:
        marks = {job.id: snapshot.mark(job) for job in snapshot.jobs}
        if known is None:
            known = {job.id: marks[job.id] for job in snapshot.jobs if job.state in TERMINAL}
        changed = [job for job in reversed(snapshot.jobs) if known.get(job.id) != marks[job.id]]
        for job in changed:
            if json_:
                print_json(shown_job(wiring, job))
                continue
            text = doing(job, snapshot.now, snapshot.last_errors[job.provider])
            line = f"{snapshot.now:%H:%M:%S}  {job.id}  {job.state:<10}  {job.model:<19}  {text}"
            print(harmless(line.rstrip()), flush=True)
        known = marks


def _render(snapshot: Snapshot, width: int) -> Group:
    """The jobs as a table with bars, for a terminal of `width` columns."""
    roomy = width >= ROOMY
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "time", *(["progress"] if roomy else []), "waits for"):
        first = name == "job"
        grid.add_column(name, min_width=ID_WIDTH if first else None, no_wrap=first)
    for job in snapshot.jobs:
        bar = ProgressBar(total=1.0, completed=done(job, snapshot.now), width=12)
        text = doing(job, snapshot.now, snapshot.last_errors[job.provider]) or job.model
        minutes, seconds = divmod(int(seconds_of(job, snapshot.now)), 60)
        elapsed = f"{minutes}:{seconds:02}" if minutes or seconds else ""
        grid.add_row(job.id, in_colour(job.state), elapsed, *([bar] if roomy else []), text)
    counts = ", ".join(
        f"{format_count(count, MOST_COUNTED)} {state}"
        for state, count in sorted(snapshot.counts.items())
    )
    return Group(grid, Text(f"{counts or 'no jobs yet'}; Ctrl-C ends", "dim"))

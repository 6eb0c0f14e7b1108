"""`watch`: jobs as they go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import typer
from rich.console import Group
from rich.live import Live as Display
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.cli.live import Live, Snapshot
from service.cli.output import JsonOption, console, print_json
from service.cli.progress import doing, done, seconds_of
from service.cli.tables import SHORT_ID, in_colour
from service.formatting import harmless
from service.model import TERMINAL

#: Columns of a terminal that has room for bars, and of one that has room for whole ids.
ROOMY, WIDE = 100, 140


def watch(
    limit: int = typer.Option(
        None,
        min=1,
        max=1000,
        metavar="N",
        help="Number of jobs. Default: 15 on a terminal, else 200.",
    ),
    every: float = typer.Option(
        1.0, min=0.2, max=3600, metavar="SECONDS", help="Seconds between updates."
    ),
    until_idle: bool = typer.Option(
        False, "--until-idle", help="Stop when no job is queued or running."
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Show jobs live, until Ctrl-C. With --json, one line for each change.

    Examples:
      clipbell watch
      clipbell watch --until-idle --json
    """
    out = console()
    on_terminal = out.is_terminal and not json_
    limit = limit or (15 if on_terminal else 200)
    snapshots = Live().snapshots(limit, every, until_idle=until_idle)
    try:
        if not on_terminal:
            _print_changes(snapshots, json_)
            return
        with Display(console=out, auto_refresh=False) as display:
            for snapshot in snapshots:
                display.update(_render(snapshot, out.width), refresh=True)
    except KeyboardInterrupt:
        return


def _print_changes(snapshots: Iterator[Snapshot], json_: bool) -> None:
    """Print a line for each job that has not ended, and for each change since."""
    known: dict[str, Any] | None = None
    for snapshot in snapshots:
        now = snapshot.now
        # The parts of a job whose change is worth a line.
        marks: dict[str, Any] = {}
        for job in snapshot.jobs:
            late = job["state"] not in TERMINAL and bool(job["deadline_at"])
            overdue = late and datetime.fromisoformat(str(job["deadline_at"])) <= now
            copied = bool(job["video"] and job["video"]["bytes"] is not None)
            marks[job["id"]] = (job["state"], job["task_id"], overdue, copied)
        if known is None:
            ended = [job["id"] for job in snapshot.jobs if job["state"] in TERMINAL]
            known = {id_: marks[id_] for id_ in ended}
        changed = [j for j in reversed(snapshot.jobs) if known.get(j["id"]) != marks[j["id"]]]
        for job in changed:
            if json_:
                print_json(job)
                continue
            text = doing(job, now, snapshot.trouble(job))
            line = f"{now:%H:%M:%S}  {job['id']}  {job['state']:<10}  {job['model']:<19}  {text}"
            print(harmless(line.rstrip()), flush=True)
        known = marks


def _render(snapshot: Snapshot, width: int) -> Group:
    """The jobs as a table with bars, for a terminal of `width` columns."""
    roomy, length = width >= ROOMY, None if width >= WIDE else SHORT_ID
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("job", min_width=SHORT_ID, no_wrap=True)
    for name in ("state", "time", *(["progress"] if roomy else []), "waits for"):
        grid.add_column(name)
    for job in snapshot.jobs:
        bar = ProgressBar(total=1.0, completed=done(job, snapshot.now), width=12)
        text = doing(job, snapshot.now, snapshot.trouble(job)) or job["model"]
        minutes, seconds = divmod(int(seconds_of(job, snapshot.now)), 60)
        elapsed = f"{minutes}:{seconds:02}" if minutes or seconds else ""
        cells = (job["id"][:length], in_colour(job["state"]), elapsed)
        grid.add_row(*cells, *([bar] if roomy else []), text)
    return Group(grid, Text(f"{snapshot.counted() or 'no jobs yet'}; Ctrl-C stops", "dim"))

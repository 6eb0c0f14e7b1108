"""`demo`: the whole product in a minute."""

from __future__ import annotations

import signal
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from service.cli.errors import print_error
from service.cli.output import JsonOption, print_json
from service.demo.run import Demo, running
from service.errors import SettingsError
from service.formatting import format_duration
from service.ops.processes import interrupt_on_signals

LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 120.0
TROUBLES_SHOWN = (
    "Three more jobs show what can go wrong: one fails at the vendor, one is held because it "
    "costs more than a job may, and one has a hook that is down at first."
)
MARKS = {"succeeded": "[green]●[/]", "failed": "[red]●[/]"}


def demo(
    once: bool = typer.Option(False, "--once", help="Stop when everything has arrived."),
    port: int = typer.Option(
        None, min=1, max=65535, help="Port of the web pages. Default: a free one."
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Try everything offline: no key, no costs, nothing is left behind.

    It starts a vendor for tests, web, worker, a Slack sink, a mail inbox and a REST hook.

    Examples:
      clipbell demo
      clipbell demo --once --json
    """
    interrupt_on_signals()
    try:
        with tempfile.TemporaryDirectory(prefix="clipbell-demo-") as folder:
            failed = _show(Path(folder), port, once=once, quiet=json_)
    except KeyboardInterrupt:
        return
    except OSError as error:
        fix = "set TMPDIR to a folder that you may write to"
        raise SettingsError(f"cannot make a temporary folder: {error}; {fix}") from None
    if failed:
        raise typer.Exit(1)


def _show(folder: Path, port: int | None, *, once: bool, quiet: bool) -> bool:
    """Run the demo in that folder; returns whether something was wrong."""
    out = Console(stderr=quiet, highlight=False)
    out.print("Starting sandbox provider, web, worker, Slack sink, mail inbox and REST-hook sink …")
    with running(folder, port) as demo:
        began = time.monotonic()
        demo.subscribe()
        demo.submit()
        _follow(demo, out)
        problems = demo.problems()
        seconds = round(time.monotonic() - began, 1)
        out.print()
        for job in [one for one in demo.progress.jobs if one["video"]]:
            out.print(f"[bold]{job['model']}[/]\n  {job['video']['url']}", soft_wrap=True)
        out.print(f"\nDashboard:  {demo.login_url}", soft_wrap=True)
        out.print(f"Slack card, mail and hook:  {demo.sinks.url}", soft_wrap=True)
        count = len(demo.progress.deliveries)
        out.print(f"\n{count} deliveries in {format_duration(seconds)}.")
        for problem in problems:
            print_error(problem)
        if quiet:
            body = {"jobs": demo.progress.jobs, "deliveries": demo.progress.deliveries}
            print_json(body | {"dashboard": demo.login_url, "seconds": seconds})
        if not once:
            demo.submit_troubles()
            out.print(f"\n{TROUBLES_SHOWN}")
            out.print("\nCtrl-C stops everything and leaves nothing behind.")
            signal.pause()
    return bool(problems)


def _follow(demo: Demo, out: Console) -> None:
    """Show the progress until all has arrived, or nothing moves any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Live(console=out, refresh_per_second=8) as live:
        while not demo.look().ended() and time.monotonic() < deadline:
            live.update(_table(demo))
            time.sleep(LOOK_SECONDS)
        live.update(_table(demo))


def _table(demo: Demo) -> Table:
    """The jobs as they stand, each with its time and the channels that have delivered."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "model", "state", "time", "delivered"):
        grid.add_column(name)
    delivered = [d for d in demo.progress.deliveries if d["state"] == "delivered"]
    for job in demo.progress.jobs:
        began, ended = job["created_at"], job["finished_at"]
        until = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
        elapsed = format_duration((until - datetime.fromisoformat(began)).total_seconds())
        channels = " ".join(d["channel"] for d in delivered if d["job_id"] == job["id"])
        mark = MARKS.get(job["state"], "[yellow]●[/]")
        grid.add_row(mark, job["model"], job["state"], elapsed, channels or "…")
    return grid

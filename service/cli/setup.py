"""`init`, `migrate`, `backup`, `recover-from-backup` and `doctor`."""

from __future__ import annotations

import signal
from pathlib import Path

import typer
from rich.text import Text

from service.cli.output import JsonOption, console, open_wiring, print_json
from service.formatting import format_size
from service.jobs.restore import mark_unknown_after_restore
from service.ops import doctor as checkup
from service.ops.backup import write_backup
from service.ops.setup import initialise, make_folder
from service.settings import load_settings


def init(
    owner_email: str = typer.Option(None, "--owner-email", help="Email for alerts."),
    json_: bool = JsonOption,
) -> None:
    """Create the data folder, secrets, database and a first key. Safe to run again."""
    settings = load_settings()
    service = initialise(settings, owner_email)
    if json_:
        print_json(service)
        return
    out = console()
    out.print(f"Ready in {settings.data_dir}. Account {service['account']}.")
    if service["api_key"]:
        out.print(f"API key (shown only now): {service['api_key']}", style="bold", soft_wrap=True)
    else:
        out.print("API key: made before; `clipbell keys create` makes another.")
    out.print(f"Webhook secret: {service['webhook_secret']}", soft_wrap=True)
    out.print("Next: `clipbell up`, or `clipbell serve` and `clipbell worker`.")
    out.print(f"Then open {settings.public_url} and sign in with the key.", soft_wrap=True)


def migrate(
    stay: bool = typer.Option(False, "--stay", help="Then wait for SIGTERM (for honcho)."),
    json_: bool = JsonOption,
) -> None:
    """Run database migrations."""
    settings = load_settings()
    if settings.database_url.startswith("sqlite"):
        make_folder(settings)
    database = checkup.open_database(settings)
    before = database.version().at
    database.migrate()
    after = database.version().at
    database.close()
    if json_:
        print_json({"before": before, "after": after})
    else:
        console().print(
            f"The schema is at {after}" + ("." if before == after else f", was {before}.")
        )
    if stay:
        # honcho ends all processes when one ends, a finished release too.
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def backup(
    file: Path = typer.Argument(..., help="The tar file to make."),
    replace: bool = typer.Option(False, "--replace", help="Overwrite a file that is there."),
    json_: bool = JsonOption,
) -> None:
    """Copy SQLite's database and the secret keys into one file, while the service runs."""
    size = write_backup(load_settings(), file, replace=replace)
    if json_:
        print_json({"file": str(file), "bytes": size})
        return
    what = "the database and the secret keys, without the videos"
    console().print(f"{file}: {what} ({format_size(size)}).", soft_wrap=True)


def recover_from_backup(json_: bool = JsonOption) -> None:
    """Run after a restore, before any worker starts, so that no job is paid twice."""
    wiring = open_wiring()
    counts = mark_unknown_after_restore(wiring.db, wiring.high_water, wiring.clock())
    wiring.close()
    if json_:
        print_json(counts)
        return
    asked, waiting, damaged = counts["asked"], counts["waiting"], counts["damaged"]
    console().print(f"{asked} jobs have a task: the worker will ask the provider about them.")
    if damaged:
        console().print(f"{damaged} jobs cannot be read and are quarantined; see /readyz.")
    console().print(f"{waiting} jobs may have been sent since the backup: they are unknown.")
    if waiting:
        advice = "look for them at the provider, then `clipbell resolve`"
        console().print(f"`clipbell jobs --state unknown` lists them; {advice}.", soft_wrap=True)
    console().print("Now start the worker.")


def doctor(json_: bool = JsonOption) -> None:
    """Check the installation and suggest fixes."""
    checks = checkup.examine()
    ok = all(check.ok for check in checks)
    if json_:
        shown = [{"subject": c.name, "ok": c.ok, "message": c.message} for c in checks]
        print_json({"ok": ok, "findings": shown})
    for check in [] if json_ else checks:
        mark = Text("ok  ", "green") if check.ok else Text("FIX ", "red")
        console().print(mark, f"{check.name}: {check.message}", soft_wrap=True)
    if not ok:
        raise typer.Exit(1)

"""`init`, `migrate`, `backup`, `recover-from-backup` and `doctor`."""

from __future__ import annotations

import signal
from pathlib import Path

import typer
from rich.text import Text

from service.cli.here import local_settings, note_remote
from service.cli.output import JsonOption, console, print_json, say
from service.cli.wired import open_wiring
from service.formatting import format_size
from service.jobs.restore import mark_unknown_after_restore
from service.ops import doctor as checkup
from service.ops.backup import write_backup
from service.ops.setup import initialise, make_folder
from service.store.migration import migrate as run_migrations


def init(
    owner_email: str = typer.Option(
        None, "--owner-email", metavar="EMAIL", help="Email for alerts."
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Create the data folder, database and first key, and the secrets. Safe to run again.

    Examples:
      clipbell init --owner-email me@example.com
    """
    settings = local_settings()
    service = initialise(settings, owner_email)
    if json_:
        print_json(service)
        return
    say(f"Ready in {settings.data_dir}. Account: {service['account']}.")
    if service["api_key"]:
        say(f"API key (shown only now): {service['api_key']}", style="bold")
    else:
        say("API key: created before. `clipbell keys create` creates another.")
    say(f"Webhook secret: {service['webhook_secret']}")
    say("Next: `clipbell up`, or `clipbell serve` and `clipbell worker`.")
    say(f"Then open {settings.public_url} and sign in with the key.")


def migrate(
    stay: bool = typer.Option(False, "--stay", help="Then wait for SIGTERM (for honcho)."),
    json_: bool = JsonOption,
) -> None:
    """
    Run database migrations.

    Examples:
      clipbell migrate
    """
    settings = local_settings()
    if settings.database_url.startswith("sqlite"):
        make_folder(settings)
    database = checkup.open_database(settings)
    before = database.version().at
    run_migrations(database)
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
    file: Path = typer.Argument(..., metavar="FILE", help="The tar file to make."),
    replace: bool = typer.Option(False, "--replace", help="Overwrite a file that exists."),
    json_: bool = JsonOption,
) -> None:
    """
    Copy database and secret keys into one file, while the service runs.

    For SQLite. For PostgreSQL, it prints the commands to run.

    Examples:
      clipbell backup backup.tar
    """
    size = write_backup(local_settings(), file, replace=replace)
    if json_:
        print_json({"file": str(file), "bytes": size})
        return
    what = "the database and the secret keys, without the videos"
    say(f"{file}: {what} ({format_size(size)}).")


def recover_from_backup(json_: bool = JsonOption) -> None:
    """
    Run once after a restore, before any worker starts, so that no job is paid twice.

    Examples:
      clipbell recover-from-backup
    """
    wiring = open_wiring()
    counts = mark_unknown_after_restore(wiring.db, wiring.high_water, wiring.clock())
    wiring.close()
    if json_:
        print_json(counts)
        return
    asked, waiting, damaged = counts["asked"], counts["waiting"], counts["damaged"]
    say(f"Jobs with a task at the vendor: {asked}. The worker will poll them.")
    if damaged:
        say(f"Unreadable and quarantined: {damaged}. See /readyz.")
    say(f"Perhaps sent since the backup, and now unknown: {waiting}.")
    if waiting:
        say("`clipbell jobs --state unknown` lists them. Look for them at the vendor, then say")
        say("what you found with `clipbell resolve`.")
    say("Now start the worker.")


def doctor(json_: bool = JsonOption) -> None:
    """
    Check the installation and suggest fixes.

    Examples:
      clipbell doctor
    """
    note_remote()
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

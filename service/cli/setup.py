"""`init`, `migrate` and `doctor`."""

from __future__ import annotations

import os
import signal
from typing import Any

import typer

from service import doctor as findings
from service import store
from service.accounts import SCOPES, create_account, create_key
from service.bootstrap import Wiring, build
from service.cli.output import JsonOption, console, emit
from service.errors import SettingsError
from service.settings import Settings, load_settings, make_secret_key


def init(
    owner_email: str = typer.Option(None, "--owner-email", help="Where operator news goes."),
    json_: bool = JsonOption,
) -> None:
    """Make the data folder, secrets, database, first account and its key; safe to run again."""
    settings = load_settings()
    _make_folder(settings)
    _make_secrets(settings)
    wiring = build(settings)
    wiring.db.migrate()
    found = _first_account(wiring, owner_email)
    wiring.close()
    if json_:
        emit(found)
        return
    out = console()
    out.print(f"Ready in {settings.data_dir}. Account {found['account']}.")
    if found["api_key"]:
        out.print(f"API key (shown only now): [bold]{found['api_key']}[/]", soft_wrap=True)
    out.print(f"Webhook secret: {found['webhook_secret']}", soft_wrap=True)
    out.print("Next: `clipbell serve` and `clipbell worker`.")


def _make_folder(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"cannot make {settings.data_dir}: {error.strerror}; "
            "set CLIPBELL_DATA_DIR to a folder that you may write to"
        ) from None


def _make_secrets(settings: Settings) -> None:
    """A key file with mode 0600 from its first byte; an existing one is left alone."""
    if settings.secret_keys or settings.secret_keys_file.exists():
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(settings.secret_keys_file, flags, 0o600)
    except OSError as error:
        path = settings.secret_keys_file
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(make_secret_key() + "\n")


def _first_account(wiring: Wiring, owner_email: str | None) -> dict[str, Any]:
    now = wiring.clock()
    with wiring.db.write() as tx:
        account, key = store.accounts.first(tx), None
        if account is None:
            account = create_account(tx, wiring.sealer, "default", owner_email, now)
            key = create_key(tx, account.id, "first key", SCOPES, now)
    secret = wiring.sealer.open(account.webhook_secret)
    return {"account": account.id, "api_key": key, "webhook_secret": secret}


def migrate(
    stay: bool = typer.Option(False, "--stay", help="Then wait for SIGTERM (for honcho)."),
    json_: bool = JsonOption,
) -> None:
    """Bring the database's schema to head."""
    settings = load_settings()
    if settings.database_url.startswith("sqlite"):
        _make_folder(settings)
    wiring_db = findings.open_database(settings)
    before, _ = wiring_db.revision()
    wiring_db.migrate()
    after, _ = wiring_db.revision()
    wiring_db.close()
    if json_:
        emit({"before": before, "after": after})
    else:
        console().print(
            f"The schema is at {after}" + ("." if before == after else f", was {before}.")
        )
    if stay:
        # honcho ends all processes when one ends, a finished release too.
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def doctor(json_: bool = JsonOption) -> None:
    """Look at settings, database, storage, network and clock; each finding with its fix."""
    found = findings.examine()
    if json_:
        emit({"ok": all(f.ok for f in found), "findings": [vars(f) for f in found]})
    for finding in [] if json_ else found:
        mark = "[green]ok  [/]" if finding.ok else "[red]FIX [/]"
        console().print(f"{mark} {finding.subject}: {finding.message}", soft_wrap=True)
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)

"""
The console command.

Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one line on stderr
that says how to mend it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from service import __version__
from service.cli import (
    accounts,
    callbacks,
    deliveries,
    demo,
    jobs,
    listen,
    processes,
    providers,
    secrets,
    setup,
    subscriptions,
    videos,
)
from service.cli.acting import Acting
from service.cli.output import complain
from service.errors import ClipbellError

app = typer.Typer(
    name="clipbell",
    help="Fire-and-forget video generation: send a job, get the link.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Verbs = dict[str, Callable[..., None]]
#: Verbs of the whole service.
VERBS: Verbs = {
    "demo": demo.demo,
    "init": setup.init,
    "serve": processes.serve,
    "worker": processes.worker,
    "sandbox": processes.sandbox,
    "hold": providers.hold,
    "resume": providers.resume,
    "doctor": setup.doctor,
    "migrate": setup.migrate,
    "recover-from-backup": setup.recover_from_backup,
}
#: Verbs that act for one account.
ACTING: Verbs = {
    "submit": jobs.submit,
    "jobs": jobs.list_jobs,
    "show": jobs.show,
    "cancel": jobs.cancel,
    "resolve": jobs.resolve,
    "delete": videos.delete,
    "deliveries": deliveries.deliveries,
    "resend": deliveries.resend,
    "recover": subscriptions.recover,
    "callbacks": callbacks.list_callbacks,
    "replay": callbacks.replay,
    "trigger": deliveries.trigger,
    "listen": listen.listen,
}
GROUPS = {
    "subscriptions": subscriptions.app,
    "videos": videos.app,
    "accounts": accounts.app,
    "keys": accounts.keys,
    "secrets": secrets.app,
}
for name, verb in VERBS.items():
    app.command(name)(verb)
for name, verb in ACTING.items():
    app.command(name, cls=Acting)(verb)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        typer.echo(f"clipbell {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        app(arguments, prog_name="clipbell")
    except ClipbellError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)

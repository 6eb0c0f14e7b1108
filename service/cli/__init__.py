"""
The console command.

Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one line on stderr
that says how to fix it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import typer
from sqlalchemy.exc import SQLAlchemyError

from service import __version__
from service.cli import (
    accounts,
    callbacks,
    deliveries,
    demo,
    export,
    jobs,
    ledger,
    listen,
    processes,
    providers,
    secrets,
    setup,
    submit,
    subscriptions,
    videos,
    watch,
)
from service.cli.account_option import Acting
from service.cli.output import print_error
from service.cli.parsing import as_typed
from service.cli.remote import over_api
from service.errors import ClipbellError, InvalidInput
from service.store.outages import reason_of

NAME = "clipbell"
app = typer.Typer(
    name=NAME,
    help="Fire-and-forget video generation: send a job, get the link.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Verbs = dict[str, Callable[..., None]]
#: Verbs of the whole service.
VERBS: Verbs = {
    "demo": demo.demo,
    "init": setup.init,
    "up": processes.up,
    "serve": processes.serve,
    "worker": processes.worker,
    "sandbox": processes.sandbox,
    "models": providers.list_models,
    "providers": providers.list_providers,
    "hold": providers.hold,
    "resume": providers.resume,
    "doctor": setup.doctor,
    "migrate": setup.migrate,
    "backup": setup.backup,
    "recover-from-backup": setup.recover_from_backup,
}
#: Verbs that act for one account.
ACTING: Verbs = {
    "submit": submit.submit,
    "jobs": jobs.list_jobs,
    "show": jobs.show,
    "watch": watch.watch,
    "cancel": jobs.cancel,
    "mute": jobs.mute,
    "resolve": jobs.resolve,
    "export": export.export,
    "delete": videos.delete,
    "resend": deliveries.resend,
    "recover": subscriptions.recover,
    "ledger": ledger.ledger,
    "callbacks": callbacks.list_callbacks,
    "replay": callbacks.replay,
    "trigger": deliveries.trigger,
    "listen": listen.listen,
}
GROUPS = {
    "subscriptions": subscriptions.app,
    "deliveries": deliveries.app,
    "videos": videos.app,
    "accounts": accounts.app,
    "keys": accounts.keys,
    "secrets": secrets.app,
}
#: Of the whole service, and yet served by the API.
SERVED = ("models", "providers", "hold", "resume")
for name, verb in VERBS.items():
    app.command(name)(over_api(name, verb) if name in SERVED else verb)
for name, verb in ACTING.items():
    app.command(name, cls=Acting)(over_api(name, verb))
for name, group in GROUPS.items():
    if group.registered_callback and group.registered_callback.callback:
        group.registered_callback.callback = over_api(name, group.registered_callback.callback)
    for one in group.registered_commands:
        if one.callback:
            own = one.name or one.callback.__name__
            one.callback = over_api(f"{name} {own}", one.callback)
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; any error is printed in one line."""
    exit_code = 1
    # What we write holds secrets and other people's films.
    os.umask(0o077)
    try:
        exit_code = app(arguments, prog_name=NAME, standalone_mode=False) or 0
    except BrokenPipeError:
        pass
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else NAME
        # Pydantic's prefix says nothing to whoever typed the command.
        message = error.format_message().replace("Value error, ", "")
        print_error(f"{message.rstrip('. ')}; see `{path} --help`")
        exit_code = error.exit_code
    except typer.Abort:
        print_error("stopped: nothing was done")
    except InvalidInput as error:
        print_error(
            "; ".join(f"{as_typed(fault.pointer)}{fault.message}" for fault in error.faults)
        )
    except ClipbellError as error:
        print_error(str(error))
    except SQLAlchemyError as error:
        print_error(f"the database failed: {reason_of(error)}; `clipbell doctor` looks at it")
    except OSError as error:
        print_error(f"{error.filename or 'the system'}: {error.strerror or error}")
    sys.exit(exit_code)

"""
The console command.

Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one line on stderr
that says the fix.
"""

from __future__ import annotations

import gc
import io
import os
import re
import sys
from collections.abc import Sequence

import typer

from service import __version__
from service.cli.errors import as_typed, knows_all_letters, print_error
from service.cli.verbs import VERBS as VERBS
from service.cli.verbs import Root
from service.errors import ClipbellError, InvalidInput

NAME = "clipbell"
app = typer.Typer(
    name=NAME,
    cls=Root,
    help="Fire-and-forget video generation: send a job, get the link.",
    epilog="`clipbell VERB -h` shows options and examples. To use a service on another "
    "machine, set CLIPBELL_URL and CLIPBELL_KEY.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


def _open_streams() -> None:
    """Streams that are closed lead nowhere; others print what letters they know."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Else the next file that is opened would take its place.
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open until the end
        elif isinstance(stream, io.TextIOWrapper) and not knows_all_letters(stream):
            # Prompts hold any letters, and terminals may know few.
            stream.reconfigure(errors="replace")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; any error is printed in one line."""
    exit_code = 1
    # What we write holds secrets and other people's films.
    os.umask(0o077)
    # Modules make many objects and no garbage; `Verb.invoke` collects again.
    gc.disable()
    _open_streams()
    try:
        exit_code = app(arguments, prog_name=NAME, standalone_mode=False) or 0
    except BrokenPipeError:
        pass
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else NAME
        # Pydantic's words say nothing to whoever typed the command.
        message = re.sub("^Invalid value(: | for )", "", error.format_message())
        message = message.replace("Value error, ", "").replace("Input should be", "must be")
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
    except UnicodeEncodeError as error:
        # Of an argument: neither a database nor a URL takes it.
        print_error(f"{error.object[:80]!r} is not text in UTF-8; type it again")
        exit_code = 2
    except OSError as error:
        print_error(f"{error.filename or 'the system'}: {error.strerror or error}")
    sys.exit(exit_code)

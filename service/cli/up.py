"""`up`: web and worker in one."""

from __future__ import annotations

import sys
from contextlib import suppress

import typer

from service.cli.here import note_remote
from service.cli.output import JsonOption, print_json
from service.model import utc_now
from service.ops.processes import HOST, Processes, free_port, interrupt_on_signals
from service.ops.startup import make_ready
from service.settings import environ_with, load_settings
from service.web.session import operator_login_url


def up(
    port: int = typer.Option(8000, min=1, max=65535, help="Port to listen on."),
    json_: bool = JsonOption,
) -> None:
    """
    Run web and worker together. Ctrl-C stops both.

    Examples:
      clipbell up --port 8080
    """
    own_url = f"http://{HOST}:{port}"
    given = {} if "public_url" in load_settings().model_fields_set else {"public_url": own_url}
    settings = make_ready(load_settings(None, **given))
    note_remote(settings.public_url)
    free_port(port)
    interrupt_on_signals()
    with suppress(KeyboardInterrupt), Processes(environ_with(given)) as processes:
        processes.start("serve", "--port", str(port), "--quiet")
        processes.start("worker")
        processes.await_answer(f"{own_url}/healthz")
        link = operator_login_url(settings, utc_now())
        here = "" if settings.public_url == own_url else f", which must lead to {own_url}"
        lines = [f"Clipbell is at {settings.public_url}{here}. Ctrl-C stops it."]
        # The link is as good as a key for a day: it goes to a person and into no log.
        if link and sys.stdout.isatty():
            lines.append(f"Sign in: {link}")
        lines.append("Sign in with an API key; `clipbell keys create` makes one.")
        if json_:
            print_json({"url": settings.public_url, "local_url": own_url, "login_url": link})
        else:
            typer.echo("\n".join(lines))
        processes.await_end()

"""`up`, `serve`, `worker` and `sandbox`: the processes."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import typer

from service.bootstrap import build
from service.cli.output import JsonOption, print_json
from service.engines import worker as workers
from service.errors import SettingsError
from service.model import utc_now
from service.ops.doctor import pull_notice
from service.ops.logs import configure
from service.ops.processes import HOST, Processes, free_port, interrupt_on_signals
from service.ops.setup import await_schema
from service.settings import Settings, environ_with, inherits_sockets, load_settings, misspelt

log = logging.getLogger(__name__)

#: Shell commands that point a service at the sandbox for both vendors; any key will do.
SANDBOX_SETTINGS = (
    "export CLIPBELL_APIXO_BASE_URL={url} CLIPBELL_SEGMIND_BASE_URL={url}\n"
    "export CLIPBELL_APIXO_API_KEY=any CLIPBELL_SEGMIND_API_KEY=any"
    " CLIPBELL_ALLOWED_NETWORKS=127.0.0.0/8"
)


def serve(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8000, min=1, max=65535, help="Port to listen on."),
    workers: int = typer.Option(2, min=1, help="Processes."),
    threads: int = typer.Option(8, min=1, help="Threads of each process."),
) -> None:
    """Run the web process (gunicorn). SIGHUP reloads the settings, SIGTERM stops it."""
    # Imported here because Flask and gunicorn would cost every other verb a fifth of its start.
    from service.web.server import Server

    def read_settings() -> Settings:
        settings = load_settings()
        if settings.sync_waiters >= threads:
            waiters = f"CLIPBELL_SYNC_WAITERS={settings.sync_waiters}"
            advice = f"needs more --threads than {threads}, or callbacks would wait"
            raise SettingsError(f"{waiters} {advice}")
        build(settings).close()
        return settings

    settings = _ready(read_settings())
    if not inherits_sockets():
        free_port(port, host)
    if settings.log_format == "console":
        typer.echo(f"Clipbell listens at http://{host}:{port}. Ctrl-C stops it.", err=True)
        typer.echo(f"Open {settings.public_url} and sign in with an API key.", err=True)
    Server(read_settings, bind=f"{host}:{port}", workers=workers, threads=threads).run()


def worker(
    threads: int = typer.Option(120, min=5, help="Threads, shared among the kinds of work."),
) -> None:
    """Run the worker process: submit, confirm, copy, deliver. SIGTERM stops it."""
    settings = _ready(load_settings())
    if settings.engine == "celery":
        # Imported here because Celery is an extra.
        from service.engines.celery import run_worker

        sys.exit(run_worker(threads))
    wiring = build(settings)
    if workers.run_worker(wiring, threads):
        wiring.close()
    else:
        # At a normal exit the threads that are left would see their connections closed.
        logging.shutdown()
        os._exit(0)


def up(
    port: int = typer.Option(8000, min=1, max=65535, help="Port to listen on."),
    json_: bool = JsonOption,
) -> None:
    """Run web and worker in one. Ctrl-C stops both."""
    # Imported here because Flask would cost every other verb a fifth of its start.
    from service.web.session import operator_login_url

    own_url = f"http://{HOST}:{port}"
    given = {} if "public_url" in load_settings().model_fields_set else {"public_url": own_url}
    settings = _ready(load_settings(None, **given))
    free_port(port)
    interrupt_on_signals()
    with suppress(KeyboardInterrupt), Processes(environ_with(given)) as processes:
        processes.start("serve", "--port", str(port))
        processes.start("worker")
        processes.await_answer(f"{own_url}/healthz")
        link = operator_login_url(settings, utc_now())
        if json_:
            print_json({"url": settings.public_url, "local_url": own_url, "login_url": link})
        else:
            typer.echo(_welcome(settings.public_url, own_url, link))
        processes.await_end()


def _welcome(public_url: str, own_url: str, link: str | None) -> str:
    """Where the service is and how to sign in."""
    here = "" if public_url == own_url else f", which must lead to {own_url}"
    lines = [f"Clipbell is at {public_url}{here}. Ctrl-C stops it."]
    # The link is as good as a key for a day: it goes to a person and into no log.
    if link and sys.stdout.isatty():
        lines.append(f"Sign in: {link}")
    lines.append("Sign in with an API key; `clipbell keys create` makes one.")
    return "\n".join(lines)


def _ready(settings: Settings) -> Settings:
    """The settings, once they build and the database is at head. Raises SchemaError."""
    configure(settings.log_format)
    for sentence in misspelt():
        log.warning("%s", sentence)
    if notice := pull_notice(settings):
        log.warning("%s", notice)
    await_schema(settings)
    return settings


def sandbox(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8100, min=0, max=65535, help="Port; 0 takes a free one."),
    pace: float = typer.Option(0.0, min=0, help="Minimum seconds per task."),
    json_: bool = JsonOption,
) -> None:
    """
    The sandbox provider alone. Both vendors' APIs, with rendered videos.

    Orders in a prompt let it misbehave: [fail CODE] the task, [slow SECONDS],
    [refuse STATUS] the create, [drop] its answer, [lose] the callback, [repeat N],
    [reorder] or [forge] callbacks, [hang], [html], [cut] or [empty] answers, and a
    task that is [gone].
    """
    try:
        # Imported here because its libraries are an extra that a service can do without.
        from service.sandbox.app import SandboxOptions, SandboxServer
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is missing: pip install 'clipbell[demo]'") from None
    if port:
        free_port(port, host)
    with tempfile.TemporaryDirectory(prefix="clipbell-sandbox-") as folder:
        # So that its folder goes too.
        interrupt_on_signals()
        server = SandboxServer(SandboxOptions(folder=Path(folder), pace=pace), host, port)
        if json_:
            print_json({"url": server.url})
        else:
            typer.echo(f"sandbox provider at {server.url}; stop it with Ctrl-C")
            typer.echo("`serve` and `worker` use it with these settings:")
            typer.echo(SANDBOX_SETTINGS.format(url=server.url))
            typer.echo("A prompt such as `[fail] A fox` or `[slow 20] A fox` gives it orders.")
        with suppress(KeyboardInterrupt):
            server.serve()
        server.close()

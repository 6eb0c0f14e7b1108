"""`serve`, `worker` and `sandbox`: the processes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import typer

from service import worker as workers
from service.bootstrap import Wiring, build
from service.cli.output import JsonOption, print_json
from service.errors import SchemaError, SettingsError
from service.ops.logs import configure
from service.settings import Settings, inherits_sockets, load_settings, misspelt

log = logging.getLogger(__name__)

#: A process started beside `clipbell migrate` waits this long for it.
SCHEMA_SECONDS = 30.0


def serve(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8000, min=1, max=65535, help="Port to listen on."),
    workers: int = typer.Option(2, min=1, help="Processes."),
    threads: int = typer.Option(8, min=1, help="Threads of each process."),
) -> None:
    """The web process (gunicorn). SIGHUP reads the settings again, SIGTERM stops it."""
    # Imported here because Flask and gunicorn would cost every other verb a fifth of its start.
    from service.web.server import Server

    def read_settings() -> Settings:
        settings = load_settings()
        if settings.sync_waiters >= threads:
            seats = f"CLIPBELL_SYNC_WAITERS={settings.sync_waiters}"
            advice = f"needs more --threads than {threads}, or callbacks would wait"
            raise SettingsError(f"{seats} {advice}")
        build(settings).close()
        return settings

    _ready(read_settings())
    if not inherits_sockets():
        free_or_fail(host, port)
    Server(read_settings, bind=f"{host}:{port}", workers=workers, threads=threads).run()


def free_or_fail(host: str, port: int) -> None:
    """Raises SettingsError, with the fix, when nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"cannot listen on {host}:{port}: {error.strerror}"
            raise SettingsError(f"{reason}; choose another with --port") from None


def worker(
    threads: int = typer.Option(24, min=5, help="Threads, shared out over the kinds of work."),
) -> None:
    """The worker process. It submits, confirms, copies, delivers; SIGTERM stops it."""
    settings = _ready(load_settings())
    wiring = build(settings)
    if workers.run_worker(wiring, threads):
        wiring.close()
    else:
        # At a normal exit the threads that are left would see their connections closed.
        logging.shutdown()
        os._exit(0)


def _ready(settings: Settings) -> Settings:
    """Settings that build, over a database that is at head or soon will be."""
    configure(settings.log_format)
    for sentence in misspelt():
        log.warning("%s", sentence)
    wiring = build(settings)
    _await_schema(wiring)
    wiring.close()
    return settings


def _await_schema(wiring: Wiring) -> None:
    deadline = time.monotonic() + SCHEMA_SECONDS
    while True:
        try:
            wiring.db.check()
        except SchemaError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.25)
        else:
            return


def sandbox(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8100, min=0, max=65535, help="Port; 0 takes a free one."),
    pace: float = typer.Option(0.0, min=0, help="Seconds that a task takes at least."),
    json_: bool = JsonOption,
) -> None:
    """The sandbox provider alone. Both vendors' APIs, with rendered videos."""
    try:
        # Imported here because its libraries are an extra that a service can do without.
        from service.sandbox.app import SandboxOptions, SandboxServer
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is missing: pip install 'clipbell[demo]'") from None
    if port:
        free_or_fail(host, port)
    with tempfile.TemporaryDirectory(prefix="clipbell-sandbox-") as folder:
        # SIGTERM ends it as Ctrl-C does, so that its folder goes too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server = SandboxServer(SandboxOptions(folder=Path(folder), pace=pace), host, port)
        if json_:
            print_json({"url": server.url})
        else:
            typer.echo(f"sandbox provider at {server.url}; stop it with Ctrl-C")
            typer.echo(f"`serve` and `worker` use it with these settings:\n{_pointing(server.url)}")
        with suppress(KeyboardInterrupt):
            server.serve()
        server.close()


def _pointing(url: str) -> str:
    """What to export so that a service takes this for both vendors; any key will do."""
    bases = f"CLIPBELL_APIXO_BASE_URL={url} CLIPBELL_SEGMIND_BASE_URL={url}"
    keys = "CLIPBELL_APIXO_API_KEY=any CLIPBELL_SEGMIND_API_KEY=any"
    networks = "CLIPBELL_ALLOWED_NETWORKS=127.0.0.0/8"
    return f"export {bases}\nexport {keys} {networks}"

"""`serve`: the web process."""

from __future__ import annotations

import typer

from service.bootstrap import build
from service.cli.here import note_remote
from service.errors import SettingsError
from service.formatting import format_address
from service.ops.processes import HOST, free_port
from service.ops.startup import make_ready
from service.settings import Settings, inherits_sockets, load_settings
from service.web.server import Server

#: Hosts that stand for all addresses of this machine.
ANY = ("0.0.0.0", "::")  # noqa: S104


def serve(
    host: str = typer.Option("127.0.0.1", metavar="ADDRESS", help="Address to listen on."),
    port: int = typer.Option(8000, min=1, max=65535, help="Port to listen on."),
    workers: int = typer.Option(2, min=1, metavar="N", help="Processes."),
    threads: int = typer.Option(8, min=1, metavar="N", help="Threads of each process."),
    quiet: bool = typer.Option(False, "--quiet", help="Do not print the address."),
) -> None:
    """
    Run the web process. SIGHUP reloads the settings, SIGTERM stops it.

    Examples:
      clipbell serve --port 8080
      clipbell serve --host 0.0.0.0 --workers 4
    """

    def read_settings() -> Settings:
        settings = load_settings()
        if settings.sync_waiters >= threads:
            waiters = f"CLIPBELL_SYNC_WAITERS={settings.sync_waiters}"
            advice = f"needs more --threads than {threads}, or callbacks would wait"
            raise SettingsError(f"{waiters} {advice}")
        build(settings).close()
        return settings

    settings = make_ready(read_settings())
    note_remote(settings.public_url)
    if not inherits_sockets():
        free_port(port, host)
    address = format_address(host, port)
    if settings.log_format == "console" and not quiet:
        own_url = f"http://{format_address(HOST if host in ANY else host, port)}"
        place = settings.public_url if "public_url" in settings.model_fields_set else own_url
        typer.echo(f"Clipbell listens at http://{address}. Ctrl-C stops it.", err=True)
        typer.echo(f"Open {place} and sign in with an API key.", err=True)
    Server(read_settings, bind=address, workers=workers, threads=threads).run()

"""`sandbox`: a vendor for tests."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import typer

from service.cli.output import JsonOption, print_json
from service.ops.processes import free_port, interrupt_on_signals
from service.sandbox.app import SandboxOptions, SandboxServer

#: Shell commands that point a service at the sandbox for both vendors; any key will do.
SANDBOX_SETTINGS = (
    "export CLIPBELL_APIXO_BASE_URL={url} CLIPBELL_SEGMIND_BASE_URL={url}\n"
    "export CLIPBELL_APIXO_API_KEY=any CLIPBELL_SEGMIND_API_KEY=any"
    " CLIPBELL_ALLOWED_NETWORKS=127.0.0.0/8"
)


def sandbox(
    host: str = typer.Option("127.0.0.1", metavar="ADDRESS", help="Address to listen on."),
    port: int = typer.Option(8100, min=0, max=65535, help="Port; 0 takes a free one."),
    pace: float = typer.Option(0.0, min=0, metavar="SECONDS", help="The shortest time of a task."),
    json_: bool = JsonOption,
) -> None:
    """
    Run a vendor for tests, with rendered videos. It has the APIs of all vendors.

    Words in a prompt make it fail: [fail CODE] the task, [slow SECONDS],
    [refuse STATUS] the create, [drop] its answer, [lose] the callback, [repeat N],
    [reorder] or [forge] callbacks, [hang], [html], [cut] or [empty] answers, and a
    task that is [gone].

    Examples:
      clipbell sandbox --port 8100
      clipbell submit kling-2-5-turbo-pro -p "[slow 20] A fox"
    """
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
            typer.echo(
                "A prompt such as `[fail] A fox` or `[slow 20] A fox` makes it fail or wait."
            )
        with suppress(KeyboardInterrupt):
            server.serve()
        server.close()

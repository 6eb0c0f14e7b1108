"""`hold` and `resume`: stop and go on sending to a provider."""

from __future__ import annotations

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.output import JsonOption, console, open_wiring, print_json
from service.errors import NotFound
from service.jobs.requests import release_provider


def _known(wiring: Wiring, name: str) -> str:
    if name not in wiring.providers:
        known = ", ".join(wiring.providers) or "none: no provider has a key"
        raise NotFound(f"there is no provider {name}; those with a key: {known}")
    return name


def hold(name: str = typer.Argument(metavar="PROVIDER"), json_: bool = JsonOption) -> None:
    """Stop sending jobs to a provider."""
    wiring = open_wiring()
    with wiring.db.write() as tx:
        store.providers.ensure(tx, _known(wiring, name), wiring.clock())
        store.providers.hold(tx, name, "held by an operator")
    _print({"id": name, "held": True}, f"{name} is held; `clipbell resume {name}` goes on.", json_)


def resume(name: str = typer.Argument(metavar="PROVIDER"), json_: bool = JsonOption) -> None:
    """Send jobs again. Ends a hold, and a wait that the provider asked for."""
    wiring = open_wiring()
    with wiring.db.write() as tx:
        store.providers.ensure(tx, _known(wiring, name), wiring.clock())
        count = release_provider(tx, name, wiring.clock())
    body = {"id": name, "held": False, "released": count}
    _print(body, f"{name} goes on; {count} jobs that waited are due now.", json_)


def _print(body: dict[str, object], text: str, json_: bool) -> None:
    if json_:
        print_json(body)
    else:
        console().print(text)

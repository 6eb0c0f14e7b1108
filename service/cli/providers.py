"""The verbs about vendors: what is configured, and stopping or resuming them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import Connection

from service import store
from service.bootstrap import Wiring
from service.cli.ask import Request, answer
from service.cli.output import JsonOption, print_json, print_list, say
from service.cli.wired import open_wiring
from service.errors import NotFound
from service.jobs.provider_json import ProviderJson, provider_json
from service.jobs.requests import release_provider

ProviderArgument = typer.Argument(metavar="PROVIDER", help="A vendor, such as apixo.")


def list_providers(json_: bool = JsonOption) -> None:
    """
    List the vendors that have a key, and whether jobs go out to them.

    Examples:
      clipbell providers
    """

    def here() -> list[ProviderJson]:
        wiring = open_wiring()
        with wiring.db.read() as tx:
            return [provider_json(tx, one, wiring.clock()) for one in wiring.providers.values()]

    found: list[ProviderJson] = answer(Request("GET", "/v1/providers", limit=0), here)
    rows = [
        {
            "provider": one["id"],
            "state": "held" if one["held"] else "on",
            "open": str(one["open_tasks"]),
            "reason": one["held"] or "",
        }
        for one in found
    ]
    none = "No vendor has a key: set one, such as CLIPBELL_APIXO_API_KEY."
    print_list(found, rows, json_, none=none)


def hold(name: str = ProviderArgument, json_: bool = JsonOption) -> None:
    """
    Stop sending jobs to a vendor. New jobs for it wait.

    Examples:
      clipbell hold apixo
    """

    def act(tx: Connection, wiring: Wiring) -> dict[str, Any]:
        store.providers.hold(tx, name, "held by an operator")
        return {}

    found = answer(Request("POST", "/v1/providers/{}/hold", name), lambda: _change(name, act))
    if json_:
        print_json(found)
    else:
        say(f"{name} is held: no job is sent to it. `clipbell resume {name}` ends that.")


def resume(name: str = ProviderArgument, json_: bool = JsonOption) -> None:
    """
    Send jobs to a vendor again. Ends a hold, and a wait that the vendor asked for.

    Examples:
      clipbell resume apixo
    """

    def act(tx: Connection, wiring: Wiring) -> dict[str, Any]:
        return {"released": release_provider(tx, name, wiring.clock())}

    found = answer(Request("POST", "/v1/providers/{}/resume", name), lambda: _change(name, act))
    if json_:
        print_json(found)
        return
    count = found.get("released")
    jobs = {
        None: "jobs that waited are due now",
        0: "no job has waited",
        1: "1 job that waited is due now",
    }
    say(f"{name} is on again; {jobs.get(count, f'{count} jobs that waited are due now')}.")


def _change(name: str, act: Callable[[Connection, Wiring], dict[str, Any]]) -> dict[str, Any]:
    """The vendor after a change. Raises NotFound."""
    wiring = open_wiring()
    if name not in wiring.providers:
        known = ", ".join(wiring.providers) or "none: no provider has a key"
        raise NotFound(f"there is no provider {name}; those with a key: {known}")
    with wiring.db.write() as tx:
        store.providers.ensure(tx, name, wiring.clock())
        more = act(tx, wiring)
        return {**provider_json(tx, wiring.providers[name], wiring.clock()), **more}

"""The verbs about vendors: what is configured, and stopping or resuming them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import Connection

from service import store
from service.catalogue.models import VENDORS
from service.cli.ask import Request, answer
from service.cli.here import open_here
from service.cli.output import JsonOption, print_json, print_list, say
from service.errors import NotFound
from service.jobs.provider_json import ProviderJson, provider_json
from service.jobs.provider_status import release_provider
from service.model import utc_now

ProviderArgument = typer.Argument(metavar="PROVIDER", help="A vendor, such as apixo.")


def list_providers(json_: bool = JsonOption) -> None:
    """
    List the vendors that have a key, and whether jobs go out to them.

    Examples:
      clipbell providers
    """

    def here() -> list[ProviderJson]:
        opened = open_here()
        with opened.db.read() as tx:
            return [_shown(tx, name) for name in opened.settings.usable_vendors]

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

    def act(tx: Connection) -> dict[str, Any]:
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

    def act(tx: Connection) -> dict[str, Any]:
        return {"released": release_provider(tx, name, utc_now())}

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
    say(f"{name} is resumed; {jobs.get(count, f'{count} jobs that waited are due now')}.")


def _change(name: str, act: Callable[[Connection], dict[str, Any]]) -> dict[str, Any]:
    """The vendor after a change. Raises NotFound."""
    opened = open_here()
    usable = opened.settings.usable_vendors
    if name not in usable:
        known = ", ".join(usable) or "none: no provider has a key"
        raise NotFound(f"there is no provider {name}; those with a key: {known}")
    with opened.db.write() as tx:
        store.providers.ensure(tx, name, utc_now())
        more = act(tx)
        return {**_shown(tx, name), **more}


def _shown(tx: Connection, name: str) -> ProviderJson:
    return provider_json(tx, name, VENDORS[name].limits, utc_now())

"""The verbs about vendors: what is configured, and stopping or resuming them."""

from __future__ import annotations

import typer

from service import store
from service.bootstrap import Wiring
from service.catalogue.models import MODELS
from service.cli.output import JsonOption, console, open_wiring, print_json, table
from service.errors import NotFound
from service.formatting import format_duration, format_price
from service.jobs.budget import price_span
from service.jobs.requests import release_provider
from service.settings import load_settings


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
    jobs = "1 job that waited is" if count == 1 else f"{count} jobs that waited are"
    _print(body, f"{name} goes on; {jobs} due now.", json_)


def list_providers(json_: bool = JsonOption) -> None:
    """The vendors that have a key, and whether jobs go out to them."""
    wiring = open_wiring()
    with wiring.db.read() as tx:
        rows = [
            {
                "provider": name,
                "state": "held" if (held := store.providers.held(tx, name)) else "on",
                "open": str(store.jobs.count_open(tx, name)),
                "reason": held or "",
            }
            for name in wiring.providers
        ]
    if json_:
        print_json(
            [
                {"id": row["provider"], "held": row["reason"] or None, "open": int(row["open"])}
                for row in rows
            ]
        )
    elif rows:
        table(rows)
    else:
        console().print("No vendor has a key: set one, such as CLIPBELL_APIXO_API_KEY.")


def list_models(json_: bool = JsonOption) -> None:
    """The models, with their price and the time that they take."""
    prices = load_settings().prices
    rows = []
    for model in MODELS.values():
        low, high = price_span(prices, model)
        rows.append(
            {
                "model": model.slug,
                "provider": model.provider,
                "price": format_price(low, high),
                "takes": format_duration(max(model.expected_seconds.values())),
                "title": model.title,
            }
        )
    if json_:
        print_json(rows)
    else:
        table(rows, spare="title")


def _print(body: dict[str, object], text: str, json_: bool) -> None:
    if json_:
        print_json(body)
    else:
        console().print(text)

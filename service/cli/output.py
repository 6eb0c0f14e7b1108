"""How verbs speak: text for people, JSON for programs, one line for errors."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from service import store
from service.bootstrap import Wiring, build
from service.errors import SchemaError
from service.model import Account
from service.settings import load_settings

JsonOption = typer.Option(False, "--json", help="Print JSON for programs.")


def console() -> Console:
    """Standard output; plain where it is no terminal or NO_COLOR is set."""
    return Console(highlight=False, markup=False)


def errors() -> Console:
    """Standard error, for what moves while a verb works."""
    return Console(stderr=True, highlight=False, markup=False)


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"clipbell: {' '.join(message.split())}", file=sys.stderr)


def emit(body: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(body, ensure_ascii=False), flush=True)


def open_wiring() -> Wiring:
    """The wiring over a database that is at head. Raises SettingsError or SchemaError."""
    wiring = build(load_settings())
    wiring.db.check()
    return wiring


def first_account(wiring: Wiring) -> Account:
    """The account that the command line acts for."""
    with wiring.db.read() as tx:
        account = store.accounts.first(tx)
    if account is None:
        raise SchemaError("there is no account yet: run `clipbell init`")
    return account


def table(rows: list[dict[str, str]]) -> None:
    """Rows with the same keys, as a table."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else []:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*row.values())
    console().print(grid)


def ago(moment: datetime) -> str:
    """How long ago, in its largest unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"

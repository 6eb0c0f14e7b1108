"""Which module may import which, and what may be reached from where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[1] / "service"

#: The reading order: a module imports only what stands before it.
READING = """
    errors imagedata model catalogue inputs failures settings signing retry
    addresses shapes messages samples wording cards letters
    schema migrations db store shelter ingest
    dialing outbound storage disk downloads boxes media images providers channels
    accounts budget events subscribing jobs batches outcomes reach submissions recovery polls
    callbacks videos retention notices trials endpoints deliveries resends timeline health metrics
    engines logs bootstrap install rotation doctor
    web worker demo cli __main__
"""
ORDER = tuple(READING.split())
#: A house of its own: it may know only these; the last three doors may start it.
SANDBOX_KNOWS = ("errors", "imagedata", "model", "catalogue", "inputs", "sandbox")
SANDBOX_GUESTS = ("demo", "cli")

#: What each thing may be reached from; names are matched as they are written in full.
REACH = {
    r"flask(\..*)?": {"web", "sandbox"},
    r"requests(\..*)?": {"outbound"},
    r"itsdangerous(\..*)?": {"signing"},
    r"smtplib(\..*)?": {"channels"},
    r"os\.environ|os\.getenv": {"settings"},
    r"sqlalchemy\.(select|insert|update|delete|text)": {"store", "ingest", "schema", "db"},
    r".*\.exec_driver_sql": {"store", "ingest", "schema", "db"},
    r"(datetime\.)?datetime\.(now|utcnow|today)|time\.time(_ns)?": {
        *("model", "sandbox", "cli", "demo", "doctor", "logs")
    },
}


def modules() -> dict[str, str]:
    """The text of every file under service/, by its path."""
    paths = sorted(SERVICE.rglob("*.py"))
    return {str(path.relative_to(SERVICE)): path.read_text() for path in paths}


def house(path: str) -> str:
    """The name of a file in `ORDER`."""
    return path.partition("/")[0].removesuffix(".py")


def names(tree: ast.Module) -> Iterator[str]:
    """Every name that a module imports or reaches for, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (f"{dots}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield f"{_chain(node.value)}.{node.attr}"


def _chain(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_chain(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "_"


def faults(path: str, text: str) -> list[str]:
    """What is wrong with one file under service/, in a sentence each."""
    tree, own = ast.parse(text), house(path)
    found = []
    if not ast.get_docstring(tree):
        found.append(f"{path} does not start with a docstring")
    if "from __future__ import annotations" not in text:
        found.append(f"{path} lacks from __future__ import annotations")
    if own not in (*ORDER, "sandbox", "__init__"):
        found.append(f"{path} is new: add {own!r} to ORDER in test_layers.py, above all it imports")
        return found
    for name in names(tree):
        found += _import_faults(path, own, name) + _reach_faults(path, own, name)
    return found


def _import_faults(path: str, own: str, name: str) -> list[str]:
    if name.startswith("."):
        return [f"{path} imports {name}: write it in full"]
    target = re.match(r"service\.(\w+)", name)
    if not target or target[1] in (own, "__version__"):
        return []
    allowed: tuple[str, ...] = SANDBOX_KNOWS if own == "sandbox" else ()
    if own in ORDER:
        allowed = ORDER[: ORDER.index(own)]
        allowed += ("sandbox",) if own in SANDBOX_GUESTS else ()
    return [] if target[1] in allowed else [f"{path} must not import {target[1]}"]


def _reach_faults(path: str, own: str, name: str) -> list[str]:
    return [
        f"{path} reaches for {name}; only {', '.join(sorted(houses))} may"
        for pattern, houses in REACH.items()
        if re.fullmatch(pattern, name) and own not in houses
    ]


def test_every_module_keeps_the_rule() -> None:
    """Imports lead downwards only, and each library has its own few doors."""
    assert [] == [fault for path, text in modules().items() for fault in faults(path, text)]


def test_every_name_in_the_order_exists() -> None:
    """The order names no module that has gone."""
    there = {house(path) for path in modules()}

    assert [] == [name for name in ORDER if name not in there]


HEAD = '"""A module."""\n\nfrom __future__ import annotations\n\n'


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("model.py", "from service.store import jobs", "must not import store"),
        ("model.py", "from service import store", "must not import store"),
        ("jobs.py", "import service.web.app", "must not import web"),
        ("store/jobs.py", "def f() -> None:\n    from service import jobs", "must not import jobs"),
        ("sandbox/app.py", "from service.signing import digest", "must not import signing"),
        ("web/app.py", "from service.sandbox import app", "must not import sandbox"),
        ("store/jobs.py", "from .work import claim", "write it in full"),
        ("jobs.py", "from flask import g", "reaches for flask.g"),
        ("web/jobs.py", "import requests", "reaches for requests"),
        ("web/jobs.py", "from sqlalchemy import Connection, select", "sqlalchemy.select"),
        ("jobs.py", "tx.connection().exec_driver_sql('x')", "exec_driver_sql"),
        ("jobs.py", "import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("retry.py", "from datetime import datetime\ndatetime.now()", "datetime.now"),
        ("outbound.py", "import time\ntime.time()", "time.time"),
        ("web/app.py", "import os\nos.environ['HOME']", "os.environ"),
        ("web/app.py", "from os import environ", "os.environ"),
        ("letters.py", "import smtplib", "reaches for smtplib"),
        ("jobs.py", "from itsdangerous import Signer", "itsdangerous.Signer"),
        ("novelty.py", "", "add 'novelty' to ORDER"),
    ],
)
def test_each_breach_is_found(path: str, line: str, expected: str) -> None:
    """The checker itself can fail: every kind of breach is told, with its file."""
    found = faults(path, HEAD + line)

    assert 1 == len(found), found
    assert path in found[0]
    assert expected in found[0]


def test_what_is_allowed_is_no_breach() -> None:
    """A type for an annotation, a monotonic clock and one's own package pass."""
    text = "from sqlalchemy import Connection\nimport time\ntime.monotonic()\nimport service.jobs\n"

    assert [] == faults("jobs.py", HEAD + text)


@pytest.mark.parametrize("text", ["from __future__ import annotations\n", '"""Only words."""\n'])
def test_head_of_a_file(text: str) -> None:
    """A file without a docstring or without the future import is told."""
    assert 1 == len(faults("jobs.py", text))

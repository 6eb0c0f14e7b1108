"""Which room may import which, and what may be reached from where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[1] / "service"

#: The reading order: a room, or a file beside the rooms, imports only what stands before it.
ORDER = [
    *("errors", "formatting", "media", "catalogue", "model"),
    *("settings", "signing", "retry", "slots"),
    *("outbound", "store", "migrations", "storage", "accounts"),
    *("events", "messages", "providers", "channels"),
    *("deliveries", "videos", "jobs", "callbacks"),
    *("bootstrap", "ops", "engines"),
    *("web", "demo", "cli", "__main__"),
]
#: A house of its own: it may know only these; the last two may start it.
SANDBOX_KNOWS = ("errors", "media", "model", "catalogue", "sandbox")
SANDBOX_GUESTS = ("demo", "cli")

#: What each thing may be reached from; names are matched as they are written in full.
REACH = {
    r"flask(\..*)?": ("web/", "sandbox/"),
    r"requests(\..*)?": ("outbound/",),
    # No other way out: what a user can steer leaves by the guarded client.
    r"urllib3(\..*)?": ("outbound/",),
    r"http\.client(\..*)?": ("outbound/", "sandbox/"),
    r"urllib\.request(\..*)?": ("sandbox/",),
    r"(httpx|httpcore|aiohttp|pycurl|ftplib|poplib|imaplib|xmlrpc)(\..*)?": (),
    r"asyncio(\..*)?": ("sandbox/",),
    # The last two only look whether a port is free, and answer who connects.
    r"socket\.(socket|create_connection)": (
        *(
            "outbound/",
            "sandbox/",
            "ops/processes.py",
            "web/intake/worker.py",
            "store/bell.py",
        ),
    ),
    r"apprise(\..*)?": ("channels/",),
    r"(celery|kombu|amqp|redis)(\..*)?": ("engines/", "ops/broker.py"),
    r"obstore(\..*)?": ("storage/",),
    r"itsdangerous(\..*)?": ("signing.py",),
    r"smtplib(\..*)?": ("channels/",),
    r"os\.environ|os\.getenv": ("settings/environment.py",),
    r"sqlalchemy\.(select|insert|update|delete|text)": ("store/", "callbacks/ingest.py"),
    r".*\.exec_driver_sql": ("store/", "callbacks/ingest.py"),
    r"(datetime\.)?datetime\.(now|utcnow|today)|time\.time(_ns)?": (
        *("model/ids.py", "sandbox/", "cli/", "demo/", "ops/doctor.py", "ops/logs.py"),
    ),
}


def modules() -> dict[str, str]:
    """The text of every file under service/, by its path."""
    paths = sorted(SERVICE.rglob("*.py"))
    return {str(path.relative_to(SERVICE)): path.read_text() for path in paths}


def room_of(path: str) -> str:
    """The name of a file's room in `ORDER`; of a file beside the rooms, its own."""
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
    """Everything wrong with one file under service/, in a sentence each."""
    tree, room = ast.parse(text), room_of(path)
    found = []
    if not ast.get_docstring(tree):
        found.append(f"{path} does not start with a docstring")
    if "from __future__ import annotations" not in text:
        found.append(f"{path} lacks from __future__ import annotations")
    if room not in (*ORDER, "sandbox", "__init__"):
        return [*found, f"{path} is new: add {room!r} to ORDER in test_rooms.py"]
    for name in names(tree):
        found += _import_faults(path, room, name) + _reach_faults(path, name)
    return found


def _import_faults(path: str, room: str, name: str) -> list[str]:
    if name.startswith("."):
        return [f"{path} imports {name}: write it in full"]
    target = re.match(r"service\.(\w+)", name)
    if not target or target[1] in (room, "__version__"):
        return []
    allowed: tuple[str, ...] = SANDBOX_KNOWS if room == "sandbox" else ()
    if room in ORDER:
        allowed = tuple(ORDER[: ORDER.index(room)])
        allowed += ("sandbox",) if room in SANDBOX_GUESTS else ()
    return [] if target[1] in allowed else [f"{path} must not import {target[1]}"]


def _reach_faults(path: str, name: str) -> list[str]:
    return [
        f"{path} reaches for {name}; only {', '.join(places)} may"
        for pattern, places in REACH.items()
        if re.fullmatch(pattern, name) and not path.startswith(places)
    ]


def imported_files(path: str, text: str, known: set[str]) -> set[str]:
    """The files under service/ that one of them imports, `__init__` files by their room."""
    found = set()
    for name in names(ast.parse(text)):
        if not name.startswith("service."):
            continue
        parts = name.split(".")[1:]
        for length in (len(parts), len(parts) - 1):
            stem = "/".join(parts[:length])
            hit = {f"{stem}.py", f"{stem}/__init__.py"} & known
            if hit:
                found |= hit
                break
    return found - {path}


def cycles(files: dict[str, str]) -> list[str]:
    """The files that import themselves by way of others."""
    known = set(files)
    arrows = {path: imported_files(path, text, known) for path, text in files.items()}
    left = dict(arrows)
    while free := [path for path, to in left.items() if not to & left.keys()]:
        left = {path: to for path, to in left.items() if path not in free}
    return sorted(left)


def test_every_file_keeps_the_order() -> None:
    """Imports lead downwards only, and each library has its own few places."""
    assert [] == [fault for path, text in modules().items() for fault in faults(path, text)]


def test_no_file_imports_itself_through_others() -> None:
    """Inside a room, too, no import leads round in a circle."""
    assert [] == cycles(modules())


def test_every_name_in_the_order_exists() -> None:
    """The order names no room that is gone."""
    there = {room_of(path) for path in modules()}

    assert [] == [name for name in ORDER if name not in there]


def test_every_room_says_what_it_is() -> None:
    """Each room's `__init__` starts with a docstring: what enters, what leaves."""
    rooms = [path for path in modules() if path.count("/") == 1 and path.endswith("__init__.py")]

    silent = [
        path for path in rooms if len(ast.get_docstring(ast.parse(modules()[path])) or "") < 60
    ]

    assert [] == silent


HEAD = '"""A module."""\n\nfrom __future__ import annotations\n\n'


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("model/entities.py", "from service.store import jobs", "must not import store"),
        ("model/entities.py", "from service import store", "must not import store"),
        ("jobs/polling.py", "import service.web.app", "must not import web"),
        (
            "store/jobs.py",
            "def f() -> None:\n    from service import jobs",
            "must not import jobs",
        ),
        ("sandbox/app.py", "from service.signing import digest", "must not import signing"),
        ("web/app.py", "from service.sandbox import app", "must not import sandbox"),
        ("store/jobs.py", "from .work import claim", "write it in full"),
        ("jobs/requests.py", "from flask import g", "reaches for flask.g"),
        ("web/jobs.py", "import requests", "reaches for requests"),
        ("web/jobs.py", "from sqlalchemy import Connection, select", "sqlalchemy.select"),
        ("jobs/budget.py", "tx.connection().exec_driver_sql('x')", "exec_driver_sql"),
        ("callbacks/process.py", "tx.connection().exec_driver_sql('x')", "exec_driver_sql"),
        ("jobs/budget.py", "import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("retry.py", "from datetime import datetime\ndatetime.now()", "datetime.now"),
        ("outbound/client.py", "import time\ntime.time()", "time.time"),
        ("web/app.py", "import os\nos.environ['HOME']", "os.environ"),
        ("web/app.py", "from os import environ", "os.environ"),
        ("messages/email.py", "import smtplib", "reaches for smtplib"),
        ("jobs/budget.py", "from itsdangerous import Signer", "itsdangerous.Signer"),
        ("novelty.py", "", "add 'novelty' to ORDER"),
        ("novelty/one.py", "", "add 'novelty' to ORDER"),
    ],
)
def test_each_breach_is_found(path: str, line: str, expected: str) -> None:
    """The checker itself can fail: every kind of breach is named, with its file."""
    found = faults(path, HEAD + line)

    assert 1 == len(found), found
    assert path in found[0]
    assert expected in found[0]


def test_a_circle_is_found() -> None:
    """Two files of one room that import each other are both named."""
    files = {
        "jobs/a.py": "from service.jobs.b import x",
        "jobs/b.py": "from service.jobs import a",
        "jobs/c.py": "from service.jobs.a import y",
    }

    assert ["jobs/a.py", "jobs/b.py", "jobs/c.py"] == cycles(files)


def test_what_is_allowed_is_no_breach() -> None:
    """A type for an annotation, a monotonic clock and one's own package pass."""
    text = "from sqlalchemy import Connection\nimport time\ntime.monotonic()\nimport service.jobs\n"

    assert [] == faults("jobs/budget.py", HEAD + text)


@pytest.mark.parametrize("text", ["from __future__ import annotations\n", '"""Only words."""\n'])
def test_head_of_a_file(text: str) -> None:
    """A file without a docstring or without the future import is named."""
    assert 1 == len(faults("jobs/budget.py", text))

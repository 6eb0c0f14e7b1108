"""How a verb starts: it imports only what it needs."""

from __future__ import annotations

import json
import subprocess
import sys

from support.servers import Clipbell

#: Libraries that cost a start 20 ms or more.
HEAVY = (
    *("sqlalchemy", "sqlalchemy.dialects.postgresql", "pydantic_settings", "email_validator"),
    *("flask", "av", "PIL", "alembic", "requests", "jinja2", "rich"),
)
LOADED = """
import json, sys
from contextlib import suppress
from service.cli import main
loaded = {{}}
for line in sys.argv[1:]:
    with suppress(SystemExit):
        main(line.split())
    loaded[line] = [name for name in {names} if name in sys.modules]
print("", json.dumps(loaded), sep=chr(10), file=sys.stderr)
"""
COLLECTING = """
import gc
import sys
from service.cli import main
passes = []
gc.callbacks.append(lambda *_: passes.append(gc.get_freeze_count()))
try:
    main(sys.argv[1:])
finally:
    print(gc.isenabled(), 0 in passes, file=sys.stderr)
"""


def said_at_end(clipbell: Clipbell, program: str, *words: str, **environ: str) -> str:
    """The last line of a program that runs a verb."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=clipbell.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr.splitlines()[-1]


def loaded(clipbell: Clipbell, *lines: str, **environ: str) -> dict[str, list[str]]:
    """The heavy libraries that one process has imported after each of these command lines."""
    said = said_at_end(clipbell, LOADED.format(names=HEAVY), *lines, **environ)
    found: dict[str, list[str]] = json.loads(said)
    return found


def test_help(clipbell: Clipbell) -> None:
    """Help, version and a misspelt verb import no library but the command framework."""
    lines = ("--help", "--version", "-h", "nonsense", "subscriptions -h", "videos x")

    assert {line: [] for line in lines} == loaded(clipbell, *lines)


def test_reading(clipbell: Clipbell) -> None:
    """A verb that reads rows imports what opens a database, and nothing that sends or renders."""
    lines = (
        *("jobs", "show job_1", "deliveries", "callbacks", "keys list", "subscriptions list"),
        *("videos list", "ledger", "mute job_1"),
        *("models", "providers", "hold apixo", "resume apixo"),
    )

    assert {line: ["sqlalchemy", "rich"] for line in lines} == loaded(clipbell, *lines)


def test_elsewhere(clipbell: Clipbell) -> None:
    """A verb that calls another machine's API imports nothing that does its work here."""
    there = {"CLIPBELL_URL": "http://127.0.0.1:9", "CLIPBELL_KEY": "clb_x"}
    (found,) = loaded(clipbell, "submit kling-2 --prompt fox", **there).values()

    assert "requests" in found
    assert {"flask", "alembic", "av", "PIL", "jinja2", "email_validator"}.isdisjoint(found)


def test_garbage(clipbell: Clipbell) -> None:
    """No module is searched for garbage; what a verb makes itself is."""
    assert "True False" == said_at_end(clipbell, COLLECTING, "jobs")

"""How a verb starts: it imports only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.servers import Clipbell

#: Libraries that cost a start 20 ms or more.
HEAVY = (
    *("sqlalchemy", "sqlalchemy.dialects.postgresql", "pydantic_settings", "email_validator"),
    *("flask", "av", "PIL", "alembic", "requests", "jinja2", "rich"),
)
LOADED = """
import sys
from service.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in {names} if name in sys.modules), file=sys.stderr)
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


def loaded(clipbell: Clipbell, *words: str, **environ: str) -> list[str]:
    """The heavy libraries that a verb has imported when it ends."""
    said = said_at_end(clipbell, LOADED.format(names=HEAVY), *words, **environ)
    return said.removeprefix("loaded:").split()


@pytest.mark.parametrize(
    "words",
    [("--help",), ("--version",), ("-h",), ("nonsense",), ("subscriptions", "-h"), ("videos", "x")],
)
def test_help(clipbell: Clipbell, words: tuple[str, ...]) -> None:
    """Help, version and a misspelt verb import no library but the command framework."""
    assert [] == loaded(clipbell, *words)


@pytest.mark.parametrize(
    "words",
    [
        *(("jobs",), ("show", "job_1"), ("deliveries",), ("callbacks",), ("keys", "list")),
        *(("subscriptions", "list"), ("videos", "list"), ("ledger",), ("mute", "job_1")),
        *(("models",), ("providers",), ("hold", "apixo"), ("resume", "apixo")),
    ],
)
def test_reading(clipbell: Clipbell, words: tuple[str, ...]) -> None:
    """A verb that reads rows imports what opens a database, and nothing that sends or renders."""
    assert ["sqlalchemy", "rich"] == loaded(clipbell, *words)


def test_elsewhere(clipbell: Clipbell) -> None:
    """A verb that calls another machine's API imports nothing that does its work here."""
    there = {"CLIPBELL_URL": "http://127.0.0.1:9", "CLIPBELL_KEY": "clb_x"}
    found = loaded(clipbell, "submit", "kling-2", "--prompt", "A fox", **there)

    assert "requests" in found
    assert {"flask", "alembic", "av", "PIL", "jinja2", "email_validator"}.isdisjoint(found)


def test_garbage(clipbell: Clipbell) -> None:
    """No module is searched for garbage; what a verb makes itself is."""
    assert "True False" == said_at_end(clipbell, COLLECTING, "jobs")

"""How a verb starts: it imports only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.servers import Clipbell

#: Libraries that cost a start a tenth of a second or more.
HEAVY = ("sqlalchemy", "flask", "av", "PIL", "alembic", "requests", "jinja2", "rich")
LOADED = """
import sys
from service.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in {names} if name in sys.modules), file=sys.stderr)
"""


def loaded(clipbell: Clipbell, *words: str, **environ: str) -> list[str]:
    """The heavy libraries that a verb has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(names=HEAVY), *words],
        env=clipbell.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr.splitlines()[-1].removeprefix("loaded:").split()


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
    ],
)
def test_reading(clipbell: Clipbell, words: tuple[str, ...]) -> None:
    """A verb that reads rows imports what opens a database, and nothing that sends or renders."""
    assert ["sqlalchemy", "rich"] == loaded(clipbell, *words)


def test_elsewhere(clipbell: Clipbell) -> None:
    """A verb that calls another machine's API imports no web framework."""
    there = {"CLIPBELL_URL": "http://127.0.0.1:9", "CLIPBELL_KEY": "clb_x"}
    found = loaded(clipbell, "submit", "kling-2", "--prompt", "A fox", **there)

    assert "requests" in found
    assert {"flask", "alembic", "av"}.isdisjoint(found)

"""The lanes of the tests: what runs on PostgreSQL, and what happens where no server answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
NOWHERE = {"TEST_DATABASE_URL": "postgresql://clipbell@127.0.0.1:1/nowhere"}


def lane(
    *arguments: str, database: str = "postgresql", **environ: str
) -> subprocess.CompletedProcess[str]:
    """A run of its own on a lane."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--database", database, *arguments],
        cwd=TESTS.parent,
        env={**os.environ, "CI": "", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_what_depends_on_the_database() -> None:
    """Of two files, one marked and one not, only the marked one's tests are chosen."""
    done = lane("--collect-only", "tests/events/test_feed.py", "tests/test_retry.py")
    chosen = set(re.findall(r"^(\S+)::", done.stdout, re.M))

    assert {"tests/events/test_feed.py"} == chosen


@pytest.mark.parametrize(("database", "runs"), [("postgresql", True), ("sqlite", False)])
def test_only_postgresql(database: str, runs: bool) -> None:
    """Tests with a PostgreSQL server of their own run in its lane, and there alone."""
    done = lane("--collect-only", "tests/store/test_postgres.py", database=database)

    assert runs == bool(re.search(r"^\S+::", done.stdout, re.M)), done.stdout


def test_no_server() -> None:
    """Where no server answers, one line at the end says how many tests that cost, and why."""
    done = lane("tests/events/test_feed.py", **NOWHERE)
    report = re.findall(r"^\d+ skipped: no PostgreSQL at .*$", done.stdout, re.M)

    assert (0, 1) == (done.returncode, len(report)), done.stdout
    assert "set TEST_DATABASE_URL" in report[0]


def test_no_server_in_ci() -> None:
    """In CI nothing is skipped: the run fails, and says the same."""
    done = lane("tests/events/test_feed.py", CI="true", **NOWHERE)

    assert 1 == done.returncode
    assert "no PostgreSQL at" in done.stdout

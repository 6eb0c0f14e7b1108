"""How lists look: on a terminal for people, on a pipe for other commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support.servers import Clipbell
from support.terminals import Terminal

from service.cli.output import table
from service.cli.tables import in_colour

PROMPT = "A fox in the snow, seen from above, at dawn, with long shadows"


def test_list_of_jobs(clipbell: Clipbell) -> None:
    """A narrow terminal gets the start of ids and of prompts; a pipe gets whole rows."""
    made = clipbell.run("submit", "kling-2-5-turbo-pro", "--prompt", PROMPT, "--json").stdout
    job_id = json.loads(made)["id"]
    terminal = Terminal(clipbell.environ, "jobs", columns=80)
    assert 0 == terminal.end()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).splitlines()
    (row,) = [line for line in clipbell.run("jobs").stdout.splitlines() if job_id in line]

    assert [] == [line for line in plain if len(line) > 80]
    pattern = rf"{job_id[:20]} +queued +kling-2-5-turbo-pro +{PROMPT[:12]}"
    assert any(re.match(pattern, one) for one in plain)
    assert "\x1b[36mqueued" in terminal.shown
    assert all(words in row for words in ("queued", "kling-2-5-turbo-pro", PROMPT[:50]))
    assert "\x1b" not in row


@pytest.mark.parametrize(
    ("state", "style"),
    [("failed", "red"), ("off: by hand", "red"), ("delivered", "green"), ("?", "")],
)
def test_colours(state: str, style: str) -> None:
    """The first word says the colour; the words stay."""
    assert (state, style) == (in_colour(state).plain, in_colour(state).style)


def test_harmless_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What others have said commands no terminal, and stays on its line."""
    table([{"at": "12:00", "message": "no\x1b]0;title\x07\nfoxes"}])

    assert "12:00  no ]0;title foxes" in capsys.readouterr().out


def in_shell(clipbell: Clipbell, ending: str) -> subprocess.CompletedProcess[str]:
    """A verb as a shell runs it, of whose line this is the end."""
    line = f"'{sys.executable}' -m service {ending}"
    return subprocess.run(
        ["/bin/sh", "-c", line], env=clipbell.environ, capture_output=True, encoding="latin-1"
    )


@pytest.mark.parametrize(
    ("ending", "code"), [("models >&-", 0), ("show nothing --json 2>&-", 1), ("models <&-", 0)]
)
def test_closed_streams(clipbell: Clipbell, ending: str, code: int) -> None:
    """What has no place to go is dropped, and lands on no other stream."""
    done = in_shell(clipbell, ending)

    assert (code, "") == (done.returncode, done.stderr)
    assert ("<&-" in ending) == bool(done.stdout)


@pytest.mark.parametrize("verb", ["show \udcff", "jobs --account \udcff", "resend \udcff"])
def test_bytes_that_are_no_text(clipbell: Clipbell, verb: str) -> None:
    """An argument that is not UTF-8 is wrong usage, in one line that repeats it."""
    done = in_shell(clipbell, verb)

    assert (2, "") == (done.returncode, done.stdout)
    assert "clipbell: '\\udcff' is not text in UTF-8; type it again\n" == done.stderr

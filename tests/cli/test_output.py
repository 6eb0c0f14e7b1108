"""How lists look: on a terminal for people, on a pipe for other commands."""

from __future__ import annotations

import json
import re

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

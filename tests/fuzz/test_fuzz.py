"""
Requests that schemathesis makes from /openapi.json, against gunicorn: the short form.

It walks through the schemas by a fixed plan. The long form makes up more at random:
``python -m fuzz --examples 200 --seed 7``, from ``tests/``. What is allowed besides
the document stands in ``fuzz/schemathesis.toml``, with its reasons.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz.campaign import campaign

SHORT = ("--max-examples", "1", "--phases", "examples,fuzzing")
LONG = ("--max-examples", "2", "--phases", "examples,coverage,stateful")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(SHORT, id="short", marks=pytest.mark.slow),
        # Some 3,000 requests, one after the other.
        pytest.param(LONG, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_every_operation(options: tuple[str, ...], tmp_path: Path) -> None:
    """All operations pass all checks: nothing breaks, and the document tells the truth."""
    done = campaign(tmp_path, 1, *options)
    selected = re.search(r"Tested: (\d+)", done.stdout)

    assert 0 == done.returncode, done.stdout[-8000:] + done.stderr[-2000:]
    assert selected and int(selected[1]) > 50, done.stdout[-2000:]

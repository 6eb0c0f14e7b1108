"""Golden files: texts that change only on purpose, under ``tests/web/golden``."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "web" / "golden"
#: Set to 1, the files are written instead of compared.
UPDATE = "UPDATE_GOLDEN"


def check(name: str, actual: str) -> None:
    """Compare a text with its file, or write the file where `UPDATE` says so."""
    path = FOLDER / name
    if os.environ.get(UPDATE) == "1":
        path.write_text(actual)
    expected = path.read_text()
    old, new = expected.splitlines(), actual.splitlines()
    changes = "\n".join(difflib.unified_diff(old, new, name, "now", n=2, lineterm=""))
    assert expected == actual, f"{changes[:8000]}\nIf that is meant: {UPDATE}=1 pytest -k golden"

"""deploy/SECURITY.md: each row of its threat model names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "SECURITY.md").read_text()
ROWS: list[str] = re.findall(r"^\| (?!attacker \|)(.*) \|$", TEXT, re.M)
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", TEXT)


def exists(path: str, name: str) -> bool:
    """Whether a file has that test, in a class where its name says so."""
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    for part in name.split("::"):
        found = [
            node
            for node in body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == part
        ]
        if not found:
            return False
        body = found[0].body
    return True


def test_every_row_names_a_test() -> None:
    """No promise of the table stands there without a test."""
    assert len(ROWS) >= 19
    assert [] == [row for row in ROWS if "`tests/" not in row.rpartition(" | ")[2]]


def test_named_tests_exist() -> None:
    """Every test that is named can be run."""
    assert NAMED
    assert [] == [f"{path}::{name}" for path, name in NAMED if not exists(path, name)]
    assert not exists("tests/deploy/test_security.py", "test_of_nothing")

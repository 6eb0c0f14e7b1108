"""Help pages: every verb has one that can be read at 80 columns, with examples and no types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from support.servers import Clipbell
from typer.main import get_command

from service.cli import app
from service.cli.lazy import LazyGroup
from service.cli.verbs import HELP, VERBS

#: What the framework calls the kinds of values.
TYPES = re.compile(r"<|>|\b(TEXT|INTEGER|FLOAT|PATH|BOOLEAN|str|int|float|bool|path|range)\b")


def pages() -> Iterator[tuple[str, Any]]:
    """Every verb, and every verb of a group."""
    root: Any = get_command(app)
    for name in VERBS:
        command = root.get_command(None, name)
        yield name, command
        for own in getattr(command, "commands", {}):
            yield f"{name} {own}", command.get_command(None, own)


PAGES = dict(pages())


def page(name: str) -> str:
    """The help page of a verb, on a terminal of 80 columns."""
    context = typer.Context(PAGES[name], info_name=f"clipbell {name}", terminal_width=80)
    return str(PAGES[name].get_help(context))


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str) -> None:
    """It fits, names no type, explains each argument and option, and ends with an example."""
    text = page(name)
    body, _, examples = text.partition("\nExamples:\n")

    assert [] == [line for line in text.splitlines() if len(line) > 90]
    assert [] == TYPES.findall(body)
    assert examples and all(line.startswith("  clipbell ") for line in examples.splitlines())
    assert [] == [p.name for p in PAGES[name].params if not getattr(p, "help", "")]


@pytest.mark.parametrize("name", VERBS)
def test_list_of_verbs(name: str) -> None:
    """The list of verbs says what the verb's own page says first."""
    first = " ".join(PAGES[name].help.partition("\n\n")[0].split())

    assert first.startswith(HELP[name].rstrip("."))


def test_verbs_by_subject() -> None:
    """`clipbell -h` shows all verbs in groups, each in one line."""
    context = typer.Context(get_command(app), info_name="clipbell", terminal_width=80)
    lines = get_command(app).get_help(context).splitlines()

    assert [line for line in lines if len(line) > 80] == []
    assert {"Jobs:", "Messages:", "Vendors:", "Service:", "Administration:"} <= set(lines)
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in VERBS)


def test_misspelt_verb(clipbell: Clipbell) -> None:
    """A verb that is nearly right is suggested; a number out of its range is said in words."""
    assert "Did you mean 'submit'?" in clipbell.run("sumbit", code=2).stderr
    assert "'--limit': must be greater" in clipbell.run("jobs", "--limit", "0", code=2).stderr
    wrong_time = clipbell.run("jobs", "--since", "x", code=2).stderr
    assert wrong_time.startswith("clipbell: --since: 'x' is not a time")
    assert "clipbell: give a model and --prompt" in clipbell.run("submit", code=2).stderr


@pytest.mark.parametrize(
    "name", [name for name, one in PAGES.items() if isinstance(one, LazyGroup)]
)
def test_list_of_a_groups_verbs(name: str) -> None:
    """A group lists its verbs without loading them, in the words of their own pages."""
    for own, text in PAGES[name].short_helps():
        assert " ".join(PAGES[f"{name} {own}"].help.split()).startswith(text.rstrip("."))

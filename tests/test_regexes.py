"""No regular expression of the service takes more than linear time, whatever it is given."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from re import _parser
from typing import Any, NamedTuple

import pytest

import service

ROOT = Path(service.__file__).parent
#: What a pattern can be asked.
FUNCTIONS = {"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"}
#: Lengths at which a text is tried; from 64 on each is four times the last.
LENGTHS = (8, 16, 20, 24, 28, 32, 40, 48, 64, 256, 1024, 4096, 16384)
#: Four times the length may take so many times as long; a square would take sixteen.
MOST_GROWTH = 9.0
#: No text of less than 64 characters may take longer.
MOST_SHORT_SECONDS = 0.01
#: Less is noise.
LEAST_SECONDS = 0.004


class Use(NamedTuple):
    """A pattern, its flags, and the function of `re` that is called with it."""

    pattern: str
    flags: int
    function: str


def uses_in(text: str, compiled: Mapping[str, re.Pattern[str]]) -> Iterator[Use]:
    """
    Each call of a pattern in a file.

    Args:
        compiled: patterns by the names that the file has for them.
    """
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        name, function = node.value.id, node.attr
        if function in FUNCTIONS and name in compiled:
            yield Use(compiled[name].pattern, compiled[name].flags, function)
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=function),
                args=[ast.Constant(value=str() as pattern), *_],
            ) if function in FUNCTIONS:
                yield Use(pattern, re.compile(pattern).flags, function)


def uses() -> Iterator[Use]:
    """All of the service."""
    for module in pkgutil.walk_packages([str(ROOT)], "service."):
        if module.name.startswith(("service.migrations.", "service.engines.", "service.__main__")):
            continue
        loaded = importlib.import_module(module.name)
        compiled = {
            name: value
            for name, value in vars(loaded).items()
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str)
        }
        yield from uses_in(Path(str(loaded.__file__)).read_text(), compiled)


def letters(parsed: Any) -> Iterator[str]:
    """A character for each literal, range and class in a parsed pattern."""
    if isinstance(parsed, (_parser.SubPattern, list)):
        for inner in parsed:
            yield from letters(inner)
    elif isinstance(parsed, tuple):
        match parsed:
            case (_, int() as code) if str(parsed[0]) in ("LITERAL", "NOT_LITERAL"):
                yield chr(code)
            case (_, (int() as low, int() as high)) if str(parsed[0]) == "RANGE":
                yield chr((low + high) // 2)
            case (_, what) if str(parsed[0]) == "CATEGORY":
                yield {"WORD": "a", "DIGIT": "7", "SPACE": " "}.get(
                    str(what).rpartition("_")[2], "a"
                )
            case _:
                for inner in parsed:
                    yield from letters(inner)


def literals(parsed: Any) -> str:
    """What the pattern begins with, as far as it is fixed."""
    start = ""
    for kind, what in parsed:
        if str(kind) != "LITERAL":
            break
        start += chr(what)
    return start


def growth(run: Callable[[str], object], start: str, pump: str) -> str:
    """How the time grew with the length of such a text, where it grew too much; else blank."""
    before = 0.0
    for length in LENGTHS:
        text = start + pump * (length // len(pump)) + "\0"
        # A power of two shows itself in short texts, a square in long ones.
        limit = MOST_SHORT_SECONDS if length < 64 else MOST_GROWTH * max(before, LEAST_SECONDS)
        seconds = timed(run, text)
        if seconds > limit:
            # Noise only ever adds.
            seconds = min(seconds, timed(run, text), timed(run, text))
        if seconds > limit:
            return f"{1000 * seconds:.0f} ms for {length} characters"
        before = seconds
    return ""


def timed(run: Callable[[str], object], text: str) -> float:
    """The seconds of processor time that it takes."""
    began = time.thread_time()
    run(text)
    return time.thread_time() - began


def slow_text(use: Use) -> str:
    """A text that takes more than linear time, in short; blank where none was found."""
    parsed, pattern = _parser.parse(use.pattern, use.flags), re.compile(use.pattern, use.flags)
    function = getattr(pattern, use.function)

    def run(text: str) -> None:
        given = ("", text) if use.function in ("sub", "subn") else (text,)
        list(found) if isinstance(found := function(*given), Iterator) else None

    known = list(dict.fromkeys([*letters(parsed), "a", " "]))[:10]
    pumps = [*known, *("".join(pair) for pair in product(known[:4], repeat=2))]
    for start, pump in product({literals(parsed), ""}, dict.fromkeys(pumps)):
        if grown := growth(run, start, pump):
            return f"{start!r} + {pump!r} * n: {grown}"
    return ""


def test_every_pattern_is_linear() -> None:
    """Four times the text takes about four times as long, for each pattern as it is used."""
    slow = {use: slow_text(use) for use in sorted(set(uses()))}

    assert len(slow) > 50
    assert {} == {use: text for use, text in slow.items() if text}


@pytest.mark.parametrize(
    ("pattern", "function"),
    [
        (r"(a+)+$", "match"),
        (r"(\w|aa)*b", "match"),
        (r"x.*y.*z", "match"),
        (r"\s+$", "search"),
        (r"[\w-]+\.[\w-]{43}", "sub"),
        (r"<[^>]*?(\w+)>", "finditer"),
    ],
)
def test_slow_pattern_is_found(pattern: str, function: str) -> None:
    """The check can fail: squares and powers of two are found."""
    assert slow_text(Use(pattern, 0, function))


def test_uses_are_found() -> None:
    """A pattern in a call and one with a name are both seen, each with its function."""
    text = 're.sub("a+", "", x)\nNAME.search(x)\nOTHER.search(x)'
    named = {"NAME": re.compile("b+", re.ASCII)}

    assert [("b+", "search"), ("a+", "sub")] == [
        (use.pattern, use.function) for use in uses_in(text, named)
    ]

"""The input of a model as words of a command line or cells of a file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from service.catalogue import MODELS
from service.imagedata import is_url


def as_input(model: str, name: str, words: Sequence[str]) -> Any:
    """The value of one parameter: a list, a number or text, as the model wants it."""
    parameter = MODELS[model].parameter(name) if model in MODELS else None
    kind = parameter.kind if parameter else "text"
    if kind == "images":
        return [_image(word) for word in words if word]
    return _READERS.get(kind, str)(" ".join(words))


def from_pairs(model: str, pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` pairs; a repeated key is a list where the model takes one, else the last."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not key=value", param_hint="--input")
        found.setdefault(name, []).append(value)
    return {name: as_input(model, name, _words(model, name, v)) for name, v in found.items()}


def _words(model: str, name: str, values: list[str]) -> list[str]:
    parameter = MODELS[model].parameter(name) if model in MODELS else None
    return values if parameter and parameter.kind == "images" else values[-1:]


def _image(text: str) -> str:
    """A URL or base64 as it is; the path of a file as its content."""
    path = Path(text).expanduser()
    if is_url(text) or len(text) > 1000 or not path.is_file():
        return text
    return base64.b64encode(path.read_bytes()).decode()


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


_READERS: dict[str, Callable[[str], Any]] = {"number": _number, "image": _image}

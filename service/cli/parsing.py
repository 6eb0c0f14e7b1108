"""Parsing the words of a command line and the cells of a file: a model's input, a time."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import typer

from service.catalogue.models import MODELS
from service.cli.errors import as_typed
from service.deliveries.custom_headers import parse_headers
from service.deliveries.subscription_spec import parse_key_value
from service.errors import InvalidInput, NotFound
from service.media.image_formats import is_url
from service.model.json_text import finite

T = TypeVar("T")


def as_input(model: str, name: str, words: Sequence[str]) -> Any:
    """The value of one parameter: a list, a number or text, as the model wants it."""
    parameter = MODELS[model].parameter(name) if model in MODELS else None
    kind = parameter.kind if parameter else "text"
    if kind == "images":
        return [_image(word) for word in words if word]
    text = " ".join(words)
    if kind == "number":
        with suppress(ValueError):
            return finite(text)
    # How pandas writes whole numbers, once one of the column is missing.
    if kind == "integer" and (whole := re.fullmatch(r"([0-9]+)\.0+", text)):
        return whole[1]
    return _image(text) if kind == "image" else text


def from_pairs(model: str, pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` pairs; a repeated key is a list where the model takes one, else the last."""
    values: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not key=value", param_hint="--input")
        values.setdefault(name, []).append(value)
    parameters = MODELS[model].parameters if model in MODELS else ()
    lists = {parameter.name for parameter in parameters if parameter.kind == "images"}
    words = {name: given if name in lists else given[-1:] for name, given in values.items()}
    return {name: as_input(model, name, given) for name, given in words.items()}


def _image(text: str) -> str:
    """A URL or base64 as it is; a file as its content. Raises NotFound."""
    path = Path(text).expanduser()
    if is_url(text) or text.startswith("data:") or len(text) > 1000:
        return text
    if not path.is_file():
        # No base64 has a dot in it.
        if "." in text:
            raise NotFound(f"there is no file {text}")
        return text
    content = path.read_bytes()
    if not content:
        raise NotFound(f"there is nothing in the file {text}")
    return base64.b64encode(content).decode()


#: Seconds of each unit of time.
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def moment(given: str, now: datetime) -> datetime:
    """A time in the past, as ISO 8601 or as how long ago it is. Raises BadParameter."""
    ago = re.fullmatch(r"([0-9]{1,6})(s|min|h|d)", given)
    try:
        if ago:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        moment = datetime.fromisoformat(given)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = f"{given!r} is not a time such as 2026-01-01T00:00:00Z or 6h"
        raise typer.BadParameter(message, param_hint="--since") from None


def metadata_from(given: Sequence[str]) -> dict[str, Any]:
    """Metadata from ``key=value`` pairs. Raises BadParameter."""
    return _typed(lambda: dict(map(parse_key_value, given)))


def from_headers(given: Sequence[str]) -> dict[str, str]:
    """Headers from ``Name: value`` as curl takes them. Raises BadParameter."""
    return _typed(lambda: parse_headers(given))


def _typed(parse: Callable[[], T]) -> T:
    """What was typed, parsed. Raises BadParameter."""
    try:
        return parse()
    except InvalidInput as error:
        (fault,) = error.faults
        hint = as_typed(fault.pointer).removesuffix(": ")
        raise typer.BadParameter(fault.message, param_hint=hint) from None

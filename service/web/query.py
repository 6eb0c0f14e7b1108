"""
The query parameters: each is known, occurs once, and has one reader function.

A reader gets the text of its parameter, or None if it is missing, and raises
InvalidInput without a pointer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import request

from service.errors import FieldErrors, InvalidInput, did_you_mean, got

Reader = Callable[[str | None], Any]
R = TypeVar("R")


def read_query(takes: Mapping[str, Reader]) -> dict[str, Any]:
    """
    The values of these parameters, by name.

    Raises:
        InvalidInput: all unknown, repeated and invalid parameters.
    """
    errors, found = FieldErrors(), {}
    for name in request.args:
        if name not in takes:
            known = ", ".join(takes) or "no parameters"
            message = f"takes {known}{did_you_mean(name, takes)}"
            errors.add(f"?{name}", "unknown_field", message)
    for name, reader in takes.items():
        if len(request.args.getlist(name)) > 1:
            errors.add(f"?{name}", "repeated", "must be given once")
            continue
        with errors.collect(f"?{name}"):
            found[name] = reader(request.args.get(name))
    errors.raise_any()
    return found


def read_argument(name: str, reader: Callable[[str | None], R]) -> R:
    """The value of one parameter; the others are not checked. Raises InvalidInput."""
    try:
        return reader(request.args.get(name))
    except InvalidInput as error:
        errors = FieldErrors(f"?{name}")
        with errors.collect():
            raise error
        raise InvalidInput(errors.found) from None


def text(given: str | None) -> str | None:
    """A reader for any text."""
    return given


def needed(reader: Callable[[str | None], R | None], message: str) -> Callable[[str | None], R]:
    """What the reader reads; a missing one is refused with this message."""

    def read(given: str | None) -> R:
        found = reader(given)
        if found is None:
            raise InvalidInput.at("", "required", message)
        return found

    return read


def choice(known: Iterable[str], usual: str | None = None) -> Callable[[str | None], str | None]:
    """A reader for one of these words; `usual` if it is missing."""
    words = list(known)

    def read(given: str | None) -> str | None:
        if given is not None and given not in words:
            message = f"must be one of {', '.join(words)}{got(given)}"
            raise InvalidInput.at("", "not_allowed", message)
        return usual if given is None else given

    return read


def moment(given: str | None) -> datetime | None:
    """A reader for a time with its zone; returns it in UTC, None if it is missing."""
    if given is None:
        return None
    text = given.upper()  # RFC 3339 also allows lower case.
    # A plus that is not escaped as %2B arrives as a blank; no other time has this form.
    time, _, offset = text.rpartition(" ")
    if "T" in time and re.fullmatch(r"\d\d:?\d\d", offset):
        text = f"{time}+{offset}"
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = "must be a time such as 2026-01-01T00:00:00Z; a plus in it is written %2B"
    raise InvalidInput.at("", "bad_time", message + got(given))


def switch(given: str | None) -> bool:
    """A reader for true or false; false if it is missing."""
    word = "false" if given is None else given.lower()
    if word not in ("true", "1", "false", "0"):
        raise InvalidInput.at("", "not_allowed", "must be true or false" + got(given))
    return word in ("true", "1")

"""Errors as the person sees them: one line on stderr, in the words that were typed."""

from __future__ import annotations

import sys
from typing import TextIO

from service.formatting import harmless

#: The option or argument behind each field of a request, by the start of its pointer.
_FLAGS = {
    "/input/prompt": "--prompt",
    "/input": "-i",
    "/notify": "--notify",
    "/provider": "--provider",
    "/metadata": "--metadata",
    "/model": "MODEL",
    "/channel": "CHANNEL",
    "/target": "TARGET",
    "/events": "--event",
    "/models": "--model",
    "/format": "--format",
    "/name": "--name",
    "/task_id": "--task",
    "/headers": "--header",
    "/secret": "--secret",
    "/scopes": "--scope",
    "?since": "--since",
    "?state": "--state",
}


def as_typed(pointer: str) -> str:
    """What was typed for a field, as the start of a message: ``-i duration: ``."""
    if pointer in _FLAGS:
        return f"{_FLAGS[pointer]}: "
    start, _, name = pointer[1:].partition("/")
    flag = _FLAGS.get(f"/{start}")
    if flag is None:
        return f"{pointer}: " if pointer else ""
    named = name and not name.isdecimal() and flag in ("-i", "--header", "--metadata")
    return f"{flag} {name}: " if named else f"{flag}: "


def knows_all_letters(stream: TextIO) -> bool:
    """Whether any text can be written there."""
    return (stream.encoding or "").lower().startswith("utf")


def print_error(message: str) -> None:
    """One line on stderr."""
    print(f"clipbell: {harmless(' '.join(message.split()))}", file=sys.stderr)

"""What JSON may hold here, beyond what Python reads: finite numbers, not too deep."""

from __future__ import annotations

import json
from typing import Any

DEPTH = 50
DIGITS = 1000
TOO_DEEP = f"it is nested deeper than {DEPTH} levels"


def read_json(text: str | bytes) -> Any:
    """
    What a text says.

    Raises:
        ValueError: it is not JSON, or UnicodeEncodeError: a text in it is half a surrogate pair.
    """
    try:
        found = json.loads(
            text, parse_constant=_refuse_constant, parse_float=finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    _check_depth(found)
    # Half a surrogate pair is JSON, but no text that could be stored or sent.
    json.dumps(found, ensure_ascii=False).encode()
    return found


def _whole(text: str) -> int:
    """A whole number that Python reads. Raises ValueError."""
    if len(text) > DIGITS:
        raise ValueError(f"{text[:20]}… is too large a number")
    return int(text)


def finite(text: str) -> float:
    """Parse a number that is finite as a float. Raises ValueError."""
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _check_depth(found: Any) -> None:
    """Deeper JSON than that is no request, but an attack on who walks it. Raises ValueError."""
    level = [found]
    for _ in range(DEPTH):
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [x for v in inner if isinstance(v, list) for x in v]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def _refuse_constant(word: str) -> None:
    """Python reads NaN and Infinity, JSON does not. Raises ValueError."""
    raise ValueError(f"{word} is not JSON")

"""What JSON may hold here, beyond what Python reads: finite numbers, not too deep."""

from __future__ import annotations

import json
from typing import Any

DEPTH = 50


def read_json(text: str | bytes) -> Any:
    """
    What a text says.

    Raises:
        ValueError: it is not JSON, or UnicodeEncodeError: a text in it is half a surrogate pair.
        RecursionError: it is nested far too deep.
    """
    found = json.loads(text, parse_constant=_refuse_constant, parse_float=finite)
    _check_depth(found)
    # Half a surrogate pair is JSON, but no text that could be stored or sent.
    json.dumps(found, ensure_ascii=False).encode()
    return found


def finite(text: str) -> float:
    """A number that a float can hold. Raises ValueError."""
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
    raise ValueError(f"it is nested deeper than {DEPTH} levels")


def _refuse_constant(word: str) -> None:
    """Python reads NaN and Infinity, JSON does not. Raises ValueError."""
    raise ValueError(f"{word} is not JSON")

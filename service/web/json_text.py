"""JSON as requests may bring it: strict, finite, not too deep, with the place of a fault."""

from __future__ import annotations

import json
from typing import Any

from service.web.errors import Problem

DEPTH = 50
JSON_HINT = (
    "JSON has double quotes around names and texts, no comments, and no comma before } or ]."
    " Nothing was stored."
)


def parse_json(body: bytes) -> Any:
    """What a body says. Raises a Problem: 400, with the place and how to fix it."""
    try:
        found = json.loads(body, parse_constant=refuse_constant, parse_float=finite)
        check_depth(found)
        # Half a surrogate pair is JSON, but no text that could be stored or sent.
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        hint = "Send each character whole: in UTF-8, or as both of its \\u escapes."
        raise Problem(400, "the body holds half a surrogate pair", hint=hint) from None
    except UnicodeDecodeError as error:
        hint = "Save and send the text in UTF-8."
        raise Problem(400, f"the body is not UTF-8 at byte {error.start + 1}", hint=hint) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        detail = f"the body is not JSON: {error.msg} at {where}"
        raise Problem(400, detail, hint=JSON_HINT) from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}", hint=JSON_HINT) from None
    return found


def finite(text: str) -> float:
    """A number that a float can hold. Raises ValueError."""
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def check_depth(found: Any) -> None:
    """Deeper JSON than that is no request, but an attack on who walks it. Raises ValueError."""
    level = [found]
    for _ in range(DEPTH):
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [x for v in inner if isinstance(v, list) for x in v]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {DEPTH} levels")


def refuse_constant(word: str) -> None:
    """Python reads NaN and Infinity, JSON does not. Raises ValueError."""
    raise ValueError(f"{word} is not JSON")

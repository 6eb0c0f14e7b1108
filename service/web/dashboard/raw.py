"""
Bytes of others as text for people: formatted, cut, harmless, and without secrets.

What cannot be seen (control characters, marks that turn the reading direction)
stands there as an escape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from service.ops.logs import masked
from service.settings import Settings

#: Characters that are shown, and bytes that are read as JSON: no page is to work through more.
LONGEST = 8000
READ = 64 * 1024
#: Names of headers and fields whose values are nobody's business.
_NAMES = r"authorization|cookie|secret|password|signature|api[-_]?key|token"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
#: No name is longer: else a body of nothing but such names would take its square in time.
_PART = r'[^"]{0,99}'
_FIELD = re.compile(rf'("{_PART}(?:{_NAMES}){_PART}"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.IGNORECASE)
HIDDEN = "***"
#: No key is shorter. One such as "any", hidden everywhere, would turn company to comp***.
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Text:
    """What is shown, and how many bytes there were; `left_out` says that it was cut."""

    text: str
    size: int
    left_out: bool


def secrets_of(settings: Settings) -> list[str]:
    """What no raw text may show, wherever it stands; words such as a sandbox's key are none."""
    found = [value for value in vars(settings).values() if isinstance(value, SecretStr)]
    texts = [secret.get_secret_value() for secret in found]
    return [text for text in texts if len(text) >= SHORTEST_SECRET]


def shown_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Headers by name, those that let somebody in hidden."""
    return [
        (_visible(name), HIDDEN if _SECRET.search(name) else _clean(value, secrets))
        for name, value in sorted(headers.items())
    ]


def shown_body(body: bytes, secrets: Iterable[str]) -> Text:
    """A body: JSON with a line for each field, anything else as it came."""
    start = body[:READ]
    text = formatted_json(body) if body == start else ""
    text = text or start.decode("utf-8", "backslashreplace")
    cut = len(text) > READ
    text = _FIELD.sub(rf'\1"{HIDDEN}"', _clean(text, secrets))
    return Text(text[:LONGEST], len(body), len(text) > LONGEST or body != start or cut)


def formatted_json(body: bytes) -> str:
    """
    The start of JSON, indented: a few bytes, deep down, may be much white space.

    Blank for what is no JSON, or would not be the same when written again.
    """
    try:
        found, text = json.loads(body, object_pairs_hook=refuse_repeated_names), ""
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(found):
            text += piece
            if len(text) > READ:
                break
    except (ValueError, RecursionError):
        return ""
    return text


def refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a name stands twice: one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _visible(masked(text))


def _visible(text: str) -> str:
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )

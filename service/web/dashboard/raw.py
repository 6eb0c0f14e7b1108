"""
Bytes from others as text for people: formatted, shortened, harmless, without secrets.

Invisible characters (control characters, marks that reverse the reading direction)
are shown as escapes.
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

#: The most characters that are shown, and the most bytes that are parsed as JSON, per page.
LONGEST = 8000
READ = 64 * 1024
#: Names of headers and fields with secret values.
_NAMES = r"authorization|cookie|secret|password|signature|api[-_]?key|token"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
#: The longest name: else a body of such names would need quadratic time.
_PART = r'[^"]{0,99}'
_FIELD = re.compile(rf'("{_PART}(?:{_NAMES}){_PART}"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.IGNORECASE)
HIDDEN = "***"
#: The shortest key that is hidden everywhere. A shorter one, "any", would change "company".
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Text:
    """The shown text, and the size of the original in bytes; `left_out`: it was shortened."""

    text: str
    size: int
    left_out: bool


def secrets_of(settings: Settings) -> list[str]:
    """The secrets that no raw text may contain; short words such as a sandbox's key are not."""
    found = [value for value in vars(settings).values() if isinstance(value, SecretStr)]
    texts = [secret.get_secret_value() for secret in found]
    return [text for text in texts if len(text) >= SHORTEST_SECRET]


def shown_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Headers as pairs of name and value, with credentials hidden."""
    return [
        (_visible(name), HIDDEN if _SECRET.search(name) else _clean(value, secrets))
        for name, value in sorted(headers.items())
    ]


def shown_body(body: bytes, secrets: Iterable[str]) -> Text:
    """A body as text: JSON with a line for each field, anything else unchanged."""
    start = body[:READ]
    text = formatted_json(body) if body == start else ""
    text = text or start.decode("utf-8", "backslashreplace")
    cut = len(text) > READ
    text = _FIELD.sub(rf'\1"{HIDDEN}"', _clean(text, secrets))
    return Text(text[:LONGEST], len(body), len(text) > LONGEST or body != start or cut)


def formatted_json(body: bytes) -> str:
    """
    The start of indented JSON: deep levels may turn few bytes into much white space.

    Blank if it is not JSON, or would change when it is written again.
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
    """An object of JSON. Raises ValueError for a repeated name, as one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _visible(masked(text))


def _visible(text: str) -> str:
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )

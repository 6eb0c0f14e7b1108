"""
From the bytes of an answer or a callback to plain values.

Vendors and their gateways send JSON with or without a byte order mark, in another
charset, encoded twice, or as a form that has JSON in a field.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from service.model.error_codes import strip_unstorable
from service.model.ids import as_task_id

#: Objects in objects, and JSON text in JSON text, are followed this far down.
MAX_DEPTH = 8
MAX_FORM_FIELDS = 200
#: Of an answer that is a plain sentence, so much is kept.
MAX_WORDS_BYTES, MAX_WORDS = 1000, 300

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.I)
_FORM = re.compile(r"[\w.%\[\]-]+=")
#: Behind the name come the signs of whatever format it was, then the id.
_ID_IN_TEXT = re.compile(
    r"(?<![a-z])(?:task|record|request|generation|job|prediction)?[_-]?id\b"
    r"\W{1,12}([a-z0-9][\w-]{3,127})",
    re.I,
)


def read_body(body: bytes, content_type: str = "") -> Any:
    """
    The body as JSON values, or as the object that a form stands for.

    Args:
        content_type: the header; only its charset is used, since vendors send JSON
            as ``text/plain`` and forms as ``application/json``.

    Returns:
        Texts in it can be stored in a database. None where it is neither a form nor JSON,
        which may have something else around it; so are numbers and the like, of which no
        answer consists.
    """
    text = decode(body, content_type).strip()
    found = unfold(text)
    if found != text:
        return found
    unquoted = unfold(unquote_plus(found).rstrip("="))
    if not isinstance(unquoted, str):
        return unquoted
    if form := _form(found):
        return form
    try:
        # The JSON object after a warning, in a call (JSONP) or before a remark; none in a page.
        enclosed, _ = json.JSONDecoder().raw_decode(found, found.index("{"))
    except (ValueError, RecursionError):
        return None
    return None if found.startswith("<") else _strip_values(enclosed)


def plain_words(body: bytes, content_type: str = "") -> str:
    """The start of a body that is a sentence, in a line; blank for a page, JSON or no text."""
    text = strip_unstorable(" ".join(decode(body[:MAX_WORDS_BYTES], content_type).split()))
    is_sentence = text[:1].isalnum() and "\ufffd" not in text
    return text.strip('"')[:MAX_WORDS] if is_sentence or text[:1] == '"' else ""


def is_json(body: bytes) -> bool:
    """Whether the body is JSON from its beginning to its end."""
    try:
        json.loads(decode(body))
    except (ValueError, RecursionError):
        return False
    return True


def decode(body: bytes, content_type: str = "") -> str:
    """The text of a body, by its byte order mark, as UTF-8 or in the charset that it names."""
    named = _CHARSET.search(content_type)
    for charset in (json.detect_encoding(body), named[1] if named else "utf-8"):
        try:
            return body.decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("utf-8", "replace")


def unfold(value: Any) -> Any:
    """The value; where it is JSON text, what that says, also if it was encoded several times."""
    for _ in range(MAX_DEPTH):
        if not isinstance(value, str) or value.strip()[:1] not in ("{", "[", '"'):
            return value
        try:
            value = _strip_values(json.loads(value))
        except (ValueError, RecursionError):
            return value
    return value


def canonical(node: Mapping[str, Any]) -> dict[str, Any]:
    """The object with `task_id`, `taskId` and `Task-ID` all as ``taskid``; the first counts."""
    named: dict[str, Any] = {}
    for name, value in node.items():
        named.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), value)
    return named


def pairs_in(value: Any, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """All names with their values, however deep."""
    value = unfold(value)
    if isinstance(value, list) and depth:
        for inner in value:
            yield from pairs_in(inner, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, inner in canonical(value).items():
            yield name, inner
            yield from pairs_in(inner, depth - 1)


def value_at(node: Mapping[str, Any], path: str) -> Any:
    """The value at the end of a path of names."""
    value: Any = node
    for name in path.split("."):
        value = unfold(canonical(value).get(name)) if isinstance(value, dict) else None
    return value


def as_word(value: Any) -> str:
    """The text or number that a code, a state or an id is, as text; blank for anything else."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    word = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if word else ""


def as_number(value: Any) -> float | None:
    """The number that the value is, or that it has as text; None for anything else."""
    try:
        number = float(as_word(value) or value)
    except (TypeError, ValueError):
        return None
    return None if isinstance(value, bool) or not math.isfinite(number) else number


def as_id(value: Any) -> str | None:
    """The value as a task's id; None for what can be none."""
    return as_task_id(as_word(value))


def ids_in_text(text: str) -> Iterator[str]:
    """Whatever stands behind the name of an id, in a body of any other format."""
    yield from _ID_IN_TEXT.findall(unquote_plus(text))


def _strip_values(value: Any) -> Any:
    """The value with every text such that a database takes it."""
    if isinstance(value, str):
        return strip_unstorable(value)
    if isinstance(value, list):
        return [_strip_values(inner) for inner in value]
    if isinstance(value, dict):
        return {strip_unstorable(name): _strip_values(inner) for name, inner in value.items()}
    return value


def _form(text: str) -> dict[str, Any] | None:
    """``data[taskId]=x&urls[]=a&urls[]=b`` as an object; None where the text is no form."""
    if not _FORM.match(text):
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        return None
    form: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = re.findall(r"[^\[\].]+", name)[:MAX_DEPTH] or [name]
        place = form
        for step in path:
            inner = place.setdefault(step, {})
            place = inner if isinstance(inner, dict) else {}
        earlier = place.get(last, [])
        both = [*(earlier if isinstance(earlier, list) else [earlier]), strip_unstorable(value)]
        place[last] = both if last in place else both[0]
    return form

"""
Custom headers of a webhook, such as the API key of its endpoint.

Their values are stored encrypted and never shown again: `HIDDEN` replaces them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from service.errors import FieldErrors, InvalidInput, json_pointer
from service.signing import Encryptor

#: Replaces each value; in a change it keeps the stored value.
HIDDEN = "***"
MOST_HEADERS = 20
LONGEST_VALUE = 4096
TWICE = "is given twice"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: Printable Latin-1 without blanks at the ends, which HTTP transmits unchanged.
_VALUE = re.compile(r"[\x21-\x7e\xa1-\xff]([\t\x20-\x7e\xa1-\xff]*[\x21-\x7e\xa1-\xff])?")
#: Headers that Clipbell sets itself: of the connection, the body and the signature.
_OURS = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"),
        *("proxy-authenticate", "proxy-authorization", "host", "transfer-encoding"),
        *("content-length", "content-type", "content-encoding", "accept-encoding"),
    }
)


def parse_headers(lines: Iterable[str]) -> dict[str, str]:
    """Headers from lines of ``Name: value``, as curl takes them. Raises InvalidInput."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            message = f"{line.strip()[:40]!r} is not 'Name: value'"
            raise InvalidInput.at("/headers", "wrong_type", message)
        if name in found:
            raise InvalidInput.at(f"/headers{json_pointer(name)}", "not_allowed", TWICE)
        found[name] = value
    return found


def check_headers(given: Any, errors: FieldErrors, known: Mapping[str, str]) -> dict[str, str]:
    """
    The headers to store, by name; faults are added to `errors`.

    Args:
        known: the stored headers; a value of `HIDDEN` keeps the stored one of that name.
    """
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MOST_HEADERS:
        message = f"must be an object of at most {MOST_HEADERS} headers"
        errors.add("/headers", "wrong_type", message)
        return {}
    stored = {name.lower(): value for name, value in known.items()}
    found: dict[str, str] = {}
    for name, value in given.items():
        kept: Any = stored.get(name.lower(), value) if value == HIDDEN else value
        fault = _fault(name, kept, found)
        if fault:
            errors.add(f"/headers{json_pointer(name)}", "not_allowed", fault)
        else:
            found[name] = kept
    return found


def _fault(name: str, value: Any, before: Mapping[str, str]) -> str:
    """The fault of one header; blank if there is none."""
    low = name.lower()
    if not _NAME.fullmatch(name):
        return "must be a header's name, such as X-Api-Key"
    if low in _OURS or low.startswith("webhook-"):
        return "is set by Clipbell itself"
    if low in map(str.lower, before):
        return TWICE
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
        return f"must be 1 to {LONGEST_VALUE} printable characters on one line"
    return f"give its value: {HIDDEN} keeps only one that is stored" if value == HIDDEN else ""


def encrypt_headers(encryptor: Encryptor, headers: Mapping[str, str]) -> str | None:
    """The headers, encrypted for the database; None if there are none."""
    return encryptor.encrypt(json.dumps(dict(headers))) if headers else None


def decrypt_headers(encryptor: Encryptor, stored: str | None) -> dict[str, str]:
    """
    The headers that `encrypt_headers` encrypted, by name.

    Raises:
        BadToken: no key fits.
    """
    if stored is None:
        return {}
    found: dict[str, str] = json.loads(encryptor.decrypt(stored))
    return found

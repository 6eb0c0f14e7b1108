"""Pagination of lists: the number of rows, the cursor, and the link to the next page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from service.errors import InvalidInput, got
from service.model import is_id
from service.web.context import json_response, wiring

PAGE_ROWS = 50
LONGEST_PAGE = 100


def page_rows(usual: int = PAGE_ROWS) -> Callable[[str | None], int]:
    """A reader for the number of rows, from 1 to 100; `usual` if it is missing."""

    def read(given: str | None) -> int:
        found = str(usual) if given is None else given
        if not re.fullmatch("[0-9]{1,3}", found) or not 1 <= int(found) <= LONGEST_PAGE:
            message = f"must be from 1 to {LONGEST_PAGE}{got(given)}"
            raise InvalidInput.at("", "out_of_range", message)
        return int(found)

    return read


def cursor_of(kind: str) -> Callable[[str | None], str | None]:
    """A reader for a cursor: the id, of this kind, of the previous page's last row, or None."""

    def read(given: str | None) -> str | None:
        if not given:
            return None
        try:
            padded = given + "=" * (-len(given) % 4)
            found = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        except ValueError:
            found = ""
        if not is_id(kind, found):
            message = "must be next_cursor from an earlier page of this list"
            raise InvalidInput.at("", "bad_cursor", message)
        return found

    return read


def page_response(data: Sequence[Mapping[str, Any]], older: str | None, **more: Any) -> Response:
    """
    One page of a list.

    Args:
        older: the id after which the next page begins; None on the last page.
        more: further fields of the answer.
    """
    following = encode_cursor(older) if older else None
    body = {"data": data, "next_cursor": following, **more}
    return json_response(body, headers=next_link(following))


def encode_cursor(text: str) -> str:
    """Encode a cursor, which `cursor_of` decodes."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def next_link(following: str | None, name: str = "cursor") -> dict[str, str]:
    """The header with the link to the next page; empty on the last page."""
    if following is None:
        return {}
    again = urlencode(request.args.to_dict() | {name: following})
    address = f"{wiring().settings.public_url}{request.path}?{again}"
    return {"Link": f'<{address}>; rel="next"'}

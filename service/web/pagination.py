"""Lists a page at a time: how many rows, from where on, and the way to the next page."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from service.errors import FieldError, InvalidInput
from service.model import is_id
from service.web.context import json_response, wiring

PAGE_ROWS = 50
LONGEST_PAGE = 100


def page_size(usual: int = PAGE_ROWS) -> int:
    """How many rows the caller wants, or `usual`. Raises InvalidInput outside 1 to 100."""
    given = request.args.get("limit", str(usual))
    if not re.fullmatch("[0-9]{1,3}", given) or not 1 <= int(given) <= LONGEST_PAGE:
        message = f"must be from 1 to {LONGEST_PAGE}"
        raise InvalidInput([FieldError("?limit", "out_of_range", message)])
    return int(given)


def cursor(kind: str) -> str | None:
    """The id, of such a kind, that the last page ended on. Raises InvalidInput for any other."""
    given = request.args.get("cursor")
    if not given:
        return None
    try:
        padded = given + "=" * (-len(given) % 4)
        found = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        found = ""
    if not is_id(kind, found):
        message = "must be a next_cursor of an earlier answer of this list"
        raise InvalidInput([FieldError("?cursor", "bad_cursor", message)])
    return found


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
    """What `cursor` reads again."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def next_link(following: str | None, name: str = "cursor") -> dict[str, str]:
    """The header that leads to the next page; none after the last."""
    if following is None:
        return {}
    again = urlencode(request.args.to_dict() | {name: following})
    address = f"{wiring().settings.public_url}{request.path}?{again}"
    return {"Link": f'<{address}>; rel="next"'}

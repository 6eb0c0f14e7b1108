"""The filters and the page that the lists of jobs and of deliveries share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from service.formatting import format_count
from service.store.work import MOST_COUNTED
from service.web.context import wiring
from service.web.session import live_page

PAGE_ROWS = 25
#: The choices for the time of a row's creation.
SPANS = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}


class Select(NamedTuple):
    """A select filter: its name in the query, its label, its blank choice, the other choices."""

    name: str
    label: str
    blank: str
    options: list[tuple[str, str]]


CREATED = Select("since", "Created", "Any time", [(k, title) for k, (title, _) in SPANS.items()])


def sensible(given: MultiDict[str, str], **checks: Callable[[str], Any]) -> dict[str, str]:
    """The valid filters in a query or a form; the rest is dropped."""
    return {name: given[name] for name, check in checks.items() if check(given.get(name, ""))}


def begin_of(given: dict[str, str]) -> dict[str, datetime]:
    """The chosen time as the store takes it; empty for any time."""
    return {"since": wiring().clock() - SPANS[given["since"]][1]} if "since" in given else {}


def list_page(
    parts: str,
    heading: str,
    given: dict[str, str],
    selects: Iterable[Select],
    counts: Mapping[str, int],
    **values: Any,
) -> AnyResponse:
    """The list as `parts` shows it, below its filters and the states with their `counts`."""
    # Rows that arrive later are not selected: nobody has seen them.
    picked = "pick" in request.args and "live" not in request.args
    page = {"heading": heading, "given": given, "selects": selects, "picked": picked}
    shown = {name: format_count(count, MOST_COUNTED) for name, count in counts.items()}
    return live_page("list.html", parts, shape="list", counts=shown, **page, **values)

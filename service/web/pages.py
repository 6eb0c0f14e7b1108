"""
HTML: templates with their words, headers and live parts; errors as pages.

Everything a page needs comes from this server, so the policy in the header
forbids all else (but the bucket, where that sends the videos).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.catalogue.models import MODELS
from service.web.context import wiring
from service.web.errors import Problem
from service.web.etags import tagged

STATIC = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'{elsewhere}; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    # Without a referrer browsers call the origin of a form "null", and forms are checked by it.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}
YEAR = 31_536_000


def render(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    html = render_template(template, root=request.script_root, **_WORDS, **values)
    headers = HEADERS | {"Content-Security-Policy": _policy()}
    return Response(html, status=status, headers=headers, content_type="text/html; charset=utf-8")


def _policy() -> str:
    """With the bucket that the player is sent to, where it is."""
    w = wiring()
    origin = w.storage.origin if w.settings.accel == "presigned" else ""
    return POLICY.format(elsewhere=f" {origin}" if origin else "")


def render_live(template: str, **values: Any) -> Response:
    """The parts of a page that change by themselves; 304 while they have not."""
    response = render(template, **values)
    # The browser keeps the last answer, so that it can ask whether that still holds.
    response.headers["Cache-Control"] = "private, no-cache"
    return tagged(response)


def wants_html() -> bool:
    """Whether the other side is a browser that shows a page."""
    offered = ["application/problem+json", "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def html_problem(problem: Problem) -> Response:
    """An error as a page: what happened, and what to do about it."""
    response = render("error.html", problem.status, problem=problem)
    response.headers.extend(problem.headers)
    return response


def keep_static(response: AnyResponse) -> AnyResponse:
    """A static file that is asked for by its hash never changes."""
    if request.endpoint == "static" and "v" in request.args and response.status_code < 400:
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response


def asset(name: str) -> str:
    """The address of a static file, with its hash."""
    return url_for("static", filename=name, v=_hash(name))


@cache
def _hash(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in its largest unit."""
    seconds = int((now - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


def duration(seconds: float) -> str:
    """A length of time: "240 ms", "4.8 s", "48 s", "2 min 14 s", "3 h 05 min", "2 d 04 h"."""
    if 0.0005 <= seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0", "")
    return _long_duration(round(seconds))


def _long_duration(seconds: int) -> str:
    """In its two largest units."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for (unit, length), (lower, below) in pairwise(units):
        if seconds >= length:
            return f"{seconds // length} {unit} {seconds % length // below:02} {lower}"
    return f"{seconds} s"


def money(low: float | None, high: float | None) -> str:
    """Dollars, from and to."""
    if low is None or high is None:
        return "price not stated"
    return f"${low:.2f}" if low == high else f"${low:.2f}–{high:.2f}"


def size(count: int) -> str:
    """Bytes in the unit that people read."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def clock_time(moment: datetime | str) -> str:
    """Hours, minutes and seconds in UTC."""
    return _moment(moment).strftime("%H:%M:%S")


def day(moment: datetime | str) -> str:
    """The date in UTC, with its time."""
    return _moment(moment).strftime("%-d %b %Y, %H:%M UTC")


def _moment(moment: datetime | str) -> datetime:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(UTC)


def masked(target: str) -> str:
    """A target that can be recognised but not used: its path and its names may be secrets."""
    scheme, separator, _ = target.partition("://")
    if separator and scheme in ("http", "https"):
        host = urlsplit(target).netloc.rpartition("@")[2]
        return f"{scheme}://{host}/…{target[-4:]}"
    if separator:
        return f"{scheme}://…"
    name, at, domain = target.rpartition("@")
    return f"{name[:1]}…@{domain}" if at else f"{target[:2]}…"


def sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    end = "" if text[-1:] in (".", "!", "?", "…", "") else "."
    return text[:1].upper() + text[1:] + end


def words(name: str) -> str:
    """A parameter's name for people: ``image_urls`` is "Image URLs"."""
    text = name.replace("_", " ").replace("url", "URL").replace("cfg", "CFG")
    return text[:1].upper() + text[1:]


def model_title(slug: str) -> str:
    """What people call a model."""
    model = MODELS.get(slug)
    return model.title if model else slug


_WORDS = {
    "age": age,
    "asset": asset,
    "clock_time": clock_time,
    "day": day,
    "duration": duration,
    "masked": masked,
    "model_title": model_title,
    "money": money,
    "sentence": sentence,
    "size": size,
    "words": words,
}

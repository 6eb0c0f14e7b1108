"""
HTML pages: templates with their helpers, headers and live parts; errors as pages.

Everything that a page needs comes from this server, so the policy in the header
forbids all else (except the bucket, if it sends the videos).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.catalogue.models import MODELS
from service.formatting import (
    as_sentence,
    format_age,
    format_clock,
    format_date,
    format_difference,
    format_duration,
    format_money,
    format_price,
    format_share,
    format_size,
    mask_target,
)
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
    # Without a referrer, browsers send the origin "null" with forms, which we check by origin.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}
YEAR = 31_536_000


def render(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    html = render_template(template, root=request.script_root, **_WORDS, **values)
    w = wiring()
    # The player is redirected to the bucket, if there is one.
    bucket = w.storage.origin if w.settings.accel == "presigned" else ""
    policy = POLICY.format(elsewhere=f" {bucket}" if bucket else "")
    headers = HEADERS | {"Content-Security-Policy": policy}
    return Response(html, status=status, headers=headers, content_type="text/html; charset=utf-8")


def render_live(template: str, **values: Any) -> Response:
    """The live parts of a page; 304 if they have not changed."""
    response = render(template, **values)
    # The browser stores the last answer, so that it can revalidate it.
    response.headers["Cache-Control"] = "private, no-cache"
    return tagged(response)


def wants_html() -> bool:
    """Whether the client is a browser that shows a page."""
    offered = ["application/problem+json", "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def html_problem(problem: Problem) -> Response:
    """An error as a page, with the fix."""
    response = render("error.html", problem.status, problem=problem)
    response.headers.extend(problem.headers)
    return response


def keep_static(response: AnyResponse) -> AnyResponse:
    """Let browsers store a static file forever if its URL has its hash."""
    if request.endpoint == "static" and "v" in request.args and response.status_code < 400:
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response


def asset(name: str) -> str:
    """The address of a static file, with its hash."""
    return url_for("static", filename=name, v=_hash(name))


@cache
def _hash(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def words(name: str) -> str:
    """The label of a parameter: ``image_urls`` becomes "Image URLs"."""
    text = name.replace("_", " ").replace("url", "URL").replace("cfg", "CFG")
    return text[:1].upper() + text[1:]


def model_title(slug: str) -> str:
    """The title of a model."""
    model = MODELS.get(slug)
    return model.title if model else slug


_WORDS = {
    "age": format_age,
    "asset": asset,
    "clock_time": format_clock,
    "day": format_date,
    "duration": format_duration,
    "masked": mask_target,
    "model_title": model_title,
    "money": format_money,
    "difference": format_difference,
    "percent": format_share,
    "price_range": format_price,
    "sentence": as_sentence,
    "size": format_size,
    "words": words,
}

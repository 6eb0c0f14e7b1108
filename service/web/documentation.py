"""The API explains itself: ``/openapi.json`` for programs, ``/docs`` for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, current_app

from service.web.context import json_response, wiring
from service.web.etags import tagged
from service.web.openapi import document
from service.web.openapi.html import error_example, groups, schemas
from service.web.pages import render

blueprint = Blueprint("documentation", __name__)

#: May be kept, by anybody, and is asked about before it is used again.
KEPT = {"Cache-Control": "public, no-cache"}
FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """A whole small program; `saved` is the name that its first lines call it by."""

    title: str
    file: str
    saved: str

    @property
    def text(self) -> str:
        """What stands in it."""
        return (FOLDER / self.file).read_text().rstrip()


RECIPES = (
    Recipe("Flask", "flask.py.txt", "app.py"),
    Recipe("FastAPI", "fastapi.py.txt", "app.py"),
    Recipe("Django", "django.py.txt", "app.py"),
    Recipe("Express", "express.mjs.txt", "app.mjs"),
    Recipe("curl and openssl", "curl.sh.txt", "clipbell.sh"),
)


@blueprint.get("/openapi.json")
def show() -> Response:
    """The API as OpenAPI 3.1, for this server."""
    return tagged(json_response(document(current_app, wiring()), headers=KEPT))


@blueprint.get("/docs")
def read() -> Response:
    """The same as a page, with recipes."""
    told = document(current_app, wiring())
    page = render(
        "docs.html",
        groups=groups(told),
        schemas=schemas(told),
        error=error_example(told),
        recipes=RECIPES,
        public_url=wiring().settings.public_url,
    )
    page.headers.update(KEPT)
    return tagged(page)

"""The API explains itself: ``/openapi.json`` for programs."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from service.web.context import json_response, wiring
from service.web.etags import tagged
from service.web.openapi import document

blueprint = Blueprint("documentation", __name__)

#: May be kept, by anybody, and is asked about before it is used again.
KEPT = {"Cache-Control": "public, no-cache"}


@blueprint.get("/openapi.json")
def show() -> Response:
    """The API as OpenAPI 3.1, for this server."""
    return tagged(json_response(document(current_app, wiring()), headers=KEPT))

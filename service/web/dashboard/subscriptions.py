"""Who is told of what."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.model import DEFAULT_EVENTS
from service.web.context import caller, wiring
from service.web.session import page, signed_in

blueprint = Blueprint("subscriptions", __name__)


@blueprint.get("/subscriptions")
@signed_in("read")
def index() -> AnyResponse:
    """Who is told of what."""
    w = wiring()
    with w.db.read() as tx:
        found = store.subscriptions.all_of(tx, caller().account_id)
    rows = [(s, w.sealer.open(s.target), s.events or list(DEFAULT_EVENTS)) for s in found]
    return page("subscriptions.html", rows=rows)

"""``/u/TOKEN``: one click in a mail ends the subscription (RFC 8058)."""

from __future__ import annotations

from flask import Blueprint, Response

from service.deliveries import subscriptions
from service.errors import BadToken
from service.web.context import json_response, wiring
from service.web.errors import Problem
from service.web.pages import render, wants_html

blueprint = Blueprint("unsubscribe", __name__, url_prefix="/u")


def _subscription_id(token: str) -> str:
    w = wiring()
    try:
        return str(w.unsubscribe.verify(token, w.clock())["subscription"])
    except BadToken:
        hint = "Use the link of a newer mail, or ask whoever runs this service."
        raise Problem(403, "this link is not one of ours, or it has expired", hint=hint) from None


@blueprint.get("/<token>")
def ask(token: str) -> Response:
    """For those who click the link instead of their mail program's button."""
    _subscription_id(token)
    return render("unsubscribe.html", done=False)


@blueprint.post("/<token>")
def unsubscribe(token: str) -> Response:
    """
    No more mail to this address.

    No session and no form token: the link is the proof.
    """
    w = wiring()
    subscription_id = _subscription_id(token)
    with w.db.write() as tx:
        subscriptions.unsubscribe(tx, subscription_id, w.clock())
    if wants_html():
        return render("unsubscribe.html", done=True)
    return json_response({"unsubscribed": True})

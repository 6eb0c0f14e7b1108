"""``/u/TOKEN``: one-click unsubscribe from an account's mail (RFC 8058)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service import store
from service.deliveries import subscriptions
from service.errors import BadToken
from service.web.context import json_response, wiring
from service.web.errors import Problem
from service.web.pages import render, wants_html

#: The form field that undoes it; no mail program sends it.
AGAIN = "subscribe_again"

blueprint = Blueprint("unsubscribe", __name__, url_prefix="/u")


def _subscription_id(token: str) -> str:
    w = wiring()
    try:
        return str(w.unsubscribe.verify(token, w.clock())["subscription"])
    except BadToken:
        hint = "Use the link of a newer mail, or ask the operator of this service."
        raise Problem(403, "this link is not one of ours, or it has expired", hint=hint) from None


@blueprint.get("/<token>")
def ask(token: str) -> Response:
    """For readers who click the link instead of their mail program's button."""
    subscription_id = _subscription_id(token)
    with wiring().db.read() as tx:
        found = store.subscriptions.find(tx, subscription_id)
    return _page(found is not None and found.disabled_reason == subscriptions.UNSUBSCRIBED)


@blueprint.post("/<token>")
def unsubscribe(token: str) -> Response:
    """
    Stop mail to this address. The page that answers has a button to undo it.

    It needs no session and no form token: the signed link is the proof.
    """
    w = wiring()
    subscription_id = _subscription_id(token)
    again = AGAIN in request.form
    with w.db.write() as tx:
        if again:
            subscriptions.subscribe_again(tx, subscription_id)
        else:
            subscriptions.unsubscribe(tx, subscription_id, w.clock())
    return _page(not again) if wants_html() else json_response({"unsubscribed": not again})


def _page(done: bool) -> Response:
    return render("unsubscribe.html", done=done, again=AGAIN)

"""API keys of the account: create them, show them once, revoke them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.accounts import KEY_SCOPES, SCOPES, create_key, parse_new_key, revoke_key
from service.errors import FieldError, InvalidInput
from service.web.context import caller, wiring
from service.web.dashboard.forms import form_token, submit_once
from service.web.errors import Problem
from service.web.session import page, signed_in

blueprint = Blueprint("keys", __name__)

#: What a key with each scope may do.
WORDS = {
    "read": "see jobs, videos, deliveries and settings",
    "submit": "make videos, cancel and resend",
    "admin": "change subscriptions and API keys, delete jobs",
    "operator": "hold vendors and see how the service is set up",
}


@blueprint.get("/settings/keys")
@signed_in("read")
def index() -> AnyResponse:
    """All keys, for a key that may see them."""
    return _page()


def _page(status: int = 200, faults: tuple[FieldError, ...] = (), **more: Any) -> AnyResponse:
    own = caller()
    with wiring().db.read() as tx:
        found = store.accounts.keys(tx, own.account_id) if "admin" in own.scopes else []
    given = {"name": request.form.get("name", ""), "scopes": request.form.getlist("scopes")}
    # What was refused stays as it was typed; else it is the form for the next key.
    given = given if faults else {"name": "", "scopes": list(KEY_SCOPES)}
    return page(
        "keys.html",
        status,
        keys=sorted(found, key=lambda one: one.revoked_at is not None),
        scopes={scope: WORDS[scope] for scope in SCOPES if scope in own.scopes},
        given=given,
        faults=[fault.message for fault in faults],
        once=form_token(),
        **more,
    )


@blueprint.post("/settings/keys")
@signed_in("admin")
def create() -> AnyResponse:
    """Create a key, shown on this page only; a form that is sent twice creates one key."""
    w, own = wiring(), caller()
    given = {"name": request.form.get("name", "").strip(), "scopes": request.form.getlist("scopes")}
    made: list[str] = []

    def make() -> str:
        made.append(create_key(tx, own.account_id, name, scopes, w.clock()))
        return "key"

    try:
        name, scopes = parse_new_key(given, own.scopes)
        with w.db.write() as tx:
            submit_once(tx, make)
    except InvalidInput as error:
        return _page(422, tuple(error.faults))
    if not made:
        flash("This key was made before, and cannot be shown again.")
        return redirect(url_for(".index"), 303)
    return _page(201, new_key=made[0], new_name=name)


@blueprint.post("/settings/keys/<key_id>/revoke")
@signed_in("admin")
def revoke(key_id: str) -> AnyResponse:
    """Revoke a key, but not the one that is signed in."""
    if key_id == caller().id:
        hint = "Sign in with another key first."
        raise Problem(409, "this is the key that you are signed in with", hint=hint)
    with wiring().db.write() as tx:
        revoked = revoke_key(tx, caller().account_id, key_id, wiring().clock())
    flash(f"{revoked.name} is revoked.")
    return redirect(url_for(".index"), 303)

"""Callbacks: the messages of providers, their results, and Replay."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.callbacks.process import replay_callback
from service.formatting import as_sentence, format_clock
from service.model import CALLBACK_BYTES, Callback, CallbackState, TaskState
from service.model.codings import content_of
from service.web.context import caller, get_or_404, wiring
from service.web.dashboard.raw import secrets_of, shown_body, shown_headers
from service.web.session import live_page, signed_in

blueprint = Blueprint("callbacks", __name__)

PAGE_ROWS = 25
#: Sentences for the notes of callbacks that reported a final state.
_ENDS: dict[str, str] = {
    TaskState.SUCCEEDED: "Callback received: video completed",
    TaskState.FAILED: "Callback received: video failed",
}


@blueprint.get("/callbacks")
@signed_in("read")
def index() -> AnyResponse:
    """The account's callbacks, newest first."""
    state, before = request.args.get("state", ""), request.args.get("before", "")
    wanted = state if state in list(CallbackState) else None
    last = before if re.fullmatch("cbk_[0-9a-f]{32}", before) else None
    with wiring().db.read() as tx:
        account = caller().account_id
        shown = store.callbacks.page(tx, account, PAGE_ROWS, before=last, state=wanted)
        jobs = store.jobs.of_ids(tx, {callback.job_id for callback in shown})
    return live_page(
        "callbacks.html",
        "_callbacks.html",
        shape="list",
        rows=[(callback, jobs.get(callback.job_id), outcome(callback)) for callback in shown],
        older=shown.older,
        active=any(callback.state is CallbackState.RECEIVED for callback in shown),
        state=wanted,
        before=last,
    )


def outcome(callback: Callback) -> str:
    """The result of a callback as a sentence."""
    if callback.state is CallbackState.RECEIVED:
        now = wiring().clock()
        if callback.due_at and callback.due_at > now:
            return f"Stored; it is processed again at {format_clock(callback.due_at)} UTC."
        return "Stored; the worker processes it next."
    return _ENDS.get(callback.note) or as_sentence(callback.note) or "Processed."


# Only ids match: GET of a callback URL itself goes to the receiver.
@blueprint.get("/callbacks/cbk_<tail>")
@signed_in("read")
def show(tail: str) -> AnyResponse:
    """One callback with its content."""
    w = wiring()
    with w.db.read() as tx:
        found = get_or_404(tx, Callback, f"cbk_{tail}")
        job = store.jobs.find(tx, found.job_id)
    secrets = secrets_of(w.settings)
    return live_page(
        "callback.html",
        "_callback.html",
        shape="callback",
        callback=found,
        job=job,
        outcome=outcome(found),
        headers=shown_headers(found.headers, secrets),
        body=shown_body(content_of(found.headers, found.body, CALLBACK_BYTES), secrets),
        active=found.state is CallbackState.RECEIVED,
    )


@blueprint.post("/callbacks/<callback_id>/replay")
@signed_in("submit")
def replay(callback_id: str) -> AnyResponse:
    """Process a callback again; its page shows the result."""
    with wiring().db.write() as tx:
        found = get_or_404(tx, Callback, callback_id)
        replay_callback(tx, found, wiring().clock())
    return redirect(url_for(".show", tail=found.id.removeprefix("cbk_")), 303)

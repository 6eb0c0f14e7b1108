"""``POST /callbacks/TOKEN``: verify, store, answer exactly 200; also the stored callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from flask import Blueprint, Response, request
from typing_extensions import TypedDict

from service import store
from service.callbacks.process import check_callback_url, replay_callback
from service.errors import BadToken, CallbackTooLarge, ExpiredToken
from service.model import Callback, CallbackState
from service.model.callback_json import (
    RejectionJson,
    callback_json,
    full_callback_json,
    rejection_json,
)
from service.model.json_types import Cursor, about
from service.web.context import (
    authenticate,
    caller,
    get_or_404,
    json_response,
    needs,
    wiring,
)
from service.web.errors import Problem
from service.web.pagination import cursor_of, page_response, page_rows
from service.web.query import choice, read_argument, switch, text
from service.web.receiver import REFUSED

blueprint = Blueprint("callbacks", __name__)


# Any number of slashes may follow: vendors would take a redirect for a refusal.
@blueprint.post("/callbacks/<path:token>", merge_slashes=False)
def receive(token: str) -> Response:
    """Store a vendor's callback. The request does not interpret its body."""
    # The receiver stores it before Flask runs; here are only its refusals.
    error: Exception = request.environ[REFUSED]
    with _refusals():
        raise error


@blueprint.get("/callbacks/<path:token>", merge_slashes=False)
def check(token: str) -> Response:
    """For vendors that check with GET or HEAD whether the URL works."""
    w, remote = wiring(), request.remote_addr or ""
    with _refusals():
        check_callback_url(w.ingest, w.signer, token.rstrip("/"), remote, w.clock())
    return json_response({"ok": True})


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the receiver's errors into HTTP answers."""
    try:
        yield
    except ExpiredToken:
        raise Problem(410, "this callback URL has expired") from None
    except BadToken:
        way_in = {"WWW-Authenticate": 'SignedURL realm="callbacks"'}
        message = "the signature of this callback URL is not ours"
        raise Problem(401, message, headers=way_in) from None
    except CallbackTooLarge as error:
        raise Problem(413, str(error)) from None


@blueprint.get("/v1/callbacks")
@needs(
    "read",
    job_id=text,
    state=choice(CallbackState),
    rejected=switch,
    limit=page_rows(),
    cursor=text,
)
def list_callbacks(limit: int, rejected: bool, cursor: str | None, **which: str | None) -> Response:
    """An account's callbacks, newest first."""
    if rejected:
        authenticate("operator")
        return _rejected(limit, read_argument("cursor", cursor_of("rej")))
    before = read_argument("cursor", cursor_of("cbk"))
    with wiring().db.read() as tx:
        found = store.callbacks.page(tx, caller().account_id, limit, before=before, **which)
    return page_response([callback_json(callback) for callback in found], found.older)


class RejectionsJson(TypedDict):
    """A page of rejected callbacks."""

    data: list[RejectionJson]
    next_cursor: Cursor
    counts: Annotated[
        dict[str, int], about("The number of all rejected callbacks, by reason.", {"expired": 1})
    ]
    url_checks: Annotated[int, about("The number of checks of callback URLs (GET or HEAD).", 0)]


@blueprint.get("/v1/callbacks/rejected")
@needs("operator", limit=page_rows(), cursor=cursor_of("rej"))
def list_rejected(limit: int, cursor: str | None) -> Response:
    """
    The last 1,000 rejected callbacks, newest first, and counts of all of them.

    `GET /v1/callbacks?rejected=true` answers the same.
    """
    return _rejected(limit, cursor)


def _rejected(limit: int, before: str | None) -> Response:
    with wiring().db.read() as tx:
        found = store.callbacks.rejected(tx, limit, before=before)
        counts, checks = store.callbacks.count_rejections(tx), store.callbacks.url_checks(tx)
    shown = [rejection_json(one) for one in found]
    return page_response(shown, found.older, counts=counts, url_checks=checks)


@blueprint.get("/v1/callbacks/<callback_id>")
@needs("read")
def get_callback(callback_id: str) -> Response:
    """One callback with its headers and body."""
    with wiring().db.read() as tx:
        found = get_or_404(tx, Callback, callback_id)
    return json_response(full_callback_json(found))


@blueprint.post("/v1/callbacks/<callback_id>/replay")
@needs("submit")
def replay(callback_id: str) -> Response:
    """Process a callback again, as if it had just arrived."""
    w = wiring()
    with w.db.write() as tx:
        replay_callback(tx, get_or_404(tx, Callback, callback_id), w.clock())
        found = get_or_404(tx, Callback, callback_id)
    return json_response(callback_json(found), 202)

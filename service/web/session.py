"""
Who looks at the dashboard: sign in with a key or a link, sign out.

The cookie holds a key's id and nothing else; the key's row is read again for
every request, so that a revoked key is out at once. Every form is checked
twice: it must come from this site, and carry the token that the page gave it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.accounts import key_in_force
from service.errors import BadToken, ExpiredToken
from service.model import ApiKey
from service.settings import Settings
from service.signing import TokenSigner, UrlSigner
from service.store.database import Database
from service.web.context import BODY_BYTES, caller, wiring
from service.web.errors import Problem, as_problem
from service.web.pages import html_problem, render, render_live

P = ParamSpec("P")

blueprint = Blueprint("session", __name__)

COOKIE = "clipbell_session"
SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=24)
#: Whose forms those are that one sees before signing in.
NOBODY = ""
_LOCAL = re.compile(r"/(?![/\\])[\x21-\x7e]*")


def login_url(public_url: str, secret_keys: Sequence[str], key_id: str, now: datetime) -> str:
    """A link that signs its opener in as this key; good for 24 hours."""
    return _login_urls(public_url, secret_keys).url_for(now + LINK_LIFE, key=key_id)


def _login_urls(public_url: str, secret_keys: Sequence[str]) -> UrlSigner:
    return UrlSigner(secret_keys, "login", f"{public_url}/login")


def operator_login_url(settings: Settings, now: datetime) -> str | None:
    """A link that signs its opener in as the operator; None where no key is left for that."""
    database = Database(settings.database_url)
    with database.read() as tx:
        account = store.accounts.first(tx)
        keys = store.accounts.keys(tx, account.id) if account else []
    database.close()
    own = [key for key in keys if key.revoked_at is None and "operator" in key.scopes]
    return login_url(settings.public_url, settings.keys(), own[0].id, now) if own else None


def signed_in(
    scope: str,
) -> Callable[[Callable[P, AnyResponse]], Callable[P, AnyResponse]]:
    """A page for people whose key has this scope; the others are shown the way in."""

    def wrap(view: Callable[P, AnyResponse]) -> Callable[P, AnyResponse]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> AnyResponse:
            key = _resumed()
            if key is None:
                return _way_in()
            if request.method == "POST":
                check_form(key.id)
            if scope not in key.scopes:
                hint = f"Sign in with another key; this one has {', '.join(key.scopes)}."
                raise Problem(403, f"this needs a key with the scope {scope}", hint=hint)
            g.api_key = key
            return view(*args, **kwargs)

        return guarded

    return wrap


def page(template: str, status: int = 200, **values: Any) -> AnyResponse:
    """A page for the one who is signed in."""
    return render(template, status, **_common(), **values)


def live_page(template: str, parts: str, **values: Any) -> AnyResponse:
    """
    A page, or with ``?live`` only the `parts` of it that change by themselves.

    While `active` is among the values and true, the browser asks for them again.
    """
    again = request.args.to_dict() | {"live": "1"}
    values |= {
        "parts": parts,
        "live_url": f"{request.script_root}{request.path}?{urlencode(again)}",
    }
    if "live" in request.args:
        return render_live("_live.html", **_common(), **values)
    return page(template, **values)


def _common() -> dict[str, Any]:
    # As long-lived as the session, so that an unchanged page is the same in every byte.
    token = _form_token(caller().id, g.session_until)
    return {"form_token": token, "key": caller(), "now": wiring().clock()}


def _tokens(purpose: str) -> TokenSigner:
    return TokenSigner(wiring().settings.keys(), purpose)


def _resumed() -> ApiKey | None:
    """The key in force that the cookie names."""
    w = wiring()
    try:
        payload = _tokens("session").verify(request.cookies.get(COOKIE, ""), w.clock())
    except BadToken:
        return None
    g.session_until = datetime.fromtimestamp(payload["exp"], UTC)
    with w.db.read() as tx:
        return store.accounts.key(tx, str(payload["key"]))


def _way_in() -> AnyResponse:
    if "HX-Request" in request.headers:
        # A part of a page: the whole page is to show the way in.
        return Response(status=401, headers={"HX-Refresh": "true"})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("session.show_login", next=None if wanted == "/" else wanted), 303)


def _form_token(key_id: str, until: datetime) -> str:
    return _tokens("form").sign({"key": key_id}, until)


def check_form(key_id: str) -> None:
    """Raises a Problem (403) for a form that this key's owner did not send from our page."""
    if not _from_here():
        hint = "Open the page here and press its button again."
        raise Problem(403, "this form was sent from another site", hint=hint)
    if request.max_content_length is None:
        # Read before anybody is known; what comes as a file would be kept on disk meanwhile.
        request.max_content_length = BODY_BYTES
    stale = Problem(403, "this form is out of date", hint="Go back, reload the page, try again.")
    try:
        payload = _tokens("form").verify(request.form.get("form_token", ""), wiring().clock())
    except BadToken:
        raise stale from None
    if payload.get("key") != key_id:
        raise stale


def _from_here() -> bool:
    """Whether the browser says that the form came from us; one that says nothing is refused."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None:
        return False
    if origin is not None and not _is_ours(origin):
        return False
    return site in (None, "same-origin")


def _is_ours(origin: str) -> bool:
    # Behind a proxy the scheme that we see may not be the browser's; the host is.
    return origin == wiring().settings.public_origin or origin.partition("://")[2] == request.host


@blueprint.get("/login")
def show_login() -> AnyResponse:
    """The way in."""
    return _login_page(request.args.get("next", ""))


def _login_page(wanted: str, problem: Problem | None = None) -> AnyResponse:
    token = _form_token(NOBODY, wiring().clock() + SESSION_LIFE)
    status = problem.status if problem else 200
    return render("login.html", status, login_token=token, wanted=wanted, problem=problem)


@blueprint.post("/login")
def sign_in() -> AnyResponse:
    """Sign in with a pasted key."""
    check_form(NOBODY)
    wanted = request.form.get("next", "")
    with wiring().db.read() as tx:
        key = key_in_force(tx, request.form.get("key", "").strip())
    if key is None:
        hint = "Paste the whole key, or ask whoever runs this service for one."
        return _login_page(wanted, Problem(401, "this key is not valid", hint=hint))
    return _welcome(key.id, wanted)


@blueprint.get("/login/<token>")
def follow_link(token: str) -> AnyResponse:
    """Sign in with a link."""
    w = wiring()
    try:
        urls = _login_urls(w.settings.public_url, w.settings.keys())
        key_id = str(urls.verify(token, w.clock())["key"])
    except ExpiredToken:
        hint = "Links work for 24 hours. Ask for a new one, or sign in with an API key here."
        return _login_page("", Problem(410, "this sign-in link has expired", hint=hint))
    except BadToken:
        hint = "Copy the whole link once more, or sign in with an API key here."
        return _login_page("", Problem(403, "this sign-in link is not one of ours", hint=hint))
    with w.db.read() as tx:
        key = store.accounts.key(tx, key_id)
    if key is None:
        hint = "Sign in with another API key here."
        return _login_page("", Problem(403, "the key of this sign-in link was revoked", hint=hint))
    return _welcome(key.id, "")


def _welcome(key_id: str, wanted: str) -> AnyResponse:
    """Where they wanted to go, with the cookie; never to another site."""
    w = wiring()
    place = wanted if _LOCAL.fullmatch(wanted) else "/"
    response = redirect(request.script_root + place, 303)
    response.set_cookie(
        COOKIE,
        _tokens("session").sign({"key": key_id}, w.clock() + SESSION_LIFE),
        max_age=SESSION_LIFE,
        path=_cookie_path(),
        httponly=True,
        samesite="Lax",
        secure=w.settings.public_url.startswith("https:"),
    )
    return response


def _cookie_path() -> str:
    return request.script_root or "/"


@blueprint.post("/logout")
@signed_in("read")
def sign_out() -> AnyResponse:
    """Forget who this is."""
    response = redirect(url_for("session.show_login"), 303)
    response.delete_cookie(COOKIE, path=_cookie_path())
    return response


def answer_problem(error: Exception) -> AnyResponse:
    """Whatever goes wrong on a page is told on a page."""
    return html_problem(as_problem(error))


blueprint.register_error_handler(Exception, answer_problem)

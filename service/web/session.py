"""
Sessions of the dashboard: sign in with a key or a link, sign out.

Flask's session, a signed cookie, holds a key's id; the key's row is read again for
every request, so that a revoked key is signed out at once. Every form is checked
twice: it must come from this site, and have the token of its session. (Flask-WTF's
tokens contain the time, so no part of a page would ever stay unchanged.)
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Flask, Request, Response, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.accounts import key_in_force
from service.errors import BadToken, ExpiredToken
from service.model import ApiKey
from service.settings import Settings
from service.signing import SessionSerializer, UrlSigner, digest
from service.store.database import Database
from service.web import alerts
from service.web.context import BODY_BYTES, api_key_from_request, caller, limits, wiring
from service.web.errors import Problem, as_problem
from service.web.intake.framing import Head
from service.web.pages import html_problem, render, render_live

P = ParamSpec("P")

blueprint = Blueprint("session", __name__)

COOKIE = "clipbell_session"
SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=24)
_LOCAL = re.compile(r"/(?![/\\])[\x21-\x7e]*")


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions, signed with the current secret keys."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._secret_keys = secret_keys

    def open_session(self, app: Flask, request: Request) -> Any:
        """The session; without a cookie an empty one, which needs no secret key."""
        if not request.cookies.get(COOKIE):
            return self.session_class()
        return super().open_session(app, request)

    def get_signing_serializer(self, app: Flask) -> Any:
        """The serializer; it rejects a session that an expired secret key has signed."""
        return SessionSerializer(self._secret_keys)


def use_sessions(app: Flask, settings: Settings, secret_keys: Sequence[str]) -> None:
    """Set up the sessions of an app."""
    app.session_interface = Sessions(secret_keys)
    app.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_PATH=settings.public_path or "/",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https:"),
        PERMANENT_SESSION_LIFETIME=SESSION_LIFE,
        # A session expires at its fixed time, whatever its user opens before.
        SESSION_REFRESH_EACH_REQUEST=False,
    )


def login_url(public_url: str, secret_keys: Sequence[str], key_id: str, now: datetime) -> str:
    """A link that signs in with this key, once; valid for 24 hours."""
    # So that two links of the same second differ.
    once = secrets.token_urlsafe(8)
    return _login_urls(public_url, secret_keys).url_for(now + LINK_LIFE, key=key_id, once=once)


def _login_urls(public_url: str, secret_keys: Sequence[str]) -> UrlSigner:
    return UrlSigner(secret_keys, "login", f"{public_url}/login")


def operator_login_url(settings: Settings, now: datetime) -> str | None:
    """A link that signs in as the operator; None if no key with that scope is left."""
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
    """Allow a page only to keys with this scope; others get the sign-in page."""

    def wrap(view: Callable[P, AnyResponse]) -> Callable[P, AnyResponse]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> AnyResponse:
            key = _resumed()
            if key is None and "HX-Request" in request.headers:
                # A part of a page: the whole page must show the sign-in.
                return Response(status=401, headers={"HX-Refresh": "true"})
            if key is None:
                wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
                following = None if wanted == "/" else wanted
                return redirect(url_for("session.show_login", next=following), 303)
            if request.method == "POST":
                check_form()
            if scope not in key.scopes:
                hint = f"Sign in with another key; this one has {', '.join(key.scopes)}."
                raise Problem(403, f"this needs a key with the scope {scope}", hint=hint)
            g.api_key = key
            return view(*args, **kwargs)

        return guarded

    return wrap


def page(template: str, status: int = 200, **values: Any) -> AnyResponse:
    """A page for the signed-in key."""
    return render(template, status, **_common(), alerts=alerts.look(caller()), **values)


def live_page(template: str, parts: str, **values: Any) -> AnyResponse:
    """
    A page, or with ``?live`` only the `parts` of it that change by themselves.

    If `active` is among the values and true, the browser polls them.
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
    return {"form_token": _form_token(), "key": caller(), "now": wiring().clock()}


def _resumed() -> ApiKey | None:
    """The valid key of the session; None if there is none, or after a sign-out."""
    w = wiring()
    if "id" not in session or w.clock().timestamp() > session.get("exp", 0):
        return None
    with w.db.read() as tx:
        if store.spent_tokens.is_spent(tx, digest(session["id"])):
            return None
        key = store.accounts.key(tx, str(session.get("key")))
    if key:
        w.ingest.note_use(key.id, w.clock())
    return key


def is_known(app: Flask, head: Head) -> bool:
    """Whether a request with this head has a valid key or session; works outside requests."""
    given = [(name, value) for name, values in head.headers.items() for value in values]
    with app.request_context(EnvironBuilder(headers=given).get_environ()):
        with wiring().db.read() as tx:
            by_key = key_in_force(tx, api_key_from_request())
        return (by_key or _resumed()) is not None


def _form_token() -> str:
    """The session's CSRF token; it stays the same, so that an unchanged page has the same bytes."""
    if "form_token" not in session:
        session["form_token"] = secrets.token_urlsafe(16)
    return str(session["form_token"])


def check_form() -> None:
    """Raises a Problem (403) for a form that was not sent from a page of this session."""
    # The browser names the origin of the form; without that, it is refused.
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # Behind a proxy the scheme may differ from the browser's; the host does not.
    host = (origin or "").partition("://")[2]
    ours = origin in (None, wiring().settings.public_origin) or host == request.host
    says = site is not None or origin is not None
    if not (says and ours and site in (None, "same-origin")):
        hint = "Open the page here and press its button again."
        raise Problem(403, "this form was sent from another site", hint=hint)
    if request.max_content_length is None:
        # The form is read before the sign-in, so it may have no file, which would go to disk.
        request.max_content_length = BODY_BYTES
    own, given = session.get("form_token"), request.form.get("form_token", "")
    if not own or not secrets.compare_digest(given.encode("utf-8", "replace"), own.encode()):
        hint = "Go back, reload the page, try again."
        raise Problem(403, "this form is out of date", hint=hint)


@blueprint.get("/login")
def show_login() -> AnyResponse:
    """The sign-in page."""
    return _login_page(request.args.get("next", ""))


def _login_page(wanted: str, problem: Problem | None = None) -> AnyResponse:
    status = problem.status if problem else 200
    return render("login.html", status, login_token=_form_token(), wanted=wanted, problem=problem)


@blueprint.post("/login")
def sign_in() -> AnyResponse:
    """Sign in with a pasted key."""
    check_form()
    wanted = request.form.get("next", "")
    now, address = wiring().clock(), request.remote_addr or ""
    limits().login.take(address, now, cost=0)
    with wiring().db.read() as tx:
        key = key_in_force(tx, request.form.get("key", "").strip())
    if key is None:
        limits().login.take(address, now)
        hint = "Paste the whole key, or ask the operator of this service for one."
        return _login_page(wanted, Problem(401, "this key is not valid", hint=hint))
    return _welcome(key.id, wanted)


@blueprint.get("/login/<token>")
def follow_link(token: str) -> AnyResponse:
    """Sign in with a link."""
    w = wiring()
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        # A program checks the link; no person has opened it.
        return Response(status=204)
    try:
        urls = _login_urls(w.settings.public_url, w.settings.keys())
        payload = urls.verify(token, w.clock())
    except ExpiredToken:
        hint = "Links work for 24 hours. Ask for a new one, or sign in with an API key here."
        return _login_page("", Problem(410, "this sign-in link has expired", hint=hint))
    except BadToken:
        hint = "Copy the whole link again, or sign in with an API key here."
        return _login_page("", Problem(403, "this sign-in link is not one of ours", hint=hint))
    ends = datetime.fromtimestamp(payload["exp"], UTC)
    with w.db.write() as tx:
        key = store.accounts.key(tx, str(payload["key"]))
        if key and not store.spent_tokens.spend(tx, digest(token), ends, w.clock()):
            hint = "Links work once. Ask for a new one, or sign in with an API key here."
            return _login_page("", Problem(410, "this sign-in link was used before", hint=hint))
    if key is None:
        hint = "Sign in with another API key here."
        return _login_page("", Problem(403, "the key of this sign-in link was revoked", hint=hint))
    return _welcome(key.id, "")


def _welcome(key_id: str, wanted: str) -> AnyResponse:
    """Start a session, and go to the wanted page, but never to another site."""
    session.clear()
    session.permanent = True
    session["id"], session["key"] = secrets.token_urlsafe(16), key_id
    session["exp"] = int((wiring().clock() + SESSION_LIFE).timestamp())
    place = wanted if _LOCAL.fullmatch(wanted) else "/"
    return redirect(request.script_root + place, 303)


@blueprint.post("/logout")
@signed_in("read")
def sign_out() -> AnyResponse:
    """End the session, in this browser and for every copy of its cookie."""
    w = wiring()
    ends = datetime.fromtimestamp(session["exp"], UTC)
    with w.db.write() as tx:
        store.spent_tokens.spend(tx, digest(session["id"]), ends, w.clock())
    session.clear()
    return redirect(url_for("session.show_login"), 303)


def answer_problem(error: Exception) -> AnyResponse:
    """Show an error of a page as a page."""
    return html_problem(as_problem(error))


blueprint.register_error_handler(Exception, answer_problem)

"""The Flask app: blueprints, errors, headers."""

from __future__ import annotations

from functools import partial
from threading import BoundedSemaphore

from flask import Flask, g, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from service.bootstrap import Wiring
from service.errors import NO_SUCH_ADDRESS, FieldError, InvalidInput, NotFound
from service.web import (
    dashboard,
    documentation,
    session,
    unsubscribe,
)
from service.web.api import (
    batches,
    callbacks,
    deliveries,
    events,
    hooks,
    jobs,
    keys,
    ledger,
    metrics,
    providers,
    service_info,
    subscriptions,
    videos,
)
from service.web.compat import apixo, openai, segmind, webhook_endpoints
from service.web.compat import videos as openai_videos
from service.web.compat.base import ended
from service.web.compat.waiters import Waiters
from service.web.errors import as_problem, problem_response
from service.web.etags import let_revalidate
from service.web.intake.gate import Gate
from service.web.limits import Limits, Standing
from service.web.mcp import endpoint as mcp
from service.web.pages import html_problem, wants_html
from service.web.prefix import PathPrefix
from service.web.receiver import Receiver
from service.web.repeats import RefusedTries, note_refusal

BLUEPRINTS = (
    callbacks.blueprint,
    batches.blueprint,
    keys.blueprint,
    ledger.blueprint,
    jobs.blueprint,
    subscriptions.blueprint,
    hooks.blueprint,
    events.blueprint,
    deliveries.blueprint,
    videos.blueprint,
    apixo.blueprint,
    segmind.blueprint,
    openai_videos.blueprint,
    webhook_endpoints.blueprint,
    mcp.blueprint,
    providers.blueprint,
    service_info.blueprint,
    metrics.blueprint,
    documentation.blueprint,
    unsubscribe.blueprint,
    session.blueprint,
    dashboard.blueprint,
)


#: The seconds for which a browser uses only https for this host (HSTS).
HSTS_SECONDS = 365 * 86_400
#: The most threads of a process that may wait for tested endpoints.
TEST_SENDS_AT_ONCE = 2


def create_app(wiring: Wiring) -> Flask:
    """Create the Flask app for this wiring."""
    app = Flask(__name__)
    app.extensions["clipbell"] = wiring
    app.extensions["waiters"] = Waiters(wiring.settings.sync_waiters, partial(ended, wiring))
    app.extensions["metrics"] = metrics.Kept()
    app.extensions["limits"] = Limits()
    app.extensions["refused_tries"] = RefusedTries(wiring.clock)
    app.extensions["large_body"] = BoundedSemaphore(1)
    app.extensions["test_sends"] = BoundedSemaphore(TEST_SENDS_AT_ONCE)
    session.use_sessions(app, wiring.settings, wiring.keys)
    app.extensions["gate"] = Gate(wiring, partial(session.is_known, app))
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.register_error_handler(Exception, _answer)
    app.before_request(_refuse_nul)
    # Flask calls the last registered function first.
    tls = wiring.settings.public_url.startswith("https:")
    app.after_request(partial(_secure, _own_headers(tls)))
    app.after_request(let_revalidate)
    app.after_request(note_refusal)
    app.wsgi_app = Receiver(app.wsgi_app, wiring, _own_headers(tls))  # type: ignore[method-assign]
    prefix, hops = wiring.settings.public_path, wiring.settings.trusted_proxies
    if prefix:
        app.wsgi_app = PathPrefix(app.wsgi_app, prefix)  # type: ignore[method-assign]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _refuse_nul() -> None:
    """Refuse NUL in paths and queries: no database stores it. Tokens are checked by signature."""
    if request.endpoint in ("callbacks.receive", "callbacks.check"):
        return
    bad = [name for name, value in request.args.items() if "\x00" in value]
    if bad:
        raise InvalidInput([FieldError(f"?{n}", "bad_characters", "must hold no NUL") for n in bad])
    if "\x00" in request.path:
        raise NotFound(NO_SUCH_ADDRESS)


def _answer(error: Exception) -> Response:
    """Turn every error into a problem: a page for browsers, JSON for other clients."""
    problem = as_problem(error)
    for in_its_place in (segmind.in_its_place, openai.in_its_place, apixo.in_its_place):
        answer = in_its_place(problem)
        if answer is not None:
            return answer
    return html_problem(problem) if wants_html() else problem_response(problem)


def _own_headers(tls: bool) -> list[tuple[str, str]]:
    """The headers of every answer, unless a view sets others."""
    found = [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ]
    # Without subdomains, which may belong to somebody else.
    strict = [("Strict-Transport-Security", f"max-age={HSTS_SECONDS}")]
    return strict + found if tls else found


def _secure(own: list[tuple[str, str]], response: Response) -> Response:
    standing: Standing | None = g.get("standing")
    for name, value in standing.headers().items() if standing else ():
        response.headers.setdefault(name, value)
    for name, value in own:
        response.headers.setdefault(name, value)
    return response

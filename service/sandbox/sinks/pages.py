"""
Where the demo's messages arrive: a Slack, a mailbox and a REST hook of its own.

Each checks what it gets as the real one would, answers accordingly, and shows
it to people on one page. ``POST /script`` with ``{"slack": ["no_service"]}`` lets the next
answers be other ones; see `script`.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from html import unescape
from typing import Any, Self

from flask import Flask, Response, abort, g, render_template, request
from standardwebhooks import Webhook, WebhookVerificationError

from service.sandbox.serving import AppServer
from service.sandbox.sinks.inbox import Inbox, Received
from service.sandbox.sinks.mail import ANSWER, ANSWER_HELP, CONTENT_ID, Mailbox
from service.sandbox.sinks.slack import (
    API_PATH,
    BOT_WORDS,
    SLACK_PATH,
    TRICKS,
    WEBHOOK_STATUS,
    SlackSink,
    posts,
)

__all__ = ["Received", "SinkServer", "create_sinks"]


# A card's picture lies at the service's own address: a public one, or the demo's.
_PICTURES = "img-src 'self' https: http://127.0.0.1:*"
_RULES = f"default-src 'none'; {_PICTURES}; frame-src 'self'; form-action 'none'"
_MAIL_RULES = (
    "style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)


class SinkServer(AppServer):
    """
    The sinks on sockets of their own; also a context manager.

    `hook_secrets` (``whsec_…``) may be filled after the start; a POST whose
    signature none of them explains is answered 401. No mailbox without `smtp`.
    """

    def __init__(self, smtp: bool = True, host: str = "127.0.0.1", port: int = 0) -> None:
        self.hook_secrets: list[str] = []
        self._inbox = Inbox()
        self._stopped = threading.Event()
        app = create_sinks(self._inbox, self.hook_secrets, self._stopped)
        super().__init__(app, host, port)
        self._mailbox = Mailbox(self._inbox, host) if smtp else None
        self.slack_url = self.url + SLACK_PATH
        self.slack_api_url = self.url + API_PATH
        self.hook_url = f"{self.url}/hook"
        self.smtp_url = f"smtp://{host}:{self._mailbox.port}" if self._mailbox else ""

    def received(self) -> list[Received]:
        """The messages that have arrived so far, oldest first."""
        return self._inbox.received()

    def wait(self, is_so: Callable[[list[Received]], bool], seconds: float) -> bool:
        """Wait until `is_so` of the messages; False when `seconds` pass before."""
        return self._inbox.wait(is_so, seconds)

    def script(self, sink: str, *answers: str) -> None:
        """
        Let a sink (``slack``, ``bot``, ``mail`` or ``hook``) answer so, in turn, then as usual.

        Raises:
            ValueError: the sink does not know such an answer; names those that it knows.
        """
        _script(self._inbox, sink, list(answers))

    def start(self) -> Self:
        """Serves in threads from now on; returns itself."""
        if self._mailbox:
            self._mailbox.start()
        return super().start()

    def close(self) -> None:
        """Stops serving and ends all threads."""
        self._stopped.set()
        if self._mailbox:
            self._mailbox.stop()
        super().close()


def create_sinks(inbox: Inbox, hook_secrets: list[str], stopped: threading.Event) -> Flask:
    """The sinks that are reached by HTTP, and the page."""
    app = Flask(__name__)
    app.add_template_filter(unescape, "slack_text")  # the template escapes it again
    app.add_template_filter(lambda at: time.strftime("%H:%M:%S", time.localtime(at)), "clock")
    SlackSink(inbox, stopped).add_routes(app)
    HookSink(inbox, hook_secrets).add_routes(app)
    MailPages(inbox).add_routes(app)
    app.add_url_rule("/script", "script", partial(_take_script, inbox), methods=["POST"])
    app.add_url_rule("/count", "count", lambda: str(len(inbox.received())))

    @app.before_request
    def make_nonce() -> None:
        g.nonce = secrets.token_urlsafe(16)

    @app.after_request
    def allow_only_our_own(response: Response) -> Response:
        own = f"style-src 'nonce-{g.nonce}'; script-src 'nonce-{g.nonce}'; connect-src 'self'"
        rules = _MAIL_RULES if request.endpoint == "mail" else own
        response.headers["Content-Security-Policy"] = f"{_RULES}; {rules}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/")
    def index() -> str:
        newest_first = inbox.received()[::-1]
        return render_template(
            "sinks.html",
            count=len(newest_first),
            slack=posts([r for r in newest_first[::-1] if r.kind in ("slack", "bot")])[::-1],
            mails=[r for r in newest_first if r.kind == "mail"],
            hooks=[r for r in newest_first if r.kind == "hook"],
        )

    return app


def _take_script(inbox: Inbox) -> tuple[str, int]:
    """Takes the next answers, by sink."""
    given: Any = request.get_json(silent=True)
    try:
        for sink, answers in given.items():
            _script(inbox, sink, answers)
    except (AttributeError, TypeError, ValueError) as error:
        return f'{error}\nGive {{"slack": ["no_service"]}} or the like.\n', 400
    return "", 204


def _script(inbox: Inbox, sink: str, answers: list[str]) -> None:
    known, wanted = _ANSWERS.get(sink, (None, f"the sinks are {', '.join(_ANSWERS)}"))
    if known is None or not all(known(answer) for answer in answers):
        raise ValueError(wanted)
    inbox.script(sink, answers)


def _words(*words: str) -> tuple[Callable[[str], object], str]:
    return frozenset(words).__contains__, f"its answers are {', '.join(sorted(words))}"


#: The answers that each sink knows, and the sentence that names them.
_ANSWERS: dict[str, tuple[Callable[[str], object], str]] = {
    "slack": _words(*WEBHOOK_STATUS, *TRICKS),
    "bot": _words(*BOT_WORDS, *TRICKS),
    "mail": (ANSWER.fullmatch, ANSWER_HELP),
    "hook": (re.compile("[2345][0-9]{2}").fullmatch, "a hook's answer is a status such as 410"),
}


class HookSink:
    """
    A REST hook.

    Args:
        secrets: ``whsec_…``; one of them must explain a POST's signature.
    """

    def __init__(self, inbox: Inbox, secrets: list[str]) -> None:
        self._inbox = inbox
        self._secrets = secrets

    def add_routes(self, app: Flask) -> None:
        """Serve it."""
        app.add_url_rule("/hook", "hook", self._take, methods=["POST"])

    def _take(self) -> tuple[str, int]:
        """Check the signature; a scripted answer is given only to a good one."""
        body, headers = request.get_data(), dict(request.headers)
        problems = self._signature_problems(body, headers)
        text = body.decode("utf-8", "replace")
        payload = request.get_json(silent=True)
        kind = payload.get("type") if isinstance(payload, dict) else None
        scripted = None if problems else self._inbox.next_answer("hook")
        problems += [f"answered {scripted}, as requested"] if scripted else []
        self._inbox.add("hook", str(kind or "(no type)"), problems, body, text, headers)
        if scripted:
            return "", int(scripted)
        return (problems[0], 401) if problems else ("", 204)

    def _signature_problems(self, body: bytes, headers: dict[str, str]) -> list[str]:
        """Empty when one of the secrets explains the signature; else why none does."""
        reason = "no secret is known here yet"
        for secret in self._secrets:
            try:
                Webhook(secret).verify(body, headers, json_parse=False)
                return []
            except (WebhookVerificationError, ValueError) as error:
                reason = str(error)
        return [f"the signature is wrong: {reason}"]


class MailPages:
    """The mails that have arrived, as a mail program would show them."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def add_routes(self, app: Flask) -> None:
        """Serve them."""
        app.add_url_rule("/mails/<int:number>.html", "mail", self._html)
        app.add_url_rule("/mails/<int:number>/<cid>", "picture", self._picture)

    def _html(self, number: int) -> str:
        """For a frame that may do nothing."""
        html = self._get_or_404(number).get_body(("html",))
        if html is None:
            abort(404)
        content: str = CONTENT_ID.sub(rf"/mails/{number}/\1", html.get_content())
        return content.replace("<head>", '<head><base target="_blank">', 1)

    def _picture(self, number: int, cid: str) -> Response:
        parts = self._get_or_404(number).walk()
        part = next((part for part in parts if part["Content-ID"] == f"<{cid}>"), None)
        if part is None or part.get_content_maintype() != "image":
            abort(404)
        return Response(part.get_payload(decode=True), mimetype=part.get_content_type())

    def _get_or_404(self, number: int) -> EmailMessage:
        mails = {found.number: found for found in self._inbox.received() if found.kind == "mail"}
        if number not in mails:
            abort(404)
        return mails[number].mail

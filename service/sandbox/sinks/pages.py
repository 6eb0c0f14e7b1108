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
    app.after_request(_guard)
    SlackSink(inbox, stopped).add_routes(app)
    hook = partial(_take_hook, inbox, hook_secrets)
    app.add_url_rule("/hook", "hook", hook, methods=["POST"])
    app.add_url_rule("/script", "script", partial(_take_script, inbox), methods=["POST"])
    app.add_url_rule("/count", "count", lambda: str(len(inbox.received())))
    app.add_url_rule("/mails/<int:number>.html", "mail", partial(_mail, inbox))
    picture = partial(_picture, inbox)
    app.add_url_rule("/mails/<int:number>/<cid>", "picture", picture)

    @app.before_request
    def make_nonce() -> None:
        g.nonce = secrets.token_urlsafe(16)

    @app.get("/")
    def index() -> str:
        arrived = inbox.received()
        newest_first = arrived[::-1]
        return render_template(
            "sinks.html",
            count=len(arrived),
            slack=posts([r for r in arrived if r.kind in ("slack", "bot")])[::-1],
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


def _take_hook(inbox: Inbox, hook_secrets: list[str]) -> tuple[str, int]:
    """Takes a webhook and checks its signature; a scripted answer is given only to a good one."""
    body, headers = request.get_data(), dict(request.headers)
    problems = _signature_problems(hook_secrets, body, headers)
    text = body.decode("utf-8", "replace")
    payload = request.get_json(silent=True)
    kind = payload.get("type") if isinstance(payload, dict) else None
    scripted = None if problems else inbox.next_answer("hook")
    problems += [f"answered {scripted}, as it was asked to"] if scripted else []
    inbox.add("hook", str(kind or "(no type)"), problems, body, text, headers)
    if scripted:
        return "", int(scripted)
    return (problems[0], 401) if problems else ("", 204)


def _signature_problems(hook_secrets: list[str], body: bytes, headers: dict[str, str]) -> list[str]:
    """Empty when one of the secrets (``whsec_…``) explains the signature; else why none does."""
    reason = "no secret is known here yet"
    for secret in hook_secrets:
        try:
            Webhook(secret).verify(body, headers, json_parse=False)
            return []
        except (WebhookVerificationError, ValueError) as error:
            reason = str(error)
    return [f"the signature is wrong: {reason}"]


def _mail(inbox: Inbox, number: int) -> str:
    """The mail's HTML as the mail program would show it, in a frame that may do nothing."""
    html = _get_mail_or_404(inbox, number).get_body(("html",))
    if html is None:
        abort(404)
    content: str = CONTENT_ID.sub(rf"/mails/{number}/\1", html.get_content())
    return content.replace("<head>", '<head><base target="_blank">', 1)


def _picture(inbox: Inbox, number: int, cid: str) -> Response:
    parts = _get_mail_or_404(inbox, number).walk()
    part = next((part for part in parts if part["Content-ID"] == f"<{cid}>"), None)
    if part is None or part.get_content_maintype() != "image":
        abort(404)
    return Response(part.get_payload(decode=True), mimetype=part.get_content_type())


def _get_mail_or_404(inbox: Inbox, number: int) -> EmailMessage:
    mails = {found.number: found for found in inbox.received() if found.kind == "mail"}
    if number not in mails:
        abort(404)
    return mails[number].mail


def _guard(response: Response) -> Response:
    """Nothing from elsewhere; scripts and styles only where the page itself wrote them."""
    own = f"style-src 'nonce-{g.nonce}'; script-src 'nonce-{g.nonce}'; connect-src 'self'"
    rules = _MAIL_RULES if request.endpoint == "mail" else own
    response.headers["Content-Security-Policy"] = f"{_RULES}; {rules}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response

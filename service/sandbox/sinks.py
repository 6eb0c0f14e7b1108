"""
Where the demo's messages arrive: a Slack, a mailbox and a REST hook of its own.

Each checks what it gets as the real one would, answers accordingly, and shows
it to people on one page.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from functools import partial
from html import unescape
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask, Response, abort, g, render_template, request
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.serving import WSGIRequestHandler, make_server

from service.sandbox.slack_rules import check_message

log = logging.getLogger(__name__)

SLACK_PATH = "/services/T000/B000/xyz"
_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_CONTENT_ID = re.compile(r"cid:([\w.@-]+)")
_parse = BytesParser(policy=default).parsebytes
_RULES = "default-src 'none'; img-src 'self'; frame-src 'self'; form-action 'none'"
_MAIL_RULES = (
    "style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
_MAIL_HEADERS = ("From", "To", "Date", "Message-ID", "Subject", "Auto-Submitted")


@dataclass(frozen=True)
class Received:
    """
    One message that arrived; `problems` says what is wrong with it.

    `kind` is ``slack``, ``mail`` or ``hook``, `at` seconds since 1970; `body`
    and `headers` (of a request) are as they came.
    """

    number: int
    kind: str
    at: float
    subject: str
    problems: list[str]
    job_id: str | None
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    @property
    def json(self) -> Any:
        """The body read as JSON; None when it is none."""
        with suppress(ValueError):
            return json.loads(self.body)
        return None

    @property
    def pretty(self) -> str:
        """The JSON indented; the raw text when it is none."""
        if self.json is None:
            return self.body.decode("utf-8", "replace")
        return json.dumps(self.json, indent=2, ensure_ascii=False)

    @property
    def mail(self) -> EmailMessage:
        """The body read as a mail."""
        return _parse(self.body)


class SinkServer:
    """
    The three sinks on sockets of their own; also a context manager.

    `hook_secrets` (``whsec_…``) may be filled after the start; a POST whose
    signature none of them explains is answered 401. No mailbox without `smtp`.
    """

    def __init__(self, smtp: bool = True, host: str = "127.0.0.1", port: int = 0) -> None:
        self.hook_secrets: list[str] = []
        self._arrived: list[Received] = []
        self._news = threading.Condition()
        self._server = make_server(
            host, port, create_sinks(self), threaded=True, request_handler=_QuietHandler
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="sinks", daemon=True
        )
        self._mailbox = _Mailbox(self, host) if smtp else None
        self.url = f"http://{host}:{self._server.port}"
        self.slack_url = self.url + SLACK_PATH
        self.hook_url = f"{self.url}/hook"
        self.smtp_url = f"smtp://{host}:{self._mailbox.port}" if self._mailbox else ""

    def received(self) -> list[Received]:
        """What has arrived so far, oldest first."""
        with self._news:
            return list(self._arrived)

    def wait(self, is_so: Callable[[list[Received]], bool], seconds: float) -> bool:
        """Until `is_so` of what has arrived; False when the time is over before."""
        with self._news:
            return self._news.wait_for(lambda: is_so(list(self._arrived)), seconds)

    def add(
        self,
        kind: str,
        subject: str,
        problems: list[str],
        body: bytes,
        text: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Keep a message; the job it is about is looked for in `text`."""
        job = _JOB_ID.search(text)
        about = job[0] if job else None
        with self._news:
            number = len(self._arrived) + 1
            found = (number, kind, time.time(), subject, problems, about, body, headers or {})
            self._arrived.append(Received(*found))
            self._news.notify_all()

    def start(self) -> SinkServer:
        """Serves in threads from now on; returns itself."""
        self._thread.start()
        if self._mailbox:
            self._mailbox.start()
        return self

    def close(self) -> None:
        """Stops serving and ends all threads."""
        if self._mailbox:
            self._mailbox.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> SinkServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class _QuietHandler(WSGIRequestHandler):
    """Requests go to our log instead of the terminal."""

    def log(self, type: str, message: str, *args: object) -> None:
        log.debug(message, *args)


class _Mailbox(Controller):
    """A real SMTP server; takes every mail for anybody."""

    def __init__(self, sinks: SinkServer, host: str) -> None:
        self._sinks = sinks
        # The port is bound here, since the controller itself cannot tell a free one.
        self._socket = socket.create_server((host, 0))
        super().__init__(self, hostname=host, port=self._socket.getsockname()[1])

    def _create_server(self) -> Awaitable[Any]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail; called by aiosmtpd."""
        mail = _parse(body := envelope.original_content or b"")
        text = mail.get_body(("plain", "html"))
        words = text.get_content() if text else ""
        self._sinks.add("mail", str(mail["Subject"]), _mail_problems(mail), body, words)
        return "250 2.0.0 kept"


def _mail_problems(mail: EmailMessage) -> list[str]:
    parts = list(mail.walk())
    kinds = {part.get_content_type() for part in parts}
    carried = {str(part["Content-ID"]).strip("<>") for part in parts if part["Content-ID"]}
    html = mail.get_body(("html",))
    asked = set(_CONTENT_ID.findall(html.get_content())) if html else set()
    problems = [f"the header {name} is missing" for name in _MAIL_HEADERS if not mail[name]]
    problems += [f"there is no {kind}" for kind in ("text/plain", "text/html") if kind not in kinds]
    problems += [f"the picture {cid} is missing" for cid in sorted(asked - carried)]
    problems += [f"a video is attached: {kind}" for kind in kinds if kind.startswith("video/")]
    if not str(mail["List-Unsubscribe"] or "").startswith("<http"):
        problems.append("List-Unsubscribe holds no URL")
    if mail["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
        problems.append("List-Unsubscribe-Post is missing")
    return problems


def create_sinks(sinks: SinkServer) -> Flask:
    """The sinks that are reached by HTTP, and the page."""
    app = Flask(__name__)
    app.add_template_filter(unescape, "slack_text")  # the template escapes it again
    app.add_template_filter(lambda at: time.strftime("%H:%M:%S", time.localtime(at)), "clock")
    app.before_request(_make_nonce)
    app.after_request(_guard)
    app.add_url_rule(
        "/services/<path:path>", "slack", partial(_take_slack, sinks), methods=["POST"]
    )
    app.add_url_rule("/hook", "hook", partial(_take_hook, sinks), methods=["POST"])
    app.add_url_rule("/", "index", lambda: render_template("sinks.html", arrived=sinks.received()))
    app.add_url_rule("/count", "count", lambda: str(len(sinks.received())))
    app.add_url_rule("/mails/<int:number>.html", "mail", partial(_mail, sinks))
    picture = partial(_picture, sinks)
    app.add_url_rule("/mails/<int:number>/<cid>", "picture", picture)
    return app


def _take_slack(sinks: SinkServer, path: str) -> tuple[str, int]:
    """Answers with Slack's words and statuses ("Sending messages using incoming webhooks")."""
    if f"/services/{path}" != SLACK_PATH:
        return "no_service", 404
    body = request.get_data()
    payload = request.get_json(silent=True)
    faults = check_message(payload)
    subject = payload.get("text") if isinstance(payload, dict) else None
    problems = [f"{fault.pointer} {fault.message}" for fault in faults]
    sinks.add("slack", str(subject or "(no text)"), problems, body, body.decode("utf-8", "replace"))
    return (faults[0].code, 400) if faults else ("ok", 200)


def _take_hook(sinks: SinkServer) -> tuple[str, int]:
    body, headers = request.get_data(), dict(request.headers)
    problems = _signature_problems(sinks.hook_secrets, body, headers)
    text = body.decode("utf-8", "replace")
    payload = request.get_json(silent=True)
    kind = payload.get("type") if isinstance(payload, dict) else None
    sinks.add("hook", str(kind or "(no type)"), problems, body, text, headers)
    return (problems[0], 401) if problems else ("", 204)


def _signature_problems(hook_secrets: list[str], body: bytes, headers: dict[str, str]) -> list[str]:
    reason = "no secret is known here yet"
    for secret in hook_secrets:
        try:
            Webhook(secret).verify(body, headers, json_parse=False)
            return []
        except (WebhookVerificationError, ValueError) as error:
            reason = str(error)
    return [f"the signature is wrong: {reason}"]


def _mail(sinks: SinkServer, number: int) -> str:
    """The mail's HTML as the mail program would show it, in a frame that may do nothing."""
    html = _found(sinks, number).get_body(("html",))
    if html is None:
        abort(404)
    content: str = _CONTENT_ID.sub(rf"/mails/{number}/\1", html.get_content())
    return content.replace("<head>", '<head><base target="_blank">', 1)


def _picture(sinks: SinkServer, number: int, cid: str) -> Response:
    parts = _found(sinks, number).walk()
    part = next((part for part in parts if part["Content-ID"] == f"<{cid}>"), None)
    if part is None or part.get_content_maintype() != "image":
        abort(404)
    return Response(part.get_payload(decode=True), mimetype=part.get_content_type())


def _found(sinks: SinkServer, number: int) -> EmailMessage:
    mails = {found.number: found for found in sinks.received() if found.kind == "mail"}
    if number not in mails:
        abort(404)
    return mails[number].mail


def _make_nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _guard(response: Response) -> Response:
    """Nothing from elsewhere; scripts and styles only where the page itself wrote them."""
    own = f"style-src 'nonce-{g.nonce}'; script-src 'nonce-{g.nonce}'; connect-src 'self'"
    rules = _MAIL_RULES if request.endpoint == "mail" else own
    response.headers["Content-Security-Policy"] = f"{_RULES}; {rules}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response

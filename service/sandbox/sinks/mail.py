"""
A mailbox: a real SMTP server that takes every mail for anybody, and looks at it.

Its answers can be scripted, one line per answer: a step (``AUTH``, ``MAIL``,
``RCPT``, ``DATA`` or ``RSET``) and a reply such as ``451 later``, or the word ``drop``.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from service.sandbox.sinks.inbox import Inbox, parse_mail

#: The answers that can be scripted.
ANSWER = re.compile(r"(AUTH|MAIL|RCPT|DATA|RSET) (drop|[245][0-9]{2} [\x20-\x7e]+)")
ANSWER_HELP = (
    "a mail's answer is a step and a reply, such as 'RCPT 550 no such user' or 'DATA drop'"
)
#: The reply on a connection that is closed already.
DROPPED = "421 4.3.2 dropped"
CONTENT_ID = re.compile(r"cid:([\w.@-]+)")
_HEADERS = ("From", "To", "Date", "Message-ID", "Subject", "Auto-Submitted")


class Mailbox(Controller):
    """The server, on a port of its own; who logs in may be anybody, unless ordered otherwise."""

    def __init__(self, inbox: Inbox, host: str) -> None:
        self._inbox = inbox
        # The port is bound here, since the controller cannot report a free one.
        self._socket = socket.create_server((host, 0))
        super().__init__(
            self,
            hostname=host,
            port=self._socket.getsockname()[1],
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def _create_server(self) -> Awaitable[Any]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)

    def _authenticate(self, server: SMTP, session: Session, *rest: Any) -> AuthResult:
        reply = self._scripted_reply(server, "AUTH")
        return AuthResult(success=reply is None, handled=False, message=reply)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        reply = self._scripted_reply(server, "MAIL")
        if reply is None:
            envelope.mail_from = address
        return reply or "250 2.1.0 ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        reply = self._scripted_reply(server, "RCPT")
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 ok"

    async def handle_RSET(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        return self._scripted_reply(server, "RSET") or "250 2.0.0 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail, unless it is to be refused; called by aiosmtpd."""
        reply = self._scripted_reply(server, "DATA")
        if reply is None or reply == DROPPED:
            self._keep(envelope.original_content or b"")
        return reply or "250 2.0.0 kept"

    def _scripted_reply(self, server: SMTP, step: str) -> str | None:
        """The reply that is scripted for this step, if any; ``drop`` closes the connection."""
        reply = self._inbox.next_answer("mail", f"{step} ")
        if reply != "drop":
            return reply
        if isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return DROPPED

    def _keep(self, body: bytes) -> None:
        mail = parse_mail(body)
        text = mail.get_body(("plain", "html"))
        words = text.get_content() if text else ""
        parts = list(mail.walk())
        kinds = {part.get_content_type() for part in parts}
        attached = {str(part["Content-ID"]).strip("<>") for part in parts if part["Content-ID"]}
        html = mail.get_body(("html",))
        shown = set(CONTENT_ID.findall(html.get_content())) if html else set()
        # All that is wrong with it, one sentence each.
        problems = [f"the header {name} is missing" for name in _HEADERS if not mail[name]]
        needed = [kind for kind in ("text/plain", "text/html") if kind not in kinds]
        problems += [f"there is no {kind}" for kind in needed]
        problems += [f"the picture {cid} is missing" for cid in sorted(shown - attached)]
        problems += [f"a video is attached: {kind}" for kind in kinds if kind.startswith("video/")]
        if not str(mail["List-Unsubscribe"] or "").startswith("<http"):
            problems.append("List-Unsubscribe holds no URL")
        if mail["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
            problems.append("List-Unsubscribe-Post is missing")
        self._inbox.add("mail", str(mail["Subject"]), problems, body, words)

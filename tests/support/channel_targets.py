"""
The harness of the channels' tests: notices to tell, and targets on loopback that misbehave.
"""

from __future__ import annotations

import http.server
import io
import json
import socket
import ssl
import threading
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from PIL import Image

from service.channels.base import Channel, DeliveryRequest
from service.messages.payloads import Notification
from service.model import Event, EventType, Job, JobState, Video, VideoState
from service.model.error_codes import job_error
from support.serving import QuietHandler, Served

T = TypeVar("T", Job, Video)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
JOB_ID = "job_0192a3b4c5d67e8f9a0b1c2d3e4f5a6b"
EVENT_ID = "evt_0192a3b4c5d67e8f9a0b1c2d3e4f5a6c"
DELIVERY_ID = "dlv_0192a3b4c5d67e8f9a0b1c2d3e4f5a6d"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC_URL = "https://clips.example.com"
LINK = f"{PUBLIC_URL}/v/eyJ2aWRlbyI6InZpZF8wMTkyIn0.signature"
UNSUBSCRIBE_URL = f"{PUBLIC_URL}/u/{'t' * 180}"


def _row(kind: type[T], **values: Any) -> T:
    """A row whose other columns are empty: which ones there are is not this harness's matter."""
    empty: dict[str, Any] = dict.fromkeys(kind.__dataclass_fields__)
    return kind(**(empty | values))


JOB = _row(
    Job,
    id=JOB_ID,
    model="kling-2.5-turbo",
    provider="segmind",
    input={"prompt": "A red fox runs through fresh snow", "duration": 5, "aspect_ratio": "16:9"},
    metadata={},
    state=JobState.SUCCEEDED,
    estimated_min=0.44,
    estimated_max=0.44,
    created_at=NOW,
    submitted_at=NOW + timedelta(seconds=2),
    finished_at=NOW + timedelta(seconds=74),
)
VIDEO = _row(
    Video,
    id="vid_1",
    job_id=JOB_ID,
    state=VideoState.STORED,
    poster_file="vid_1.jpg",
    seconds=5.0,
    width=1280,
    height=720,
    provider_expires_at=NOW + timedelta(days=1),
    link_expires_at=NOW + timedelta(days=90),
)


def notification(kind: EventType = EventType.JOB_SUCCEEDED, **changes: Any) -> Notification:
    """A notice of that kind; `prompt`, `error`, `cost` are its job's, the rest its own."""
    ready = kind in (EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING)
    prompt = changes.pop("prompt", JOB.input["prompt"])
    error = changes.pop("error", None)
    cost = changes.pop("cost", None)
    job = replace(JOB, input=JOB.input | {"prompt": prompt}, error=error, actual_cost=cost)
    given: dict[str, Any] = {
        "event": Event(EVENT_ID, "acc_1", JOB_ID, kind, changes.pop("sequence", 1), NOW),
        "job": job,
        "video": VIDEO if ready else None,
        "link": LINK if ready else None,
        "public_url": PUBLIC_URL,
        "unsubscribe_url": UNSUBSCRIBE_URL,
    }
    return Notification(**(given | changes))


def error(code: str, message: str) -> dict[str, Any]:
    """A job's error as its row keeps it."""
    return vars(job_error(code, message))


def jpeg(size: tuple[int, int] = (640, 360)) -> bytes:
    """A poster: two colours that run into each other, so that it weighs something."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def delivery_request(
    target: str, body: bytes, now: datetime = NOW, reference: str | None = None
) -> DeliveryRequest:
    """One attempt."""
    return DeliveryRequest(DELIVERY_ID, EVENT_ID, target, (SECRET,), body, now, reference)


def frozen(channel: Channel) -> bytes:
    """A body as the first attempt makes it."""
    asked = notification(poster=jpeg() if channel.carries_poster else None)
    return channel.render(asked, channel.formats[0])


def bot_says(ok: bool = False, **more: Any) -> tuple[int, str]:
    """An answer of Slack's Web API."""
    return 200, json.dumps({"ok": ok, **more})


class HttpTarget(Served):
    """An endpoint that answers as ordered, in turn and then for ever the last way."""

    def __init__(self, *answers: tuple[int, str] | tuple[int, str, dict[str, str]] | None) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._answers = list(answers)
        self._over = threading.Event()
        target = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                target.bodies.append(body)
                target.headers.append(dict(self.headers))
                target._answer(self)

        self.serve(Handler)
        self.url = f"{self.origin}/services/T0/B0/secret-part"

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            self._over.wait()
            return
        status, text, *more = answer
        headers = {"Content-Length": str(len(text.encode()))} | (more[0] if more else {})
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text.encode())

    def release(self) -> None:
        """Let go of what is held back."""
        self._over.set()


class MailTarget(Controller):
    """
    A mail server that answers each mail as ordered, in turn and then for ever the last way.

    `at` names the step (``MAIL``, ``RCPT``, ``DATA``) that gets these answers,
    None hangs; `password` makes it ask for one, `tls` speaks TLS from the start
    or, with `starttls`, on demand.
    """

    def __init__(
        self,
        *answers: str | None,
        at: str = "DATA",
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        starttls: bool = False,
    ) -> None:
        self.bodies: list[bytes] = []
        self.connections = 0
        self.password = password
        self._answers = list(answers) or ["250 kept"]
        self._at = at
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        more: dict[str, Any] = {"tls_context": tls, "require_starttls": True} if starttls else {}
        if password is not None:
            more |= {"authenticator": self._authenticate, "auth_require_tls": False}
        port = self._socket.getsockname()[1]
        implicit = None if starttls else tls
        super().__init__(self, hostname="127.0.0.1", port=port, ssl_context=implicit, **more)

    @property
    def url(self) -> str:
        """Its SMTP URL, without a password."""
        return f"smtp://127.0.0.1:{self.port}"

    def _create_server(self) -> Awaitable[Any]:
        return self.loop.create_server(
            self._factory_invoker, sock=self._socket, ssl=self.ssl_context
        )

    def factory(self) -> SMTP:
        """Called by aiosmtpd for each connection."""
        self.connections += 1
        made: SMTP = super().factory()  # type: ignore[no-untyped-call]
        return made

    def _authenticate(self, server: SMTP, session: Session, *rest: Any) -> AuthResult:
        given = rest[-1].password.decode()
        return AuthResult(success=given == self.password, handled=False)

    async def _answer(self, step: str) -> str:
        if step != self._at:
            return "250 ok"
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await self.loop.run_in_executor(None, self._over.wait)
        return answer or "250 ok"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        envelope.mail_from = address
        return await self._answer("MAIL")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        envelope.rcpt_tos.append(address)
        return await self._answer("RCPT")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        self.bodies.append(envelope.original_content or b"")
        return await self._answer("DATA")

    def __enter__(self) -> MailTarget:
        self.start()
        self.connections = 0  # the controller has tried one out
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self.stop()


class RudeMailServer:
    """Takes one mail, and hangs up on the goodbye."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._talk)
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"

    def _talk(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 here\r\n")
            in_mail = False
            for line in map(bytes.upper, lines):
                if line == b"QUIT\r\n":
                    return
                if not in_mail or line == b".\r\n":
                    in_mail = line == b"DATA\r\n"
                    connection.sendall(b"354 go on\r\n" if in_mail else b"250 ok\r\n")

    def __enter__(self) -> RudeMailServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
        self._listener.close()

"""
Mail over SMTP: one message per event.

The message is stored; each attempt adds the headers of the envelope. The
Message-ID belongs to the delivery, so a mail that arrives twice is one mail;
later ones about the same job refer to the first, so that they form a thread.
"""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from service.channels.base import SEND_SECONDS, Channel, DeliveryRequest, DeliveryResult
from service.channels.email_address import ascii_address
from service.channels.smtp import MailServer, refused
from service.errors import DeliveryError, FieldError, InvalidInput
from service.messages.email import build_email
from service.messages.payloads import Notification
from service.signing import digest


class Email(Channel):
    """
    The channel; see `channels.base.Channel`.

    Args:
        smtp_url: `smtp://USER:PASSWORD@HOST:587` (STARTTLS) or `smtps://…:465`.
        mail_from: the sender, with or without a name.
        seconds: the time limit of one attempt.
        tls: replaces the usual certificate authorities.

    Raises:
        SettingsError: the URL or the sender is not valid; the message has the fix.
    """

    formats = ("email",)
    carries_poster = True
    has_threads = True

    def __init__(
        self,
        smtp_url: str,
        mail_from: str,
        seconds: float = SEND_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = MailServer(smtp_url, mail_from, tls)
        self._seconds = seconds

    def check_target(self, target: str) -> str:
        """The address in ASCII; see `email_address`."""
        try:
            return ascii_address(target)
        except ValueError as error:
            raise InvalidInput([FieldError("/target", "bad_address", str(error))]) from None

    def render(self, notification: Notification, format_: str) -> bytes:
        """The mail; see `messages.email`."""
        return build_email(notification).as_bytes()

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """Send the mail to the server; see `smtp.MailServer.deliver`."""
        try:
            envelope = self._envelope(request)
        except ValueError as error:
            raise refused(error) from error
        shown = {name: str(value) for name, value in envelope.items()}
        request.record_sent("SMTP", f"smtp://{self._server.host}", shown)
        mail = envelope.as_bytes().removesuffix(b"\r\n") + request.body
        try:
            self._server.deliver(request.target, mail, self._seconds)
        except DeliveryError as error:
            if error.status is not None:
                request.record_answer(error.status, {}, error.response.encode())
            raise
        request.record_answer(250, {}, b"")
        reference = None if request.reference else self._message_id(request)
        return DeliveryResult(250, f"accepted by {self._server.host}", reference=reference)

    def check_access(self) -> None:
        """Connect to the mail server and log in."""
        self._server.check(self._seconds)

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()

    def _message_id(self, request: DeliveryRequest) -> str:
        place = f"{digest(request.target)[:12]}@{self._server.sender.domain}"
        return f"<{request.delivery_id}.{place}>"

    def _envelope(self, request: DeliveryRequest) -> EmailMessage:
        headers = EmailMessage(policy=SMTP)
        headers["From"] = self._server.sender
        headers["To"] = request.target
        headers["Date"] = format_datetime(request.now)
        headers["Message-ID"] = self._message_id(request)
        if request.reference not in (None, headers["Message-ID"]):
            headers["In-Reply-To"] = headers["References"] = request.reference
        headers["X-Entity-Ref-ID"] = request.delivery_id
        return headers

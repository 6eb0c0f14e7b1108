"""
Mail over SMTP: one letter per event.

The letter is frozen; each attempt puts an envelope's headers before it. The
Message-ID belongs to the delivery, so a mail that arrives twice is one mail;
later ones about the same job refer to the first, so that they stand in a thread.
"""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from email_validator import EmailNotValidError, validate_email

from service.channels.base import SEND_SECONDS, Channel, Parcel, Receipt
from service.channels.smtp import MailServer, refused
from service.errors import Fault, InvalidInput
from service.letters import letter
from service.messages import Notice
from service.signing import digest


class Email(Channel):
    """
    The channel; see `channels.base.Channel`.

    Args:
        smtp_url: `smtp://USER:PASSWORD@HOST:587` (STARTTLS) or `smtps://…:465`.
        mail_from: the sender, with or without a name.
        seconds: for one attempt in all.
        tls: stands in for the usual certificate authorities.

    Raises:
        SettingsError: the URL or the sender cannot be used; says how to mend it.
    """

    formats = ("letter",)
    carries_poster = True

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
        """An address that mail can have, in ASCII."""
        try:
            found = validate_email(target, check_deliverability=False, allow_smtputf8=False)
        except EmailNotValidError as error:
            message = f"{error} Give an address such as name@example.com."
            raise InvalidInput([Fault("/target", "bad_address", message)]) from error
        return found.ascii_email or found.normalized

    def render(self, notice: Notice, format_: str) -> bytes:
        """The letter; see `letters.letter`."""
        return letter(notice).as_bytes()

    def send(self, parcel: Parcel) -> Receipt:
        """Hand the mail to the server; see `smtp.MailServer.deliver`."""
        try:
            mail = self._envelope(parcel) + parcel.body
        except ValueError as error:
            raise refused(error) from error
        self._server.deliver(parcel.target, mail, self._seconds)
        reference = None if parcel.reference else self._message_id(parcel)
        return Receipt(250, f"accepted by {self._server.host}", reference=reference)

    def close(self) -> None:
        """Say goodbye to the server."""
        self._server.close()

    def _message_id(self, parcel: Parcel) -> str:
        place = f"{digest(parcel.target)[:12]}@{self._server.sender.domain}"
        return f"<{parcel.delivery_id}.{place}>"

    def _envelope(self, parcel: Parcel) -> bytes:
        headers = EmailMessage(policy=SMTP)
        headers["From"] = self._server.sender
        headers["To"] = parcel.target
        headers["Date"] = format_datetime(parcel.now)
        headers["Message-ID"] = self._message_id(parcel)
        if parcel.reference not in (None, headers["Message-ID"]):
            headers["In-Reply-To"] = headers["References"] = parcel.reference
        headers["X-Entity-Ref-ID"] = parcel.delivery_id
        return headers.as_bytes().removesuffix(b"\r\n")

"""
The conversation with the operator's mail server: one mail, within its time.

Beyond this machine nothing is said in the clear; what the server answers becomes
one error with its flags.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from contextlib import closing, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from service.errors import DeliveryError, SettingsError

_PORTS = {"smtp": 587, "smtps": 465}
_URL_HELP = (
    "CLIPBELL_SMTP_URL must be smtp://USER:PASSWORD@HOST:587 (STARTTLS) or "
    "smtps://USER:PASSWORD@HOST:465, with special characters percent-encoded"
)
_FROM_HELP = "CLIPBELL_MAIL_FROM must be one address such as Clipbell <clips@example.com>"
# What a server answers when user and password are at fault (RFC 4954, section 6): no
# recipient's doing, and over once the operator has mended the setting.
_CREDENTIALS = frozenset({530, 534, 535, 538})
#: Only in these steps is it the mail that is refused; elsewhere it is us, for the moment.
_ABOUT_THE_MAIL = (
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
)


class MailServer:
    """
    Where mail is handed over, and in whose name.

    Raises SettingsError for a URL or a sender that cannot be used.
    """

    def __init__(self, smtp_url: str, mail_from: str, tls: ssl.SSLContext | None = None) -> None:
        self.sender = _sender(mail_from)
        try:
            parts = urlsplit(smtp_url)
            self.host = parts.hostname or ""
            self._port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise SettingsError(_URL_HELP) from None
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        beyond = parts.path.strip("/") or parts.query or parts.fragment
        credentials = self._user + self._password
        halved = bool(self._user) != bool(self._password)
        if not self.host or beyond or halved or not credentials.isascii():
            raise SettingsError(_URL_HELP)
        self._implicit = parts.scheme == "smtps"
        self._tls = tls or ssl.create_default_context()

    def deliver(self, recipient: str, mail: bytes, seconds: float) -> None:
        """Hand over one mail; what the server refuses or leaves open is a DeliveryError."""
        try:
            with closing(self._connect(seconds)) as session:
                self._unlock(session)
                session.sendmail(self.sender.addr_spec, [recipient], mail)
                with suppress(smtplib.SMTPException, OSError):
                    session.quit()  # The mail is theirs; a rude goodbye changes nothing.
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise refused(error) from error

    def _connect(self, seconds: float) -> smtplib.SMTP:
        """A conversation that ends after so many seconds; to be closed."""
        until = time.monotonic() + seconds
        # The name to say hello with; smtplib would ask the DNS for it, without a deadline.
        name = {"local_hostname": self.sender.domain}
        if self._implicit:
            return _TlsSession(until, self.host, self._port, context=self._tls, **name)
        return _Session(until, self.host, self._port, **name)

    def _unlock(self, session: smtplib.SMTP) -> None:
        """Encrypt, then log in; beyond this machine nothing is said in the clear."""
        if not self._implicit and not _is_loopback(self.host):
            session.starttls(context=self._tls)
        if self._user:
            session.login(self._user, self._password)


class _Session(smtplib.SMTP):
    """A conversation that has until `until` in all, whatever step the time goes into."""

    def __init__(self, until: float, host: str, port: int, **more: Any) -> None:
        self._until = until
        super().__init__(host, port, timeout=self._left(), **more)

    def _left(self) -> float:
        return max(self._until - time.monotonic(), 0.001)

    def getreply(self) -> tuple[int, bytes]:
        """The next reply, if it comes in time."""
        if self.sock is not None:
            self.sock.settimeout(self._left())
        return super().getreply()


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def _sender(mail_from: str) -> Address:
    """The one address, with its name. Raises SettingsError."""
    try:
        header = SMTP.header_factory("From", mail_from)
        (sender,) = header.addresses
    except (ValueError, MessageError, IndexError):
        raise SettingsError(_FROM_HELP) from None
    ascii_ = sender.addr_spec.isascii()
    if header.defects or not sender.username or not sender.domain or not ascii_:
        raise SettingsError(_FROM_HELP)
    found: Address = sender
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refused(error: Exception) -> DeliveryError:
    """What kept a mail from being sent, as one error with its flags."""
    code, said = _answer(error)
    if code in _CREDENTIALS:
        mend = "the mail server refused our user and password: check CLIPBELL_SMTP_URL"
        return DeliveryError(mend, status=code, response=said)
    about_the_mail = isinstance(error, _ABOUT_THE_MAIL)
    return DeliveryError(
        f"the mail server answered {code}: {said[:200]}" if code else f"no mail sent: {said}",
        status=code,
        response=said,
        permanent=about_the_mail and code is not None and code >= 500,
    )


def _answer(error: Exception) -> tuple[int | None, str]:
    """The server's code and words, where it was the server that spoke."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return code, _text(words)
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, _text(error.smtp_error)
    return None, str(error)[:1000]


def _text(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return text[:1000].replace("\x00", "�")

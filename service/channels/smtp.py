"""
The SMTP client for the operator's mail server: one mail within its time limit.

Beyond this machine everything is encrypted; an error of the server becomes
one DeliveryError. A session without errors is kept a while for the
next mail.
"""

from __future__ import annotations

import io
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from service.errors import DeliveryError, NextStep, SettingsError

_PORTS = {"smtp": 587, "smtps": 465}
_URL_HELP = (
    "CLIPBELL_SMTP_URL must be smtp://USER:PASSWORD@HOST:587 (STARTTLS) or "
    "smtps://USER:PASSWORD@HOST:465, with special characters percent-encoded"
)
_FROM_HELP = "CLIPBELL_MAIL_FROM must be one address such as Clipbell <clips@example.com>"
# Replies about a wrong user or password (RFC 4954, section 6): not the
# recipient's fault, and gone once the operator has fixed the setting.
_CREDENTIALS = frozenset({530, 534, 535, 538})
#: The pause of all mail, in seconds, for the operator to fix it.
PAUSE_SECONDS = 900.0
#: The most mails of a session, and the seconds for which it is kept after the last one.
MOST_MAILS = 100
IDLE_SECONDS = 30.0
GOODBYE_SECONDS = 1.0
#: The steps in which a refusal is about the mail; in others it is about us, for the moment.
_ABOUT_THE_MAIL = (
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
)


class MailServer:
    """
    The operator's mail server, shared by threads.

    Raises SettingsError for an invalid URL or sender.
    """

    def __init__(
        self,
        smtp_url: str,
        mail_from: str,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        try:
            header = SMTP.header_factory("From", mail_from)
            (sender,) = header.addresses
        except (ValueError, MessageError, IndexError):
            raise SettingsError(_FROM_HELP) from None
        ascii_ = sender.addr_spec.isascii()
        if header.defects or not sender.username or not sender.domain or not ascii_:
            raise SettingsError(_FROM_HELP)
        self.sender: Address = sender
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
        self._idle_seconds = idle_seconds
        self._idle: list[_Session] = []
        self._lock = threading.Lock()

    def deliver(self, recipient: str, mail: bytes, seconds: float) -> None:
        """Send one mail. Raises DeliveryError if the server refuses it or does not confirm it."""
        until = time.monotonic() + seconds
        try:
            session = self._reused(until) or self._opened(until)
            with _closing_on_error(session):
                session.sendmail(self.sender.addr_spec, [recipient], mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise refused(error) from error
        self._keep(session)

    def check(self, seconds: float) -> None:
        """Connect, log in and close. Raises DeliveryError."""
        try:
            self._opened(time.monotonic() + seconds).leave()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise refused(error) from error

    def close(self) -> None:
        """Close the idle sessions."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.leave()

    def _reused(self, until: float) -> _Session | None:
        """An idle session that still works, or None."""
        while True:
            with self._lock:
                session = self._idle.pop() if self._idle else None
            if session is None or session.goes_on(until, self._idle_seconds):
                return session
            session.close()

    def _keep(self, session: _Session) -> None:
        session.mails += 1
        session.idle_since = time.monotonic()
        if session.mails >= MOST_MAILS:
            session.leave()
            return
        with self._lock:
            self._idle.append(session)

    def _opened(self, until: float) -> _Session:
        """A new session, encrypted and logged in."""
        # Our name for EHLO; smtplib would ask the DNS for it, without a time limit.
        name = {"local_hostname": self.sender.domain}
        session = (
            _TlsSession(until, self.host, self._port, context=self._tls, **name)
            if self._implicit
            else _Session(until, self.host, self._port, **name)
        )
        with _closing_on_error(session):
            self._unlock(session)
        return session

    def _unlock(self, session: smtplib.SMTP) -> None:
        """Encrypt the session, if the server is not on this machine, and log in."""
        try:
            if not self._implicit and not self._is_local():
                session.starttls(context=self._tls)
            if self._user:
                session.login(self._user, self._password)
        except smtplib.SMTPException as error:
            # A missing STARTTLS or login method does not appear between two attempts.
            if type(error) in (smtplib.SMTPException, smtplib.SMTPNotSupportedError):
                raise _misconfigured(str(error).rstrip("."), None, "") from error
            raise

    def _is_local(self) -> bool:
        """Whether the server is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@contextmanager
def _closing_on_error(session: _Session) -> Iterator[None]:
    """Close the session after any error."""
    try:
        yield
    except BaseException:
        session.close()
        raise


class _Session(smtplib.SMTP):
    """A session with one time limit, `until`, for all its steps."""

    def __init__(self, until: float, host: str, port: int, **more: Any) -> None:
        self._until = until
        self.mails = 0
        self.idle_since = 0.0
        super().__init__(host, port, timeout=self.left(), **more)

    def left(self) -> float:
        """The remaining seconds. Raises TimeoutError if there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def getreply(self) -> tuple[int, bytes]:
        """The next complete reply, within the time limit."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Replies(self.sock, self.left))
        return super().getreply()

    def send(self, s: Any) -> None:
        """Send data, within the time limit."""
        if self.sock is not None:
            self.sock.settimeout(self.left())
        super().send(s)

    def mail(self, sender: str, options: Any = ()) -> tuple[int, bytes]:
        """As in smtplib, but any 2xx is a success; `rcpt` and `data` too."""
        return _as_yes(super().mail(sender, options))

    def rcpt(self, recip: str, options: Any = ()) -> tuple[int, bytes]:
        """See `mail`."""
        return _as_yes(super().rcpt(recip, options))

    def data(self, msg: Any) -> tuple[int, bytes]:
        """See `mail`."""
        return _as_yes(super().data(msg))

    def goes_on(self, until: float, idle_seconds: float) -> bool:
        """Whether it can send one more mail until `until`; asks the server."""
        if time.monotonic() - self.idle_since > idle_seconds:
            return False
        self._until = until
        with suppress(smtplib.SMTPException, OSError):
            return self.rset()[0] == 250
        return False

    def leave(self) -> None:
        """Close it; the mails are accepted already, so an abrupt end changes nothing."""
        self._until = time.monotonic() + GOODBYE_SECONDS
        with suppress(smtplib.SMTPException, OSError):
            self.quit()
        self.close()


def _as_yes(reply: tuple[int, bytes]) -> tuple[int, bytes]:
    """A client goes by the first digit (RFC 5321, 4.2); `smtplib` by all three, and mails again."""
    code, said = reply
    return (250 if 200 <= code < 300 else code), said


class _Replies(io.RawIOBase):
    """The server's replies, read within the remaining time, however slowly they arrive."""

    def __init__(self, sock: Any, left: Callable[[], float]) -> None:
        super().__init__()
        self._sock, self._left = sock, left

    def readable(self) -> bool:
        """Always True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        self._sock.settimeout(self._left())
        count: int = self._sock.recv_into(buffer)
        return count


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """A session that is encrypted from its first byte."""


def refused(error: Exception) -> DeliveryError:
    """The reason why a mail was not sent, as one error with its next step."""
    if isinstance(error, DeliveryError):
        return error
    # The server's code and text, if the error comes from the server.
    code, said = None, str(error)[:1000]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        said = _text(words)
    elif isinstance(error, smtplib.SMTPResponseException):
        code, said = error.smtp_code, _text(error.smtp_error)
    if code is not None and not 200 <= code < 600:
        code, said = None, f"the answer is not SMTP: {said}"
    at_login = isinstance(error, smtplib.SMTPAuthenticationError) and (code or 0) >= 500
    if at_login or code in _CREDENTIALS:
        return _misconfigured("the mail server refused our user and password", code, said)
    about_the_mail = isinstance(error, _ABOUT_THE_MAIL)
    final = about_the_mail and code is not None and code >= 500
    line = " ".join(said.split())
    return DeliveryError(
        f"the mail server answered {code}: {line[:200]}" if code else f"no mail sent: {line}",
        NextStep.GIVE_UP if final else NextStep.RETRY,
        status=code,
        response=said,
    )


def _misconfigured(what: str, code: int | None, said: str) -> DeliveryError:
    """An error of our own setup: pauses the channel until the operator has fixed it."""
    message = f"{what}: check CLIPBELL_SMTP_URL; all mail waits until then"
    return DeliveryError(
        message, NextStep.PAUSE_CHANNEL, status=code, response=said, wait_seconds=PAUSE_SECONDS
    )


def _text(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return text[:1000].replace("\x00", "�")

"""
The envelope, the ways in, and what a mail server's numbers mean.

What every channel promises is in the channels' contract.
"""

from __future__ import annotations

import ssl
from email import message_from_bytes

import pytest
import trustme
from channel_targets import DELIVERY_ID, MailTarget, RudeMailServer, frozen, parcel

from service.channels.base import Receipt
from service.channels.email import Email
from service.errors import DeliveryError, SettingsError

SHORT = 0.4
SENDER = "Clipbell <clips@example.com>"
MAIL_TARGET = "you@example.com"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Signs the certificates of the mail servers here."""
    return trustme.CA()


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side, for localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def client_tls(authority: trustme.CA, check_hostname: bool = True) -> ssl.SSLContext:
    """A client's side that trusts the authority."""
    context = ssl.create_default_context()
    context.check_hostname = check_hostname
    authority.configure_trust(context)
    return context


def mailed(channel: Email) -> Receipt:
    """One mail sent."""
    return channel.send(parcel(MAIL_TARGET, frozen(channel)))


def test_envelope() -> None:
    """The headers of transport are there, and the Message-ID belongs to the delivery."""
    with MailTarget() as target:
        mailed(Email(target.url, SENDER))
    mail = message_from_bytes(target.bodies[0])

    assert SENDER == mail["From"]
    assert MAIL_TARGET == mail["To"]
    assert "Thu, 01 Jan 2026 12:00:00 +0000" == mail["Date"]
    assert mail["Message-ID"].startswith(f"<{DELIVERY_ID}.")
    assert mail["Message-ID"].endswith("@example.com>")
    assert DELIVERY_ID == mail["X-Entity-Ref-ID"]


def test_a_second_attempt_is_the_same_mail() -> None:
    """When the answer to the first got lost, programs can fold the second into it."""
    with MailTarget("451 later", "250 kept") as target:
        channel = Email(target.url, SENDER)
        with pytest.raises(DeliveryError):
            mailed(channel)
        mailed(channel)

    assert 1 == len({message_from_bytes(body)["Message-ID"] for body in target.bodies})


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("answer", "permanent"), [("550 no", True), ("451 later", False)])
def test_refused_at_any_step(step: str, answer: str, permanent: bool) -> None:
    """Sender, recipient or content: 5xx is final and 4xx is not."""
    with MailTarget(answer, at=step) as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(target.url, SENDER))

    assert (permanent, None) == (caught.value.permanent, caught.value.disable)
    assert int(answer[:3]) == caught.value.status


def test_login() -> None:
    """A user and a password with special characters get in."""
    with MailTarget(password="p@ss/word") as target:
        url = target.url.replace("://", "://clips%40example.com:p%40ss%2Fword@")
        receipt = mailed(Email(url, SENDER))

    assert 250 == receipt.status


def test_wrong_password_is_the_operators_matter() -> None:
    """It names the setting and not the password, and burns no subscription."""
    with MailTarget(password="right") as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(target.url.replace("://", "://clips:wrong@"), SENDER))

    assert (False, None, 535) == (
        caught.value.permanent,
        caught.value.disable,
        caught.value.status,
    )
    assert "CLIPBELL_SMTP_URL" in str(caught.value)
    assert "wrong" not in str(caught.value) + caught.value.response


def test_smtps(authority: trustme.CA) -> None:
    """TLS from the first byte, with a certificate that is checked."""
    with MailTarget(tls=server_tls(authority)) as target:
        url = f"smtps://localhost:{target.port}"
        receipt = mailed(Email(url, SENDER, tls=client_tls(authority)))
        with pytest.raises(DeliveryError, match="certificate"):
            mailed(Email(url, SENDER))

    assert 250 == receipt.status
    assert 1 == len(target.bodies)


def test_starttls(authority: trustme.CA) -> None:
    """Beyond this machine the conversation is encrypted before anything is said."""
    with MailTarget(tls=server_tls(authority), starttls=True) as target:
        # 127.1 is loopback to the socket, but no loopback address by its looks.
        url = f"smtp://127.1:{target.port}"
        receipt = mailed(Email(url, SENDER, tls=client_tls(authority, check_hostname=False)))

    assert 250 == receipt.status


def test_no_starttls_no_mail() -> None:
    """A server that offers none gets neither password nor mail."""
    with MailTarget(password="right") as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(f"smtp://clips:right@127.1:{target.port}", SENDER))

    assert "STARTTLS" in str(caught.value)
    assert [] == target.bodies


def test_a_rude_goodbye_is_no_failure() -> None:
    """Once the mail is taken, a connection that breaks must not send it again."""
    with RudeMailServer() as server:
        receipt = mailed(Email(server.url, SENDER))

    assert 250 == receipt.status


def test_silence_after_the_mail_is_transient() -> None:
    """It may have been taken: the next attempt says the same with the same Message-ID."""
    with MailTarget(None) as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(target.url, SENDER, SHORT))

    assert not caught.value.permanent
    assert 1 == len(target.bodies)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://host:port",
        "smtp://user@mail.example.com",
        "smtp://mail.example.com/path",
        "smtp://üser:word@mail.example.com",
    ],
)
def test_bad_urls_stop_the_start(url: str) -> None:
    """A setting that cannot work is told at once, with what it may be."""
    with pytest.raises(SettingsError, match=r"CLIPBELL_SMTP_URL must be smtp://.*smtps://"):
        Email(url, SENDER)


@pytest.mark.parametrize(
    "sender", ["", "Clipbell", "a@b.de, c@d.de", "ü@b.de", "x@y.de\r\nBcc: z@y.de"]
)
def test_bad_senders_stop_the_start(sender: str) -> None:
    """So is a sender that is none."""
    with pytest.raises(SettingsError, match="CLIPBELL_MAIL_FROM must be one address"):
        Email("smtp://127.0.0.1:25", sender)


def test_addresses_are_kept_in_ascii() -> None:
    """A domain in another script is kept as mail servers know it."""
    channel = Email("smtp://127.0.0.1:25", SENDER)

    assert "a@xn--mnchen-3ya.de" == channel.check_target("a@münchen.de")

"""
The envelope, the ways in, and what a mail server's numbers mean.

What every channel promises is in the channels' contract.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes

import pytest
import trustme
from support.channel_targets import (
    DELIVERY_ID,
    MailTarget,
    RudeMailServer,
    delivery_request,
    frozen,
)
from support.raw_servers import Handler, OverSockets, Server, Start

from service.channels.base import DeliveryResult
from service.channels.email import Email
from service.channels.smtp import MOST_MAILS, MailServer
from service.errors import DeliveryError, NextStep, SettingsError
from service.sandbox.sinks.pages import SinkServer

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


def mailed(channel: Email) -> DeliveryResult:
    """One mail sent, and the conversation ended."""
    with closing(channel):
        return channel.send(delivery_request(MAIL_TARGET, frozen(channel)))


@pytest.fixture
def sinks() -> Iterator[SinkServer]:
    """A mailbox of our own."""
    with SinkServer() as server:
        yield server


def refusal(sinks: SinkServer, *answers: str, login: str = "") -> DeliveryError:
    """What the channel raises when the mailbox answers so."""
    sinks.script("mail", *answers)
    with pytest.raises(DeliveryError) as caught:
        mailed(Email(sinks.smtp_url.replace("://", f"://{login}"), SENDER))
    return caught.value


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


def test_login() -> None:
    """A user and a password with special characters get in."""
    with MailTarget(password="p@ss/word") as target:
        url = target.url.replace("://", "://clips%40example.com:p%40ss%2Fword@")
        delivery_result = mailed(Email(url, SENDER))

    assert 250 == delivery_result.status


@pytest.mark.parametrize("reply", ["535 5.7.8 who are you", "534 weak", "538 no", "550 not you"])
def test_refused_login_pauses_the_channel(reply: str, sinks: SinkServer) -> None:
    """It is the operator's matter: all mail waits, and no delivery's schedule is used up."""
    raised = refusal(sinks, f"AUTH {reply}", *[f"AUTH {reply}"] * 2, login="clips:wrong@")

    assert (NextStep.PAUSE_CHANNEL, 900.0) == (raised.next_step, raised.wait_seconds)
    assert int(reply[:3]) == raised.status
    assert "CLIPBELL_SMTP_URL" in str(raised)
    assert "wrong" not in str(raised) + raised.response
    assert [] == sinks.received()


def test_login_that_cannot_be_looked_at_now_is_transient(sinks: SinkServer) -> None:
    """4xx at AUTH is the server's own trouble, and passes."""
    raised = refusal(sinks, *["AUTH 454 4.7.0 later"] * 3, login="clips:right@")

    assert (NextStep.RETRY, 454) == (raised.next_step, raised.status)


def test_a_server_that_wants_a_login_pauses_the_channel() -> None:
    """Without user and password nobody's mail gets in."""
    target = MailTarget("530 5.7.0 log in first", at="MAIL")
    with target, pytest.raises(DeliveryError) as caught:
        mailed(Email(target.url, SENDER))

    assert (900.0, NextStep.PAUSE_CHANNEL) == (caught.value.wait_seconds, caught.value.next_step)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("reply", "permanent"),
    [
        ("421 4.3.2 closing", False),
        ("450 4.2.1 busy", False),
        ("451 4.7.1 greylisted", False),
        ("452 4.2.2 full", False),
        ("550 5.1.1 no such user", True),
        ("552 5.2.3 too large", True),
        ("554 5.7.1 spam", True),
    ],
)
def test_refused_at_any_step(step: str, reply: str, permanent: bool, sinks: SinkServer) -> None:
    """Sender, recipient or content: 5xx is final, 4xx is not, and neither ends the subscription."""
    raised = refusal(sinks, f"{step} {reply}")

    expected = NextStep.GIVE_UP if permanent else NextStep.RETRY
    assert (expected, int(reply[:3])) == (raised.next_step, raised.status)
    assert reply[4:] in raised.response
    assert [] == sinks.received()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_dropped_at_any_step(step: str, sinks: SinkServer) -> None:
    """A connection that breaks is transient; a mail that may have been taken comes again as it."""
    raised = refusal(sinks, f"{step} drop")
    mailed(Email(sinks.smtp_url, SENDER))
    found = [received.mail["Message-ID"] for received in sinks.received()]

    assert (NextStep.RETRY, None) == (raised.next_step, raised.status)
    assert (2 if step == "DATA" else 1, 1) == (len(found), len(set(found)))


@pytest.mark.parametrize("reply", ["251 will forward", "252 will try", "200 fine", "299 kept"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_any_yes_is_a_yes(step: str, reply: str) -> None:
    """A client goes by the first digit: what was accepted in other words is not mailed twice."""
    with MailTarget(reply, at=step) as target:
        assert 250 == mailed(Email(target.url, SENDER)).status
        assert 1 == len(target.bodies)


def test_one_conversation_for_many_mails() -> None:
    """Mails in a row share a connection, its login included."""
    with MailTarget(password="right") as target:
        url = target.url.replace("://", "://clips:right@")
        with closing(Email(url, SENDER)) as channel:
            for _ in range(3):
                channel.send(delivery_request(MAIL_TARGET, frozen(channel)))

    assert (3, 1) == (len(target.bodies), target.connections)


def test_one_conversation_has_an_end() -> None:
    """After a hundred mails a new one begins."""
    with MailTarget() as target, closing(MailServer(target.url, SENDER)) as server:
        for _ in range(MOST_MAILS + 1):
            server.deliver(MAIL_TARGET, b"Subject: Hello\r\n\r\nOne more.\r\n", 5.0)

    assert (MOST_MAILS + 1, 2) == (len(target.bodies), target.connections)


def test_an_idle_conversation_is_not_taken_up_again() -> None:
    """After its time it counts as dead, without asking."""
    target = MailTarget()
    with target, closing(MailServer(target.url, SENDER, idle_seconds=0)) as server:
        for _ in range(2):
            server.deliver(MAIL_TARGET, b"Subject: Hello\r\n\r\nOne more.\r\n", 5.0)

    assert (2, 2) == (len(target.bodies), target.connections)


def test_a_dead_conversation_is_replaced(sinks: SinkServer) -> None:
    """One that the server has ended since costs no attempt."""
    with closing(Email(sinks.smtp_url, SENDER)) as channel:
        channel.send(delivery_request(MAIL_TARGET, frozen(channel)))
        sinks.script("mail", "RSET drop")
        channel.send(delivery_request(MAIL_TARGET, frozen(channel)))

    assert 2 == len(sinks.received())


def test_what_was_refused_ends_its_conversation() -> None:
    """After trouble of any kind the next mail begins again."""
    target = MailTarget("550 no", "250 kept")
    with target, closing(Email(target.url, SENDER)) as channel:
        with pytest.raises(DeliveryError):
            channel.send(delivery_request(MAIL_TARGET, frozen(channel)))
        channel.send(delivery_request(MAIL_TARGET, frozen(channel)))

    assert 2 == target.connections


def test_later_mails_stand_in_the_first_ones_thread() -> None:
    """The first receipt's reference is what the next mail about the job refers to."""
    with MailTarget() as target, closing(Email(target.url, SENDER)) as channel:
        first = channel.send(delivery_request(MAIL_TARGET, frozen(channel)))
        again = delivery_request(MAIL_TARGET, frozen(channel), reference=first.reference)
        second = channel.send(replace(again, delivery_id="dlv_2"))
    before, after = map(message_from_bytes, target.bodies)

    assert first.reference == before["Message-ID"] == after["References"] == after["In-Reply-To"]
    assert (None, None) == (before["References"], second.reference)
    assert f"References: {first.reference}\r\n".encode() in target.bodies[1]


def test_smtps(authority: trustme.CA) -> None:
    """TLS from the first byte, with a certificate that is checked."""
    with MailTarget(tls=server_tls(authority)) as target:
        url = f"smtps://localhost:{target.port}"
        delivery_result = mailed(Email(url, SENDER, tls=client_tls(authority)))
        with pytest.raises(DeliveryError, match="certificate"):
            mailed(Email(url, SENDER))

    assert 250 == delivery_result.status
    assert 1 == len(target.bodies)


def test_starttls(authority: trustme.CA) -> None:
    """Beyond this machine the conversation is encrypted before anything is said."""
    with MailTarget(tls=server_tls(authority), starttls=True) as target:
        # 127.1 is loopback to the socket, but no loopback address by its looks.
        url = f"smtp://127.1:{target.port}"
        delivery_result = mailed(
            Email(url, SENDER, tls=client_tls(authority, check_hostname=False))
        )

    assert 250 == delivery_result.status


def test_no_starttls_no_mail() -> None:
    """A server that offers none gets neither password nor mail."""
    with MailTarget(password="right") as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(f"smtp://clips:right@127.1:{target.port}", SENDER))

    assert "STARTTLS" in str(caught.value)
    assert (NextStep.PAUSE_CHANNEL, 900.0) == (caught.value.next_step, caught.value.wait_seconds)
    assert [] == target.bodies


def test_a_rude_goodbye_is_no_failure() -> None:
    """Once the mail is taken, a connection that breaks must not send it again."""
    with RudeMailServer() as server:
        delivery_result = mailed(Email(server.url, SENDER))

    assert 250 == delivery_result.status


def test_silence_after_the_mail_is_transient() -> None:
    """It may have been taken: the next attempt says the same with the same Message-ID."""
    with MailTarget(None) as target, pytest.raises(DeliveryError) as caught:
        mailed(Email(target.url, SENDER, SHORT))

    assert NextStep.RETRY is caught.value.next_step
    assert 1 == len(target.bodies)


def slow_greeting(server: Server, conn: socket.socket) -> None:
    """A byte now and then, as tarpits do."""
    while not server.stopped.wait(SHORT / 4):
        conn.sendall(b"2")


def endless_greeting(server: Server, conn: socket.socket) -> None:
    """A line at once, and always one more."""
    while not server.stopped.is_set():
        conn.sendall(b"220-and more\r\n" * 100)


def greets(reply: bytes, more: bytes = b"") -> Handler:
    """Greets so, and answers whatever comes with `more`."""

    def handle(server: Server, conn: socket.socket) -> None:
        conn.sendall(reply)
        while conn.recv(65536):
            conn.sendall(more)

    return handle


class TestOddServers(OverSockets):
    """Mail servers that no library plays."""

    @pytest.mark.parametrize("greeting", [slow_greeting, endless_greeting])
    def test_words_without_end(self, start: Start, greeting: Handler) -> None:
        """However slowly or long a server speaks, an attempt ends in its time."""
        server, began = start(greeting), time.monotonic()
        with pytest.raises(DeliveryError) as caught:
            mailed(Email(f"smtp://127.0.0.1:{server.port}", SENDER, SHORT))

        assert NextStep.RETRY is caught.value.next_step
        assert time.monotonic() - began < 5 * SHORT

    @pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n", b"\r\n", b"-1 hi\r\n"])
    def test_no_mail_server(self, start: Start, greeting: bytes) -> None:
        """What is no SMTP is called so, without a number that nobody has sent."""
        server = start(greets(greeting))
        with pytest.raises(DeliveryError, match="the answer is not SMTP") as caught:
            mailed(Email(f"smtp://127.0.0.1:{server.port}", SENDER))

        assert (NextStep.RETRY, None) == (caught.value.next_step, caught.value.status)

    @pytest.mark.parametrize("ways", [b"NTLM GSSAPI", b"XOAUTH2"])
    def test_no_way_to_log_in(self, start: Start, ways: bytes) -> None:
        """Where user and password are of no use, all mail waits for the operator."""
        server = start(greets(b"220 hi\r\n", b"250-x\r\n250 AUTH " + ways + b"\r\n"))
        with pytest.raises(DeliveryError, match="CLIPBELL_SMTP_URL") as caught:
            mailed(Email(f"smtp://u:p@127.0.0.1:{server.port}", SENDER))

        assert NextStep.PAUSE_CHANNEL is caught.value.next_step

    def test_reply_of_several_lines(self, start: Start) -> None:
        """The reason stands in one line."""
        server = start(greets(b"421-busy\r\n421 come back\r\n"))
        with pytest.raises(DeliveryError, match="answered 421: busy come back"):
            mailed(Email(f"smtp://127.0.0.1:{server.port}", SENDER))


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
    """A setting that cannot work is reported at once, with what it may be."""
    with pytest.raises(SettingsError, match=r"CLIPBELL_SMTP_URL must be smtp://.*smtps://"):
        Email(url, SENDER)


@pytest.mark.parametrize(
    "sender", ["", "Clipbell", "a@b.de, c@d.de", "ü@b.de", "x@y.de\r\nBcc: z@y.de"]
)
def test_bad_senders_stop_the_start(sender: str) -> None:
    """So is a sender that is none."""
    with pytest.raises(SettingsError, match="CLIPBELL_MAIL_FROM must be one address"):
        Email("smtp://127.0.0.1:25", sender)

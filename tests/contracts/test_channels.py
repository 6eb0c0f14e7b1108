"""
What every channel promises, against real servers on loopback.

A new channel gets a `Case` in `CASES` and passes all of it.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest
import trustme
from channel_targets import (
    DELIVERY_ID,
    NOW,
    SECRET,
    HttpTarget,
    MailTarget,
    RudeMailServer,
    error,
    jpeg,
    notice,
    parcel,
)

from service.channels.base import Channel, Receipt
from service.channels.email import Email
from service.channels.slack import Slack
from service.channels.webhook import Webhook
from service.errors import DeliveryError, InvalidInput, SettingsError
from service.model import EventType
from service.outbound import Answer, Outbound

SHORT = 0.4
SENDER = "Clipbell <clips@example.com>"
MAIL_TARGET = "you@example.com"


class Hurried(Outbound):
    """An outbound that gives every call little time."""

    def call(self, method: str, url: str, **more: Any) -> Answer:
        """The same, cut short."""
        more["seconds"] = min(more["seconds"], SHORT)
        return super().call(method, url, **more)


@dataclass(frozen=True)
class Case:
    """
    How to get one channel into each situation.

    The answers are what its server says to a send; `at` makes the channel that
    calls the given server, `bad_targets` come with a word of the way to mend them.
    """

    server: Callable[..., AbstractContextManager[Any]]
    channel: Callable[[Any, Outbound], Channel]
    where: Callable[[Any], str]
    good: Any
    transient: tuple[Any, ...]
    permanent: Any
    good_target: str
    bad_targets: tuple[tuple[str, str], ...]


def _mail_channel(target: MailTarget, outbound: Outbound) -> Channel:
    return Email(target.url, SENDER, SHORT if isinstance(outbound, Hurried) else 5.0)


BAD_URLS = (
    ("hooks.slack.com/services/T/B/X", "https://"),
    ("https://user:word@example.com/", "leave them out"),
    ("ftp://example.com/x", "https://"),
    ("http://10.0.0.1/x", "ALLOWED_NETWORKS"),
)
CASES = {
    "webhook": Case(
        server=HttpTarget,
        channel=lambda _, outbound: Webhook(outbound),
        where=lambda target: target.url,
        good=(204, ""),
        transient=((500, "oops"), (503, "later"), (302, "elsewhere"), (404, "not yet")),
        permanent=(410, "gone"),
        good_target="https://93.184.215.14/hook",
        bad_targets=BAD_URLS,
    ),
    "slack": Case(
        server=HttpTarget,
        channel=lambda _, outbound: Slack(outbound),
        where=lambda target: target.url,
        good=(200, "ok"),
        transient=((500, "rollup_error"), (503, "service_unavailable"), (302, ""), (200, "<html>")),
        permanent=(404, "no_service"),
        good_target="https://93.184.215.14/services/T/B/X",
        bad_targets=BAD_URLS,
    ),
    "email": Case(
        server=MailTarget,
        channel=_mail_channel,
        where=lambda _: MAIL_TARGET,
        good="250 kept",
        transient=("421 closing", "450 busy", "452 full", "535 5.7.8 who are you"),
        permanent="550 no such user",
        good_target=MAIL_TARGET,
        bad_targets=(
            ("you", "name@example.com"),
            ("you@localhost", "name@example.com"),
            ("you@example.com\r\nBcc: all@example.com", "name@example.com"),
            ("jürgen@example.com", "name@example.com"),
        ),
    ),
}
TRANSIENT = [(name, answer) for name, case in CASES.items() for answer in case.transient]
BAD_TARGETS = [(name, *pair) for name, case in CASES.items() for pair in case.bad_targets]


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each channel in turn."""
    return CASES[request.param]


def frozen(channel: Channel) -> bytes:
    """A body as the first attempt makes it."""
    asked = notice(poster=jpeg() if channel.carries_poster else None)
    return channel.render(asked, channel.formats[0])


def refusal(case: Case, outbound: Outbound, *answers: Any) -> DeliveryError:
    """What the channel raises when its server answers so."""
    with case.server(*answers) as target:
        channel = case.channel(target, outbound)
        with pytest.raises(DeliveryError) as caught:
            channel.send(parcel(case.where(target), frozen(channel)))
    return caught.value


class TestEveryChannel:
    """The promises of `channels.base.Channel`."""

    def test_good_send_gives_a_receipt(self, case: Case, outbound: Outbound) -> None:
        """What the other side took is receipted with its status, and arrived once."""
        with case.server(case.good) as target:
            channel = case.channel(target, outbound)
            receipt = channel.send(parcel(case.where(target), frozen(channel)))

        assert isinstance(receipt, Receipt)
        assert receipt.status in (200, 204, 250)
        assert 1 == len(target.bodies)

    def test_the_frozen_bytes_are_sent_each_time(self, case: Case, outbound: Outbound) -> None:
        """Hours later a resend carries the very bytes of the first attempt."""
        with case.server(case.good) as target:
            channel = case.channel(target, outbound)
            body = frozen(channel)
            first = parcel(case.where(target), body)
            channel.send(first)
            channel.send(replace(first, now=NOW + timedelta(hours=5)))

        assert [True, True] == [sent.endswith(body) for sent in target.bodies]

    @pytest.mark.parametrize(("name", "answer"), TRANSIENT)
    def test_passing_trouble_is_transient(self, name: str, answer: Any, outbound: Outbound) -> None:
        """A server in trouble stops neither the delivery nor the subscription."""
        raised = refusal(CASES[name], outbound, answer)

        assert (False, None) == (raised.permanent, raised.disable)
        assert raised.status == (answer[0] if isinstance(answer, tuple) else int(answer[:3]))

    def test_a_final_no_is_permanent(self, case: Case, outbound: Outbound) -> None:
        """What can never succeed is not tried again; the server's words are kept."""
        raised = refusal(case, outbound, case.permanent)

        assert raised.permanent
        assert raised.response

    def test_one_attempt_is_one_attempt(self, case: Case, outbound: Outbound) -> None:
        """A channel never tries again by itself: the schedule does."""
        with case.server(case.transient[0], case.good) as target:
            channel = case.channel(target, outbound)
            with pytest.raises(DeliveryError):
                channel.send(parcel(case.where(target), frozen(channel)))

        assert 1 == len(target.bodies)

    def test_a_hanging_endpoint_ends_in_time(self, case: Case) -> None:
        """Someone who never answers holds a seat for the deadline and no longer."""
        began = time.monotonic()
        hurried = Hurried(["127.0.0.0/8"])
        raised = refusal(case, hurried, None)
        hurried.close()

        assert not raised.permanent
        assert SHORT + 2 > time.monotonic() - began

    def test_nobody_there_is_transient(self, case: Case, outbound: Outbound) -> None:
        """A refused connection is tried again later."""
        with case.server(case.good) as target:
            channel, where = case.channel(target, outbound), case.where(target)
        with pytest.raises(DeliveryError) as caught:
            channel.send(parcel(where, frozen(channel)))

        assert (False, None) == (caught.value.permanent, caught.value.disable)

    @pytest.mark.parametrize(("name", "bad", "mend"), BAD_TARGETS)
    def test_bad_targets_are_refused_with_a_way_out(self, name: str, bad: str, mend: str) -> None:
        """A target that cannot work is refused when it is given, and says how to mend it."""
        channel = CASES[name].channel(_Nowhere, Outbound())
        with pytest.raises(InvalidInput) as caught:
            channel.check_target(bad)
        (fault,) = caught.value.faults

        assert "/target" == fault.pointer
        assert mend in fault.message

    def test_good_targets_pass(self, case: Case, outbound: Outbound) -> None:
        """What can work is kept as it was given."""
        channel = case.channel(_Nowhere, outbound)

        assert case.good_target == channel.check_target(case.good_target)

    @pytest.mark.parametrize("kind", list(EventType))
    def test_no_secret_in_a_body(self, case: Case, outbound: Outbound, kind: EventType) -> None:
        """Neither the signing secret nor the account's id stands in what is sent."""
        channel = case.channel(_Nowhere, outbound)
        asked = notice(kind, error=error("PROVIDER_ERROR", "it broke"))

        for format_ in channel.formats:
            body = channel.render(asked, format_)
            assert SECRET.encode() not in body
            assert b"acc_1" not in body

    def test_no_target_in_an_error(self, case: Case, outbound: Outbound) -> None:
        """Errors are shown and logged, and a webhook's URL is a secret."""
        with case.server(case.good) as target:
            channel, where = case.channel(target, outbound), case.where(target)
        with pytest.raises(DeliveryError) as caught:
            channel.send(parcel(where, frozen(channel)))

        assert "secret-part" not in str(caught.value)


class _Nowhere:
    """A server that is never called."""

    url = "smtp://127.0.0.1:9"


@pytest.mark.parametrize("name", ["webhook", "slack"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(name: str, status: int, outbound: Outbound) -> None:
    """Who says when to come back is obeyed by the schedule."""
    raised = refusal(CASES[name], outbound, (status, "", {"Retry-After": "30"}))

    assert (30.0, False) == (raised.retry_after, raised.permanent)


class TestSlack:
    """What Slack's own words mean, and the ladder."""

    @pytest.mark.parametrize(
        ("status", "word", "mend"),
        [
            (404, "no_service", "new incoming webhook"),
            (404, "no_team", "new incoming webhook"),
            (404, "channel_not_found", "new incoming webhook"),
            (403, "invalid_token", "new incoming webhook"),
            (403, "action_prohibited", "admin"),
            (403, "posting_to_general_channel_denied", "#general"),
            (410, "channel_is_archived", "unarchive"),
        ],
    )
    def test_a_dead_url_ends_the_subscription(
        self, status: int, word: str, mend: str, outbound: Outbound
    ) -> None:
        """The subscription is disabled with the way to mend it in words."""
        raised = refusal(CASES["slack"], outbound, (status, word))

        assert raised.permanent
        assert mend in (raised.disable or "")

    @pytest.mark.parametrize("word", ["invalid_payload", "no_text"])
    def test_a_payload_error_ends_the_delivery_only(self, word: str, outbound: Outbound) -> None:
        """A message that Slack cannot read is not sent again, and the URL stays good."""
        raised = refusal(CASES["slack"], outbound, (400, word))

        assert (True, None) == (raised.permanent, raised.disable)

    def test_the_ladder_ends_in_a_message(self, outbound: Outbound) -> None:
        """An image that Slack cannot fetch costs the image, then the blocks, never the news."""
        refused = (400, "invalid_blocks"), (400, "downloading image failed"), (200, "ok")
        channel = Slack(outbound)
        with HttpTarget(*refused) as target:
            channel.send(parcel(target.url, frozen(channel)))

        full, bare, text = (json.loads(body) for body in target.bodies)
        assert len(full["blocks"]) == len(bare["blocks"]) + 1
        assert "blocks" not in text
        assert full["text"] == text["text"]

    def test_the_ladder_has_an_end(self, outbound: Outbound) -> None:
        """Refused on every rung, the delivery is over after three POSTs."""
        channel = Slack(outbound)
        with HttpTarget((400, "invalid_blocks")) as target, pytest.raises(DeliveryError) as caught:
            channel.send(parcel(target.url, frozen(channel)))

        assert 3 == len(target.bodies)
        assert (True, None) == (caught.value.permanent, caught.value.disable)

    def test_the_ladder_shares_one_deadline(self, outbound: Outbound) -> None:
        """Trouble on a lower rung is transient, and all rungs together keep to the time."""
        began = time.monotonic()
        channel = Slack(outbound, SHORT)
        with HttpTarget((400, "invalid_blocks"), None) as target:
            with pytest.raises(DeliveryError) as caught:
                channel.send(parcel(target.url, frozen(channel)))
            spent = time.monotonic() - began

        assert not caught.value.permanent
        assert SHORT + 1 > spent


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


class TestEmail:
    """The envelope, the ways in, and what a mail server's numbers mean."""

    def test_envelope(self) -> None:
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

    def test_a_second_attempt_is_the_same_mail(self) -> None:
        """When the answer to the first got lost, programs can fold the second into it."""
        with MailTarget("451 later", "250 kept") as target:
            channel = Email(target.url, SENDER)
            with pytest.raises(DeliveryError):
                mailed(channel)
            mailed(channel)

        assert 1 == len({message_from_bytes(body)["Message-ID"] for body in target.bodies})

    @pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize(("answer", "permanent"), [("550 no", True), ("451 later", False)])
    def test_refused_at_any_step(self, step: str, answer: str, permanent: bool) -> None:
        """Sender, recipient or content: 5xx is final and 4xx is not."""
        with MailTarget(answer, at=step) as target, pytest.raises(DeliveryError) as caught:
            mailed(Email(target.url, SENDER))

        assert (permanent, None) == (caught.value.permanent, caught.value.disable)
        assert int(answer[:3]) == caught.value.status

    def test_login(self) -> None:
        """A user and a password with special characters get in."""
        with MailTarget(password="p@ss/word") as target:
            url = target.url.replace("://", "://clips%40example.com:p%40ss%2Fword@")
            receipt = mailed(Email(url, SENDER))

        assert 250 == receipt.status

    def test_wrong_password_is_the_operators_matter(self) -> None:
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

    def test_smtps(self, authority: trustme.CA) -> None:
        """TLS from the first byte, with a certificate that is checked."""
        with MailTarget(tls=server_tls(authority)) as target:
            url = f"smtps://localhost:{target.port}"
            receipt = mailed(Email(url, SENDER, tls=client_tls(authority)))
            with pytest.raises(DeliveryError, match="certificate"):
                mailed(Email(url, SENDER))

        assert 250 == receipt.status
        assert 1 == len(target.bodies)

    def test_starttls(self, authority: trustme.CA) -> None:
        """Beyond this machine the conversation is encrypted before anything is said."""
        with MailTarget(tls=server_tls(authority), starttls=True) as target:
            # 127.1 is loopback to the socket, but no loopback address by its looks.
            url = f"smtp://127.1:{target.port}"
            receipt = mailed(Email(url, SENDER, tls=client_tls(authority, check_hostname=False)))

        assert 250 == receipt.status

    def test_no_starttls_no_mail(self) -> None:
        """A server that offers none gets neither password nor mail."""
        with MailTarget(password="right") as target, pytest.raises(DeliveryError) as caught:
            mailed(Email(f"smtp://clips:right@127.1:{target.port}", SENDER))

        assert "STARTTLS" in str(caught.value)
        assert [] == target.bodies

    def test_a_rude_goodbye_is_no_failure(self) -> None:
        """Once the mail is taken, a connection that breaks must not send it again."""
        with RudeMailServer() as server:
            receipt = mailed(Email(server.url, SENDER))

        assert 250 == receipt.status

    def test_silence_after_the_mail_is_transient(self) -> None:
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
    def test_bad_urls_stop_the_start(self, url: str) -> None:
        """A setting that cannot work is told at once, with what it may be."""
        with pytest.raises(SettingsError, match=r"CLIPBELL_SMTP_URL must be smtp://.*smtps://"):
            Email(url, SENDER)

    @pytest.mark.parametrize(
        "sender", ["", "Clipbell", "a@b.de, c@d.de", "ü@b.de", "x@y.de\r\nBcc: z@y.de"]
    )
    def test_bad_senders_stop_the_start(self, sender: str) -> None:
        """So is a sender that is none."""
        with pytest.raises(SettingsError, match="CLIPBELL_MAIL_FROM must be one address"):
            Email("smtp://127.0.0.1:25", sender)

    def test_addresses_are_kept_in_ascii(self) -> None:
        """A domain in another script is kept as mail servers know it."""
        channel = Email("smtp://127.0.0.1:25", SENDER)

        assert "a@xn--mnchen-3ya.de" == channel.check_target("a@münchen.de")

"""
What every channel promises, against real servers on loopback.

A new channel gets a `Case` in `CASES` and passes all of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.channel_targets import (
    NOW,
    SECRET,
    HttpTarget,
    MailTarget,
    bot_says,
    delivery_request,
    error,
    frozen,
    notification,
)

from service import channels
from service.channels.apprise import Apprise
from service.channels.base import Channel, DeliveryResult
from service.channels.email import Email
from service.channels.slack import Slack
from service.channels.slack_bot import SlackBot
from service.channels.webhook import Webhook
from service.errors import DeliveryError, InvalidInput, NextStep
from service.model import EventType
from service.outbound.client import Outbound

SHORT = 0.4
SENDER = "Clipbell <clips@example.com>"
MAIL_TARGET = "you@example.com"


@dataclass(frozen=True)
class Case:
    """
    How to get one channel into each situation.

    The answers are what its server says to a send; `make` takes that server, the
    outbound and the seconds of an attempt; `bad_targets` come with a word of the way
    to fix them; `carries` says whether what was sent carries the frozen body.
    """

    server: Callable[..., AbstractContextManager[Any]]
    make: Callable[[Any, Outbound, float], Channel]
    where: Callable[[Any], str]
    good: Any
    transient: tuple[Any, ...]
    permanent: Any
    good_target: str
    bad_targets: tuple[tuple[str, str], ...]
    carries: Callable[[bytes, bytes], bool] = bytes.endswith

    @contextmanager
    def channel(self, target: Any, outbound: Outbound, seconds: float = 5.0) -> Iterator[Channel]:
        """The channel that calls the given server, until it is closed."""
        with closing(self.make(target, outbound, seconds)) as channel:
            yield channel


BAD_URLS = (
    ("hooks.slack.com/services/T/B/X", "https://"),
    ("https://user:word@example.com/", "leave them out"),
    ("ftp://example.com/x", "https://"),
    ("http://10.0.0.1/x", "ALLOWED_NETWORKS"),
)
CASES = {
    "webhook": Case(
        server=HttpTarget,
        make=lambda _, outbound, seconds: Webhook(outbound, seconds),
        where=lambda target: target.url,
        good=(204, ""),
        transient=((500, "oops"), (503, "later"), (302, "elsewhere"), (404, "not yet")),
        permanent=(410, "gone"),
        good_target="https://93.184.215.14/hook",
        bad_targets=BAD_URLS,
    ),
    "slack": Case(
        server=HttpTarget,
        make=lambda _, outbound, seconds: Slack(outbound, seconds),
        where=lambda target: target.url,
        good=(200, "ok"),
        transient=((500, "rollup_error"), (503, "service_unavailable"), (302, "")),
        permanent=(404, "no_service"),
        good_target="https://93.184.215.14/services/T/B/X",
        bad_targets=BAD_URLS,
    ),
    "email": Case(
        server=MailTarget,
        make=lambda target, _, seconds: Email(target.url, SENDER, seconds),
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
    "slack_bot": Case(
        server=HttpTarget,
        make=lambda target, outbound, seconds: SlackBot(
            outbound, "xoxb-secret-part", seconds, f"{target.url}/"
        ),
        where=lambda _: "C0123ABCD",
        good=bot_says(ok=True, channel="C0123ABCD", ts="1767268800.000100"),
        transient=(
            *((500, "oops"), (503, "service_unavailable"), (302, ""), (200, "<html>")),
            *(bot_says(error=word) for word in ("internal_error", "fatal_error", "never_heard")),
        ),
        permanent=bot_says(error="is_archived"),
        good_target="C0123ABCD",
        bad_targets=(
            ("clips", "#clips"),
            ("#My Clips", "#clips"),
            ("https://hooks.slack.com/services/T/B/X", "C0123ABCD"),
        ),
        carries=lambda sent, body: json.loads(body)["message"].items() <= json.loads(sent).items(),
    ),
    "apprise": Case(
        server=HttpTarget,
        make=lambda _, __, seconds: Apprise(seconds),
        # Its own retries are asked for, and not to be had.
        where=lambda target: target.url.replace("http", "json") + "?retry=2&wait=0.1",
        good=(200, "ok"),
        transient=((500, "oops"), (503, "later"), (302, "elsewhere"), (429, "slowly")),
        permanent=(404, "gone"),
        good_target="ntfy://clips",
        bad_targets=(
            ("clips", "ntfy://"),
            ("http://10.0.0.1/x", "ntfy://"),
            ("tgram://", "ntfy://"),
        ),
        carries=lambda sent, body: json.loads(sent)["message"] == json.loads(body)["body"],
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


def refusal(case: Case, outbound: Outbound, answer: Any, seconds: float = 5.0) -> DeliveryError:
    """What the channel raises when its server answers so."""
    with case.server(answer) as target, case.channel(target, outbound, seconds) as channel:
        return refused(channel, case.where(target))


def refused(channel: Channel, where: str) -> DeliveryError:
    """What the channel raises when it sends there."""
    with pytest.raises(DeliveryError) as caught:
        channel.send(delivery_request(where, frozen(channel)))
    return caught.value


class TestEveryChannel:
    """The promises of `channels.base.Channel`."""

    def test_good_send_gives_a_receipt(self, case: Case, outbound: Outbound) -> None:
        """What the other side took is receipted with its status, and arrived once."""
        with case.server(case.good) as target, case.channel(target, outbound) as channel:
            delivery_result = channel.send(delivery_request(case.where(target), frozen(channel)))

        assert isinstance(delivery_result, DeliveryResult)
        assert delivery_result.status in (200, 204, 250, None)
        assert 1 == len(target.bodies)

    def test_the_frozen_bytes_are_sent_each_time(self, case: Case, outbound: Outbound) -> None:
        """Hours later a resend carries the very bytes of the first attempt."""
        with case.server(case.good) as target, case.channel(target, outbound) as channel:
            body = frozen(channel)
            first = delivery_request(case.where(target), body)
            channel.send(first)
            channel.send(replace(first, now=NOW + timedelta(hours=5)))

        assert [True, True] == [case.carries(sent, body) for sent in target.bodies]

    def test_what_was_sent_and_answered_is_recorded(self, case: Case, outbound: Outbound) -> None:
        """A refusal is recorded with what was sent, without the target and the secrets."""
        with case.server(case.permanent) as target, case.channel(target, outbound) as channel:
            request = delivery_request(case.where(target), frozen(channel))
            with pytest.raises(DeliveryError) as caught:
                channel.send(request)
        exchange = request.exchanges[-1]
        shown = f"{exchange.url} {exchange.headers}"

        assert exchange.status in (caught.value.status, None) and exchange.answer
        for secret in (SECRET, "xoxb-secret-part"):
            assert secret not in shown
        assert case.where(target) not in exchange.url

    def test_what_reached_nobody_is_recorded(self, case: Case, outbound: Outbound) -> None:
        """Where nobody answers, what was to be sent is recorded without an answer."""
        with case.server(case.good) as target, case.channel(target, outbound) as channel:
            request = delivery_request(case.where(target), frozen(channel))
        with pytest.raises(DeliveryError):
            channel.send(request)

        assert request.exchanges[-1].status is None

    @pytest.mark.parametrize(("name", "answer"), TRANSIENT)
    def test_passing_trouble_is_transient(self, name: str, answer: Any, outbound: Outbound) -> None:
        """A server in trouble stops neither the delivery nor the subscription."""
        raised = refusal(CASES[name], outbound, answer)

        assert raised.next_step in (NextStep.RETRY, NextStep.PAUSE_CHANNEL)
        assert raised.status == (answer[0] if isinstance(answer, tuple) else int(answer[:3]))

    def test_a_final_no_is_permanent(self, case: Case, outbound: Outbound) -> None:
        """What can never succeed is not tried again; the server's words are kept."""
        raised = refusal(case, outbound, case.permanent)

        assert raised.next_step in (NextStep.GIVE_UP, NextStep.DISABLE)
        assert raised.response

    def test_one_attempt_is_one_attempt(self, case: Case, outbound: Outbound) -> None:
        """A channel never tries again by itself: the schedule does."""
        server = case.server(case.transient[0], case.good)
        with server as target, case.channel(target, outbound) as channel:
            refused(channel, case.where(target))

        assert 1 == len(target.bodies)

    def test_a_hanging_endpoint_ends_in_time(self, case: Case, outbound: Outbound) -> None:
        """Someone who never answers holds a slot for the deadline and no longer."""
        began = time.monotonic()
        raised = refusal(case, outbound, None, SHORT)

        assert NextStep.RETRY is raised.next_step
        assert SHORT + 2 > time.monotonic() - began

    def test_nobody_there_is_transient(self, case: Case, outbound: Outbound) -> None:
        """A refused connection is tried again later."""
        with case.server(case.good) as target, case.channel(target, outbound) as channel:
            where = case.where(target)
        raised = refused(channel, where)

        assert NextStep.RETRY is raised.next_step

    @pytest.mark.parametrize(("name", "bad", "fix"), BAD_TARGETS)
    def test_bad_targets_are_refused_with_a_way_out(self, name: str, bad: str, fix: str) -> None:
        """A target that cannot work is refused when it is given, and says how to fix it."""
        made = CASES[name].channel(_Nowhere, Outbound())
        with made as channel, pytest.raises(InvalidInput) as caught:
            channel.check_target(bad)
        (fault,) = caught.value.faults

        assert "/target" == fault.pointer
        assert fix in fault.message

    def test_good_targets_pass(self, case: Case, outbound: Outbound) -> None:
        """What can work is kept as it was given."""
        with case.channel(_Nowhere, outbound) as channel:
            assert case.good_target == channel.check_target(case.good_target)

    @pytest.mark.parametrize("kind", list(EventType))
    def test_no_secret_in_a_body(self, case: Case, outbound: Outbound, kind: EventType) -> None:
        """Neither the signing secret nor the account's id stands in what is sent."""
        asked = notification(kind, error=error("PROVIDER_ERROR", "it broke"))

        with case.channel(_Nowhere, outbound) as channel:
            for format_ in channel.formats:
                body = channel.render(asked, format_)
                assert SECRET.encode() not in body
                assert b"acc_1" not in body

    def test_no_target_in_an_error(self, case: Case, outbound: Outbound) -> None:
        """Errors are shown and logged, and a webhook's URL is a secret."""
        with case.server(case.good) as target, case.channel(target, outbound) as channel:
            where = case.where(target)
        nowhere = refused(channel, where)
        answered = refusal(case, outbound, case.permanent)

        for raised in (nowhere, answered):
            assert "secret-part" not in str(raised) + raised.response


class _Nowhere:
    """A server that is never called."""

    url = "smtp://127.0.0.1:9"


@pytest.mark.parametrize("name", ["webhook", "slack", "slack_bot"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(name: str, status: int, outbound: Outbound) -> None:
    """Who says when to come back is obeyed by the schedule."""
    raised = refusal(CASES[name], outbound, (status, "", {"Retry-After": "30"}))

    assert (30.0, NextStep.RETRY) == (raised.wait_seconds, raised.next_step)


@pytest.mark.parametrize("name", ["webhook", "slack"])
@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://new.example/hooks/secret-part", "https://new.example/…part"),
        ("//new.example/hooks/secret-part", "http://new.example/…part"),
        ("/hooks/secret-part/", "http://127.0.0.1:"),
        ("http://[secret", "no usable address"),
    ],
)
def test_redirect(name: str, location: str, place: str, outbound: Outbound) -> None:
    """Where a redirect leads is said, as far as it may be, and what to do about it."""
    raised = refusal(CASES[name], outbound, (308, "", {"Location": location}))

    assert f"308, a redirect to {place}" in raised.message
    assert "change the target" in raised.message
    assert "secret" not in raised.message


def test_slack_gets_one_message_a_second() -> None:
    """What Slack allows per channel is said where the deliveries read it; others go freely."""
    made = {name: case.make(_Nowhere, Outbound(), 1.0) for name, case in CASES.items()}

    paced = {name: channel.min_interval for name, channel in made.items() if channel.min_interval}
    assert {"slack": 1.0, "slack_bot": 1.0} == paced


def test_the_rack_is_whole() -> None:
    """Every channel there is stands in this suite."""
    folder = Path(str(channels.__file__)).parent
    tried = {type(case.make(_Nowhere, Outbound(), 1.0)).__module__ for case in CASES.values()}
    beside = {"base", "http", "email_address", "registry", "slack_api", "smtp"}

    assert {path.stem for path in folder.glob("[a-z]*.py")} - beside == {
        name.rpartition(".")[2] for name in tried
    }

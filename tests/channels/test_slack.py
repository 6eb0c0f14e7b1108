"""What Slack's own words mean, and the ladder; the rest is in the channels' contract."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from support.channel_targets import HttpTarget, delivery_request, frozen, notification
from support.raw_servers import Client, OverSockets, Start, always, answer, names

from service.channels.slack import Slack
from service.errors import DeliveryError, NextStep
from service.outbound.client import Outbound
from service.sandbox.sinks.pages import SinkServer

SHORT = 0.4


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


@pytest.fixture
def sinks() -> Iterator[SinkServer]:
    """A Slack of our own."""
    with SinkServer(smtp=False) as server:
        yield server


def refusal(sinks: SinkServer, outbound: Outbound, word: str) -> DeliveryError:
    """What the channel raises as long as Slack answers so."""
    channel = Slack(outbound, 2.0)
    sinks.script("slack", *[word] * 3)
    with pytest.raises(DeliveryError) as caught:
        channel.send(delivery_request(sinks.slack_url, channel.render(notification(), "card")))
    return caught.value


def test_too_fast_waits_as_long_as_slack_says(sinks: SinkServer, outbound: Outbound) -> None:
    """Slack's own time is kept, and neither the delivery nor the subscription ends."""
    raised = refusal(sinks, outbound, "rate_limited")

    assert (429, 30.0) == (raised.status, raised.wait_seconds)
    assert (NextStep.RETRY, 1) == (raised.next_step, len(sinks.received()))


@pytest.mark.parametrize(
    "word",
    [
        *("rollup_error", "internal_error", "fatal_error", "service_unavailable"),
        *("redirect", "reset", "slow"),
    ],
)
def test_slacks_own_trouble_passes(word: str, sinks: SinkServer, outbound: Outbound) -> None:
    """It is tried again by the schedule, and never within the attempt: it may have been posted."""
    raised = refusal(sinks, outbound, word)

    assert NextStep.RETRY is raised.next_step
    assert 1 == len(sinks.received())


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("no_service", "new incoming webhook"),
        ("no_team", "new incoming webhook"),
        ("channel_not_found", "new incoming webhook"),
        ("invalid_token", "new incoming webhook"),
        ("action_prohibited", "admin"),
        ("posting_to_general_channel_denied", "#general"),
        ("channel_is_archived", "unarchive"),
    ],
)
def test_a_dead_url_ends_the_subscription(
    word: str, fix: str, sinks: SinkServer, outbound: Outbound
) -> None:
    """The subscription is disabled with the way to fix it in words."""
    raised = refusal(sinks, outbound, word)

    assert NextStep.DISABLE is raised.next_step
    assert fix in raised.message
    assert 1 == len(sinks.received())


@pytest.mark.parametrize(
    "word",
    [
        *("invalid_payload", "invalid_blocks", "invalid_blocks_format", "no_text"),
        *("msg_too_long", "msg_blocks_too_long"),
    ],
)
def test_a_payload_error_comes_down_the_ladder(
    word: str, sinks: SinkServer, outbound: Outbound
) -> None:
    """Refused in every form, the delivery is over after three POSTs, and the URL stays good."""
    raised = refusal(sinks, outbound, word)

    assert (NextStep.GIVE_UP, 3) == (raised.next_step, len(sinks.received()))


def test_an_image_out_of_reach_costs_the_image_only(sinks: SinkServer, outbound: Outbound) -> None:
    """Slack fails the whole message for it; the second POST, without it, is the message."""
    channel = Slack(outbound)
    sinks.script("slack", "image")
    channel.send(delivery_request(sinks.slack_url, channel.render(notification(), "card")))
    first, second = (received.json["blocks"] for received in sinks.received())

    assert [block for block in first if block["type"] != "image"] == second
    assert len(second) == len(first) - 1


#: What services that take Slack's format say of a message that they have posted.
OTHERS = {
    "Mattermost": (200, "ok"),
    "Rocket.Chat": (200, '{"success":true}'),
    "Rocket.Chat, older": (200, '{"success":false}'),
    "Discord": (204, ""),
    "Zulip": (200, '{"result":"success","msg":""}'),
    "Google Chat": (200, '{"name":"spaces/x/messages/y","text":"Video ready"}'),
    "Teams": (202, "1"),
    "a script": (201, "<html>thanks</html>"),
    "says no with a 200": (200, '{"ok":false,"error":"invalid_token"}'),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_words_do_not_count(name: str, outbound: Outbound) -> None:
    """Who answers 2xx has the message, whatever the body says: it is never posted twice."""
    status, words = OTHERS[name]
    channel = Slack(outbound)
    with HttpTarget((status, words)) as target:
        delivery_result = channel.send(delivery_request(target.url, frozen(channel)))

    assert (status, words, 1) == (
        delivery_result.status,
        delivery_result.response,
        len(target.bodies),
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, '{"error":"no_service found for channel_not_found"}'),
        (403, '{"error":"invalid_token","error_description":"the session has expired"}'),
        (302, "invalid_token"),
    ],
)
def test_others_refusals_end_no_subscription(status: int, words: str, outbound: Outbound) -> None:
    """A word of Slack's in the sentence of a proxy says nothing of the webhook's URL."""
    channel = Slack(outbound)
    with HttpTarget((status, words)) as target, pytest.raises(DeliveryError) as caught:
        channel.send(delivery_request(target.url, frozen(channel)))

    assert NextStep.RETRY is caught.value.next_step


class TestSlacksOwnHost(OverSockets):
    """Slack itself is held to its words."""

    @pytest.mark.parametrize("host", ["hooks.slack.com", "slack.com", "hooks.slack-gov.com"])
    @pytest.mark.parametrize(
        ("words", "taken"),
        [
            ("ok", True),
            (" ok\n", True),
            ('{"ok":true}', True),
            ('{"ok":false,"error":"invalid_blocks"}', False),
            ('{"ok":"false"}', False),
            ("[]", False),
            ("<html>maintenance</html>", False),
            ("", False),
        ],
    )
    def test_words(self, start: Start, client: Client, host: str, words: str, taken: bool) -> None:
        """There only "ok" is a yes, in plain text or, for workflows, in JSON."""
        server = start(always(answer(words.encode())))
        channel = Slack(client(resolver=names("127.0.0.1")))
        sent = delivery_request(server.url("/services/T/B/X", host), frozen(channel))

        if taken:
            assert 200 == channel.send(sent).status
            return
        with pytest.raises(DeliveryError) as caught:
            channel.send(sent)
        assert (200, NextStep.RETRY) == (caught.value.status, caught.value.next_step)

    @pytest.mark.parametrize("host", ["slack.com.example", "notslack.com", "my-slack.com"])
    def test_look_alikes(self, start: Start, client: Client, host: str) -> None:
        """A name that only looks like Slack's is not Slack."""
        server = start(always(answer(b"{}")))
        channel = Slack(client(resolver=names("127.0.0.1")))

        assert 200 == channel.send(delivery_request(server.url("/x", host), frozen(channel))).status

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            ("404 Not Found", "no_active_hooks"),
            ("403 Forbidden", "team_disabled"),
            ("400 Bad Request", "user_not_found"),
        ],
    )
    def test_dead_in_text(self, start: Start, client: Client, status: str, word: str) -> None:
        """Each of Slack's words for a URL that will never work again says what to do."""
        server = start(always(answer(word.encode(), status)))
        channel = Slack(client(resolver=names("127.0.0.1")))
        sent = delivery_request(server.url("/services/T/B/X", "hooks.slack.com"), frozen(channel))
        with pytest.raises(DeliveryError) as caught:
            channel.send(sent)

        assert NextStep.DISABLE is caught.value.next_step
        assert "new incoming webhook" in caught.value.message

    def test_dead_in_json(self, start: Start, client: Client) -> None:
        """Slack's own word ends the subscription in JSON, too."""
        server = start(always(answer(b'{"ok":false,"error":"no_service"}', "404 Not Found")))
        channel = Slack(client(resolver=names("127.0.0.1")))

        with pytest.raises(DeliveryError, match="removed") as caught:
            channel.send(delivery_request(server.url("/x", "hooks.slack.com"), frozen(channel)))
        assert NextStep.DISABLE is caught.value.next_step


def test_the_ladder_ends_in_a_message(outbound: Outbound) -> None:
    """An image that Slack cannot fetch costs the image, then the blocks, never the news."""
    refused = (400, "invalid_blocks"), (400, "downloading image failed"), (200, "ok")
    channel = Slack(outbound)
    with HttpTarget(*refused) as target:
        channel.send(delivery_request(target.url, frozen(channel)))

    full, bare, text = (json.loads(body) for body in target.bodies)
    assert len(full["blocks"]) == len(bare["blocks"]) + 1
    assert "blocks" not in text
    assert full["text"] == text["text"]


def test_the_ladder_shares_one_deadline(outbound: Outbound) -> None:
    """Trouble with a plainer form is transient, and all forms together keep to the time."""
    began = time.monotonic()
    channel = Slack(outbound, SHORT)
    with HttpTarget((400, "invalid_blocks"), None) as target:
        with pytest.raises(DeliveryError) as caught:
            channel.send(delivery_request(target.url, frozen(channel)))
        spent = time.monotonic() - began

    assert NextStep.RETRY is caught.value.next_step
    assert SHORT + 1 > spent

"""What Slack's own words mean, and the ladder; the rest is in the channels' contract."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from channel_targets import HttpTarget, frozen, parcel

from service.channels.slack import Slack
from service.errors import DeliveryError
from service.outbound import Outbound

SHORT = 0.4


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


def refusal(outbound: Outbound, *answers: tuple[int, str]) -> DeliveryError:
    """What the channel raises when Slack answers so."""
    channel = Slack(outbound)
    with HttpTarget(*answers) as target, pytest.raises(DeliveryError) as caught:
        channel.send(parcel(target.url, frozen(channel)))
    return caught.value


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
    status: int, word: str, mend: str, outbound: Outbound
) -> None:
    """The subscription is disabled with the way to mend it in words."""
    raised = refusal(outbound, (status, word))

    assert raised.permanent
    assert mend in (raised.disable or "")


@pytest.mark.parametrize("word", ["invalid_payload", "no_text"])
def test_a_payload_error_ends_the_delivery_only(word: str, outbound: Outbound) -> None:
    """A message that Slack cannot read is not sent again, and the URL stays good."""
    raised = refusal(outbound, (400, word))

    assert (True, None) == (raised.permanent, raised.disable)


def test_the_ladder_ends_in_a_message(outbound: Outbound) -> None:
    """An image that Slack cannot fetch costs the image, then the blocks, never the news."""
    refused = (400, "invalid_blocks"), (400, "downloading image failed"), (200, "ok")
    channel = Slack(outbound)
    with HttpTarget(*refused) as target:
        channel.send(parcel(target.url, frozen(channel)))

    full, bare, text = (json.loads(body) for body in target.bodies)
    assert len(full["blocks"]) == len(bare["blocks"]) + 1
    assert "blocks" not in text
    assert full["text"] == text["text"]


def test_the_ladder_has_an_end(outbound: Outbound) -> None:
    """Refused on every rung, the delivery is over after three POSTs."""
    channel = Slack(outbound)
    with HttpTarget((400, "invalid_blocks")) as target, pytest.raises(DeliveryError) as caught:
        channel.send(parcel(target.url, frozen(channel)))

    assert 3 == len(target.bodies)
    assert (True, None) == (caught.value.permanent, caught.value.disable)


def test_the_ladder_shares_one_deadline(outbound: Outbound) -> None:
    """Trouble on a lower rung is transient, and all rungs together keep to the time."""
    began = time.monotonic()
    channel = Slack(outbound, SHORT)
    with HttpTarget((400, "invalid_blocks"), None) as target:
        with pytest.raises(DeliveryError) as caught:
            channel.send(parcel(target.url, frozen(channel)))
        spent = time.monotonic() - began

    assert not caught.value.permanent
    assert SHORT + 1 > spent

"""The bot: one card per job, kept up to date, and what Slack's API words mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from deliveries.test_attempts import now_is
from support.channel_targets import EVENT_ID, JOB_ID, delivery_request, error, notification
from support.harness import Harness
from support.raw_servers import Client, OverSockets, Start, always, answer

from service import store
from service.channels.base import DeliveryResult
from service.channels.slack_bot import SlackBot
from service.deliveries.attempts import attempt_delivery
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import subscribe
from service.errors import DeliveryError, NextStep
from service.events.record import record_event
from service.jobs.outcomes import fail_job
from service.model import DeliveryState, EventType
from service.model.error_codes import job_error
from service.outbound.client import Outbound
from service.sandbox.sinks.inbox import Received
from service.sandbox.sinks.pages import SinkServer
from service.sandbox.sinks.slack import BOT_TOKEN, posts

CHANNEL = "C0123ABCD"
SUBMITTED, SUCCEEDED = EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED


@pytest.fixture
def sinks() -> Iterator[SinkServer]:
    """A Slack of our own."""
    with SinkServer(smtp=False) as server:
        yield server


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """The way out, which may reach the sink."""
    with closing(Outbound(["127.0.0.0/8"])) as client:
        yield client


@pytest.fixture
def bot(sinks: SinkServer, outbound: Outbound) -> SlackBot:
    """The channel, as the app that the sink knows."""
    return SlackBot(outbound, BOT_TOKEN, 2.0, sinks.slack_api_url)


def report(
    bot: SlackBot, kind: EventType, reference: str | None = None, sequence: int = 1, **more: Any
) -> DeliveryResult:
    """One event reported to Slack, after what `reference` names."""
    body = bot.render(notification(kind, sequence=sequence, **more), "card")
    return bot.send(delivery_request(CHANNEL, body, reference=reference))


def methods(sinks: SinkServer) -> list[str]:
    """The calls that arrived, a reply in a thread as ``reply``."""
    return [
        "reply" if received.json.get("thread_ts") else received.headers["method"].split(".")[1]
        for received in sinks.received()
    ]


def header(received: Received) -> str:
    """The card's title."""
    found: str = received.json["blocks"][0]["text"]["text"]
    return found


def test_posted_at_the_submit_and_updated_at_the_end(sinks: SinkServer, bot: SlackBot) -> None:
    """The channel holds one card per job, and it tells how the job ended."""
    first = report(bot, SUBMITTED)
    report(bot, SUCCEEDED, first.reference, 2)
    (post,) = posts(sinks.received())

    assert ["postMessage", "update"] == methods(sinks)
    assert ["Video on its way", "Video ready"] == [header(r) for r in sinks.received()]
    assert (True, "Video ready", []) == (post.edited, header(post.shown), post.replies)


def test_the_end_without_a_beginning_is_posted(sinks: SinkServer, bot: SlackBot) -> None:
    """Where no card was posted the end has one of its own."""
    report(bot, SUCCEEDED)

    assert ["postMessage"] == methods(sinks)


@pytest.mark.parametrize(
    "kind",
    [
        EventType.JOB_FAILED,
        EventType.JOB_HELD,
        EventType.JOB_UNKNOWN,
        EventType.JOB_OVERDUE,
        EventType.VIDEO_EXPIRING,
    ],
)
def test_trouble_is_told_in_the_thread(kind: EventType, sinks: SinkServer, bot: SlackBot) -> None:
    """The card changes without a sound; the thread says it aloud, with the way to the job."""
    first = report(bot, SUBMITTED)
    report(bot, kind, first.reference, 2, error=error("PROVIDER_ERROR", "it broke"))
    (post,) = posts(sinks.received())
    (reply,) = post.replies

    assert ["postMessage", "update", "reply"] == methods(sinks)
    assert reply.json["text"].startswith(header(post.shown))
    assert reply.json["text"].endswith(post.shown.json["blocks"][-1]["elements"][0]["url"])


def test_late_news_does_not_turn_the_card_back(sinks: SinkServer, bot: SlackBot) -> None:
    """A submit that is delivered after the end is not reported at all."""
    end = report(bot, SUCCEEDED, sequence=2)
    late = report(bot, SUBMITTED, end.reference, 1)

    assert ["postMessage"] == methods(sinks)
    assert (None, "not sent: the card already shows a later event") == (
        late.reference,
        late.response,
    )


def test_a_resend_tells_the_same_again(sinks: SinkServer, bot: SlackBot) -> None:
    """Asked for by a person, the card is written once more."""
    end = report(bot, SUCCEEDED, sequence=2)
    report(bot, SUCCEEDED, end.reference, 2)

    assert ["postMessage", "update"] == methods(sinks)


@pytest.mark.parametrize("word", ["message_not_found", "cant_update_message"])
def test_a_card_that_was_deleted_is_posted_anew(
    word: str, sinks: SinkServer, bot: SlackBot
) -> None:
    """Somebody tidied the channel up: the news comes all the same, and is what is kept up."""
    first = report(bot, SUBMITTED)
    sinks.script("bot", word)
    second = report(bot, SUCCEEDED, first.reference, 2)

    assert ["postMessage", "update", "postMessage"] == methods(sinks)
    assert None is not second.reference != first.reference


def test_a_name_leads_to_the_channel(sinks: SinkServer, bot: SlackBot) -> None:
    """An update needs the id that Slack answered, whatever the target was."""
    first = bot.send(delivery_request("#clips", bot.render(notification(SUBMITTED), "card")))
    report(bot, SUCCEEDED, first.reference, 2)

    assert ["#clips", "C0CLIPSXXX"] == [r.json["channel"] for r in sinks.received()]


def test_the_message_can_be_traced(sinks: SinkServer, bot: SlackBot) -> None:
    """Its metadata names the event and the job, and nothing is unfurled."""
    report(bot, SUCCEEDED)
    (received,) = sinks.received()

    assert received.json["metadata"] == {
        "event_type": "job_succeeded",
        "event_payload": {"job_id": JOB_ID, "event_id": EVENT_ID},
    }
    assert (False, False) == (received.json["unfurl_links"], received.json["unfurl_media"])


def refusal(sinks: SinkServer, bot: SlackBot, word: str) -> DeliveryError:
    """What the channel raises as long as Slack answers so."""
    sinks.script("bot", *[word] * 3)
    with pytest.raises(DeliveryError) as caught:
        report(bot, SUCCEEDED)
    assert BOT_TOKEN not in str(caught.value) + caught.value.response
    return caught.value


def test_too_fast_waits_as_long_as_slack_says(sinks: SinkServer, bot: SlackBot) -> None:
    """Slack's own time is kept, the library's own retries are off."""
    raised = refusal(sinks, bot, "ratelimited")

    assert (429, 30.0, NextStep.RETRY) == (raised.status, raised.wait_seconds, raised.next_step)
    assert 1 == len(sinks.received())


@pytest.mark.parametrize(
    "word",
    ["internal_error", "fatal_error", "service_unavailable", "redirect", "reset", "slow"],
)
def test_slacks_own_trouble_passes(word: str, sinks: SinkServer, bot: SlackBot) -> None:
    """It is tried again by the schedule, and never within the attempt."""
    raised = refusal(sinks, bot, word)

    assert NextStep.RETRY is raised.next_step
    assert 1 == len(sinks.received())


@pytest.mark.parametrize(
    "word",
    ["invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope"],
)
def test_a_bad_token_pauses_the_channel(word: str, sinks: SinkServer, bot: SlackBot) -> None:
    """No subscription is to blame: all wait for the operator, who is shown what to do."""
    raised = refusal(sinks, bot, word)
    fix = "chat:write" if word == "missing_scope" else "CLIPBELL_SLACK_BOT_TOKEN"

    assert (NextStep.PAUSE_CHANNEL, 900.0) == (raised.next_step, raised.wait_seconds)
    assert fix in str(raised)
    assert word in raised.response


class TestOverSockets(OverSockets):
    """Words that the sink has no need to know, as Slack answers them: with 200."""

    def refusal(self, start: Start, client: Client, word: str, *headers: str) -> DeliveryError:
        """What the channel raises for that word."""
        body = json.dumps({"ok": False, "error": word}).encode()
        server = start(always(answer(body, "200 OK", *headers)))
        with pytest.raises(DeliveryError) as caught:
            report(SlackBot(client(), BOT_TOKEN, 2.0, server.url("/api/")), SUCCEEDED)
        return caught.value

    @pytest.mark.parametrize(("headers", "wait"), [(["Retry-After: 30"], 30.0), ([], None)])
    def test_too_fast(
        self, start: Start, client: Client, headers: list[str], wait: float | None
    ) -> None:
        """Slack's own time is kept under that status, too."""
        raised = self.refusal(start, client, "ratelimited", *headers)

        assert (NextStep.RETRY, wait) == (raised.next_step, raised.wait_seconds)

    @pytest.mark.parametrize(
        "word", ["access_denied", "team_access_not_granted", "ekm_access_denied"]
    )
    def test_the_app_is_shut_out(self, start: Start, client: Client, word: str) -> None:
        """All wait for the operator."""
        assert NextStep.PAUSE_CHANNEL is self.refusal(start, client, word).next_step

    @pytest.mark.parametrize(
        "word",
        [
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "messages_tab_disabled",
            "cannot_dm_bot",
        ],
    )
    def test_the_target_takes_none(self, start: Start, client: Client, word: str) -> None:
        """The subscription is disabled, with a sentence instead of Slack's word."""
        raised = self.refusal(start, client, word)

        assert NextStep.DISABLE is raised.next_step
        assert word not in raised.message

    def test_other_words_wait_for_nothing(self, start: Start, client: Client) -> None:
        """A `Retry-After` beside another word under 200 is none of ours."""
        raised = self.refusal(start, client, "internal_error", "Retry-After: 30")

        assert (NextStep.RETRY, None) == (raised.next_step, raised.wait_seconds)


def test_a_wrong_token_is_found_out(sinks: SinkServer, outbound: Outbound) -> None:
    """The sink knows its own app's token and no other, as Slack does."""
    stranger = SlackBot(outbound, "xoxb-stranger", 2.0, sinks.slack_api_url)
    with pytest.raises(DeliveryError, match="does not know the token"):
        report(stranger, SUCCEEDED)


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("not_in_channel", "/invite"),
        ("channel_not_found", "/invite"),
        ("is_archived", "unarchive"),
        ("restricted_action", "admin"),
    ],
)
def test_a_closed_channel_ends_the_subscription(
    word: str, fix: str, sinks: SinkServer, bot: SlackBot
) -> None:
    """The subscription is disabled with the way to fix it in words."""
    raised = refusal(sinks, bot, word)

    assert NextStep.DISABLE is raised.next_step
    assert fix in raised.message


@pytest.mark.parametrize(
    "word",
    ["invalid_blocks", "invalid_blocks_format", "no_text", "msg_too_long", "msg_blocks_too_long"],
)
def test_a_payload_error_comes_down_the_ladder(word: str, sinks: SinkServer, bot: SlackBot) -> None:
    """Full, without image, text only; then the delivery is over and the subscription stays."""
    raised = refusal(sinks, bot, word)
    full, bare, text = (received.json for received in sinks.received())

    assert NextStep.GIVE_UP is raised.next_step
    assert ["image" in str(message.get("blocks")) for message in (full, bare)] == [True, False]
    assert "blocks" not in text


def test_an_image_out_of_reach_costs_the_image_only(sinks: SinkServer, bot: SlackBot) -> None:
    """An update that Slack refuses for its image is made without it."""
    first = report(bot, SUBMITTED)
    sinks.script("bot", "image")
    report(bot, SUCCEEDED, first.reference, 2)

    assert ["postMessage", "update", "update"] == methods(sinks)
    assert "image" not in str(sinks.received()[-1].json["blocks"])


def test_an_update_by_text_takes_the_old_blocks_away(sinks: SinkServer, bot: SlackBot) -> None:
    """Otherwise the card would go on saying that the video is on its way."""
    first = report(bot, SUBMITTED)
    sinks.script("bot", "invalid_blocks", "invalid_blocks")
    report(bot, SUCCEEDED, first.reference, 2)

    assert [] == sinks.received()[-1].json["blocks"]


def test_thread_is_reported_again_after_trouble(sinks: SinkServer, bot: SlackBot) -> None:
    """When the reply is refused the attempt has failed, and the next one makes both calls."""
    first = report(bot, SUBMITTED)
    sinks.script("bot", "ok", "internal_error")
    with pytest.raises(DeliveryError):
        report(bot, EventType.JOB_FAILED, first.reference, 2)
    report(bot, EventType.JOB_FAILED, first.reference, 2)

    assert ["postMessage", *["update", "reply"] * 2] == methods(sinks)


def deliver(harness: Harness, bot: SlackBot) -> None:
    """All that is due goes out, at Slack's own pace."""
    post = replace(harness.wiring.notifications, channels={"slack_bot": bot})
    for _ in range(3):
        while attempt_delivery(harness.db, post, harness.clock):
            pass
        harness.clock.advance(2)


def test_the_whole_walk_keeps_one_card(harness: Harness, sinks: SinkServer, bot: SlackBot) -> None:
    """From the rows: what was posted at the submit is found again at the end, per job."""
    spec = parse_subscription({"slack_bot": bot}, f"slack_bot:{CHANNEL}", "")
    with harness.db.write() as tx:
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    jobs = [harness.new_job(), harness.new_job()]
    for job in jobs:
        with harness.db.write() as tx:
            record_event(tx, job, SUBMITTED, harness.clock())
        deliver(harness, bot)
    with harness.db.write() as tx:
        fail_job(tx, jobs[0], job_error("OPERATOR", "ended"), "operator", harness.clock())
        deliveries = store.deliveries.of_job(tx, jobs[0].id)
    deliver(harness, bot)

    assert [DeliveryState.DELIVERED] * 2 == [now_is(harness, d).state for d in deliveries]
    assert ["postMessage", "postMessage", "update", "reply"] == methods(sinks)
    ended, waiting = posts(sinks.received())
    assert ["Video failed", "Video on its way"] == [header(ended.shown), header(waiting.shown)]

"""The Slack card: what it tells of each event, and that Slack would take it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.channel_targets import JOB_ID, LINK, PUBLIC_URL, VIDEO, error, notification

from service.messages.slack import card, escape, fallback_messages
from service.model import EventType
from service.sandbox.sinks.slack_rules import check_message

EVIL = 'Ein *Fuchs* <!channel> <@U1> & "x"\n\x00\x1b[31m' + "ü" * 3000
EXPECTED = (
    (EventType.JOB_SUBMITTED, "Video on its way"),
    (EventType.JOB_SUCCEEDED, "Video ready"),
    (EventType.JOB_FAILED, "Video failed"),
    (EventType.JOB_HELD, "Video on hold"),
    (EventType.JOB_UNKNOWN, "Video needs attention"),
    (EventType.JOB_CANCELED, "Video canceled"),
    (EventType.JOB_OVERDUE, "Video overdue"),
    (EventType.VIDEO_EXPIRING, "Video link expires soon"),
)


def blocks(card_: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The blocks of one kind."""
    return [block for block in card_["blocks"] if block["type"] == kind]


def links(card_: dict[str, Any]) -> dict[str, str]:
    """The buttons' labels with their URLs."""
    (actions,) = blocks(card_, "actions")
    return {button["text"]["text"]: button["url"] for button in actions["elements"]}


def plain(text: str) -> dict[str, Any]:
    """A text object."""
    return {"type": "plain_text", "text": text}


def button(**changes: Any) -> dict[str, Any]:
    """A button."""
    return {"type": "button", "text": plain("Watch"), "action_id": "watch"} | changes


def actions(**changes: Any) -> dict[str, Any]:
    """A block with one button."""
    return {"type": "actions", "elements": [button(**changes)]}


def picture(url: str) -> dict[str, Any]:
    """A block with a picture."""
    return {"type": "image", "image_url": url, "alt_text": "A fox"}


@pytest.mark.parametrize(("kind", "title"), EXPECTED)
def test_every_event_has_its_title(kind: EventType, title: str) -> None:
    """Header and notification say what happened, whichever event it is."""
    made = card(notification(kind))
    (header,) = blocks(made, "header")

    assert title == header["text"]["text"]
    assert made["text"].startswith(f"{title}: A red fox")


@pytest.mark.parametrize("kind", list(EventType))
@pytest.mark.parametrize("prompt", ["A fox", EVIL, "", None])
def test_slack_takes_every_card(kind: EventType, prompt: str | None) -> None:
    """Whatever the event and the prompt, every form keeps Slack's limits and stays small."""
    trouble = error("PROVIDER_ERROR", EVIL)

    for fallback in fallback_messages(card(notification(kind, prompt=prompt, error=trouble))):
        assert [] == check_message(fallback)
        assert 10_000 > len(json.dumps(fallback, ensure_ascii=False))


def test_good_news_leads_to_the_video() -> None:
    """Watch stands first and is the primary one; the poster is shown with words for it."""
    made = card(notification())
    (image,) = blocks(made, "image")
    (actions,) = blocks(made, "actions")

    assert links(made) == {
        "Watch": LINK,
        "Download": f"{LINK}?download=1",
        "Open job": f"{PUBLIC_URL}/jobs/{JOB_ID}",
    }
    assert ["primary", None, None] == [button.get("style") for button in actions["elements"]]
    assert f"{LINK}/poster.jpg" == image["image_url"]
    assert "A frame of the video: A red fox runs through fresh snow" == image["alt_text"]


def test_facts_stand_in_the_context() -> None:
    """Model, length, size, time, cost and job id can be read at a glance."""
    (context,) = blocks(card(notification(cost=0.44)), "context")

    expected = ["Kling 2.5 Turbo · 5 s · 1280 × 720 · made in 1 min 12 s · $0.44", JOB_ID]
    assert expected == [element["text"] for element in context["elements"]]


def test_failure_says_why_and_what_to_do() -> None:
    """The vendor's words, our hint, our code, and a way to the job; no video is promised."""
    made = card(
        notification(EventType.JOB_FAILED, error=error("IMAGE_TOO_LARGE", "image is 12 MB"))
    )
    text = json.dumps(made)

    assert "Image is 12 MB.\\nMake the image smaller than 10 MB." in text
    assert "IMAGE_TOO_LARGE" in text
    assert ["Open job"] == list(links(made))


NEXT_STEPS = (
    (EventType.JOB_FAILED, None, "Open the job to see what happened."),
    (EventType.JOB_HELD, error("INSUFFICIENT_CREDITS", "no credits"), "Top up the provider's"),
    (EventType.JOB_HELD, None, "Open the job to see what it waits for."),
    (EventType.JOB_UNKNOWN, None, "then resolve the job"),
    (EventType.JOB_OVERDUE, None, "There is nothing to do yet"),
    (EventType.VIDEO_EXPIRING, None, "Download it now to keep it"),
)


@pytest.mark.parametrize(("kind", "trouble", "expected"), NEXT_STEPS)
def test_every_trouble_has_its_next_step(
    kind: EventType, trouble: dict[str, Any] | None, expected: str
) -> None:
    """Failed, held, unknown, overdue or expiring: card and notification say what to do now."""
    made = card(notification(kind, error=trouble))
    (_, reason) = blocks(made, "section")

    assert expected in reason["text"]["text"]
    assert expected in made["text"]


def test_expiring_says_when_and_still_leads_to_the_video() -> None:
    """The day on which the link ends, and the video while it is there."""
    made = card(notification(EventType.VIDEO_EXPIRING))

    assert "the provider's link may end on 2 Jan 2026, 12:00 UTC." in json.dumps(made)
    assert ["Watch", "Download", "Open job"] == list(links(made))


def test_refused_content_is_not_repeated() -> None:
    """What a provider's filter refused is not posted into a channel, in no field."""
    refusal = error("CONTENT_VIOLATION", "refused: something awful")
    made = card(notification(EventType.JOB_FAILED, prompt="something awful", error=refusal))

    assert "awful" not in json.dumps(made)
    assert made["text"].startswith("Video failed\nThe provider's filter refused it.")


@pytest.mark.parametrize(
    "public_url",
    [
        "http://clips.example.com",
        "https://localhost:8000",
        "https://127.0.0.1",
        "https://10.1.2.3",
        "https://[::1]",
        "https://clips.local",
        "https://clips",
    ],
)
def test_no_image_that_slack_cannot_fetch(public_url: str) -> None:
    """One image out of reach would cost the whole message, so there is none."""
    made = card(notification(public_url=public_url, link=f"{public_url}/v/token"))

    assert [] == blocks(made, "image")
    assert f"{public_url}/v/token" == links(made)["Watch"]


@pytest.mark.parametrize("public_url", ["http://127.0.0.1:8000", "https://127.0.0.1"])
def test_an_image_for_a_slack_in_a_near_network(public_url: str) -> None:
    """A Slack-like server in a network that the operator allows is given the picture."""
    link = f"{public_url}/v/token"
    made = card(notification(public_url=public_url, link=link, near=("127.0.0.0/8",)))
    [image] = blocks(made, "image")

    assert f"{link}/poster.jpg" == image["image_url"]
    assert [] == check_message(made)


def test_no_image_without_a_poster() -> None:
    """A video without a poster has a card without one."""
    assert [] == blocks(card(notification(video=replace(VIDEO, poster_file=None))), "image")


def test_ladder_goes_down_to_text() -> None:
    """Full, then without the image, then words with the link; each still switches unfurling off."""
    full, bare, text = fallback_messages(card(notification()))

    assert ("image" in {block["type"] for block in full["blocks"]}) is True
    assert blocks(full, "actions") == blocks(bare, "actions")
    assert [] == blocks(bare, "image")
    assert {"text", "unfurl_links", "unfurl_media"} == set(text)
    assert text["text"].endswith(LINK)
    assert {False} == {
        fallback["unfurl_links"] or fallback["unfurl_media"] for fallback in (full, bare, text)
    }


def test_no_fallback_comes_twice() -> None:
    """Without an image there is nothing to leave out first."""
    assert 2 == len(fallback_messages(card(notification(EventType.JOB_HELD))))


def test_notification_cannot_call_the_channel() -> None:
    """A prompt's <!channel> arrives as letters."""
    text = card(notification(prompt="<!channel> & <@U1>"))["text"]

    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in text
    assert "<" not in text
    assert "&amp;lt;" == escape("&lt;")


@pytest.mark.parametrize(
    ("at", "change"),
    [
        ("/text", {"text": ""}),
        ("/blocks", {"blocks": [{"type": "divider"}] * 51}),
        ("/blocks/0/type", {"blocks": [{"type": "marquee"}]}),
        ("/blocks/0/type", {"blocks": [{"type": []}]}),
        ("/blocks/0/text/type", {"blocks": [{"type": "header", "text": {"type": "mrkdwn"}}]}),
        ("/blocks", {"blocks": [{"type": "divider", "block_id": "1"}] * 2}),
        ("/blocks/0/elements", {"blocks": [{"type": "actions", "elements": []}]}),
        ("/blocks/0/text/text", {"blocks": [{"type": "header", "text": plain("x" * 151)}]}),
        ("/blocks/0/text/text", {"blocks": [{"type": "section", "text": plain("x" * 3001)}]}),
        ("/blocks/0/text/text", {"blocks": [{"type": "section", "text": plain("")}]}),
        (
            "/blocks/0/text",
            {"blocks": [{"type": "section", "text": plain("x") | {"color": "red"}}]},
        ),
        ("/blocks/0/text", {"blocks": [{"type": "section"}]}),
        ("/blocks/0/elements/0/text/text", {"blocks": [actions(text=plain("x" * 76))]}),
        ("/blocks/0/elements/0/style", {"blocks": [actions(style="green")]}),
        ("/blocks/0/elements/0/url", {"blocks": [actions(url="javascript:alert(1)")]}),
        ("/blocks/0/elements/0/url", {"blocks": [actions(url="https://x/" + "x" * 3000)]}),
        ("/blocks/0/elements", {"blocks": [{"type": "actions", "elements": [button()] * 2}]}),
        ("/blocks/0/elements", {"blocks": [{"type": "context", "elements": [plain("x")] * 11}]}),
        ("/blocks/0/alt_text", {"blocks": [picture("https://example.com/x") | {"alt_text": ""}]}),
        ("/blocks/0/image_url", {"blocks": [picture("http://example.com/x")]}),
        ("/blocks/0/image_url", {"blocks": [picture("https://10.0.0.1/x")]}),
        ("", {"colour": "red"}),
    ],
)
def test_the_checker_can_refuse(at: str, change: dict[str, Any]) -> None:
    """The sink's own rules find each kind of breach, and name its place."""
    faults = check_message(card(notification()) | change)

    assert at in [fault.pointer for fault in faults]


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("no_text", {"text": ""}),
        ("msg_too_long", {"text": "x" * 4001}),
        ("invalid_blocks_format", {"blocks": "header"}),
        ("invalid_blocks", {"blocks": [{"type": "header", "text": plain("x" * 151)}]}),
        ("msg_blocks_too_long", {"blocks": [{"type": "section", "text": plain("x" * 2900)}] * 5}),
    ],
)
def test_the_checker_has_slacks_words(word: str, change: dict[str, Any]) -> None:
    """Each kind of breach gets the word that Slack has for it."""
    assert word in [fault.code for fault in check_message(card(notification()) | change)]

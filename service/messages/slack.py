"""
The Slack card about an event.

Pure functions of a notification. Users' text is only in Slack's
``plain_text`` objects, which need no escaping and have no
markup; the only mrkdwn text, the notification's, is escaped.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from service.messages.content import MessageContent, cut, describe
from service.messages.payloads import Notification
from service.outbound.addresses import is_allowed, parse_address, parse_networks

# Slack allows 150 in a header and 3000 in a section ("Block Kit: blocks"), and in practice
# about 13,000 in a whole message; with these cuts a card stays far below all three.
HEADER_LENGTH = 150
PROMPT_LENGTH = 300
REASON_LENGTH = 1000
URL_LENGTH = 3000


def card(notification: Notification) -> dict[str, Any]:
    """The whole Slack message: `text` for the notification, and `blocks`."""
    content = describe(notification)
    facts = [f"made in {v}" if name == "Made in" else v for name, v in content.facts]
    lines = [" · ".join(facts[:-1]), " · ".join(filter(None, [facts[-1], content.code]))]
    buttons = [
        {"type": "button", "text": _plain_text(label), "url": url, "action_id": label}
        | ({"style": "primary"} if label == "Watch" else {})
        for label, url in content.links
        if len(url) <= URL_LENGTH
    ]
    blocks = [
        {"type": "header", "text": _plain_text(cut(content.title, HEADER_LENGTH))},
        _section(cut(content.prompt, PROMPT_LENGTH)),
        _section(cut(f"{content.reason}\n{content.hint}".strip(), REASON_LENGTH)),
        _image(notification, content),
        {"type": "context", "elements": [_plain_text(cut(line, 300)) for line in lines if line]},
        {"type": "actions", "elements": buttons},
    ]
    why = cut(f"{content.reason} {content.hint}".strip(), PROMPT_LENGTH)
    return {
        "text": "\n".join(escape(t) for t in (content.headline, why, content.target) if t),
        "blocks": [block for block in blocks if block],
        # Otherwise Slack would fetch the signed link and show the video twice.
        "unfurl_links": False,
        "unfurl_media": False,
    }


def fallback_messages(card: dict[str, Any]) -> list[dict[str, Any]]:
    """
    The card and its fallbacks, if Slack refuses it: without image, then only text.

    Slack refuses a whole message for one image that it cannot fetch.
    """
    if "blocks" not in card:
        return [card]
    blocks = [block for block in card["blocks"] if block["type"] != "image"]
    bare = {key: value for key, value in card.items() if key != "blocks"}
    fallbacks = [card, card | {"blocks": blocks}, bare]
    return [
        fallback for number, fallback in enumerate(fallbacks) if fallback not in fallbacks[:number]
    ]


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain_text(text)} if text else {}


def _image(notification: Notification, content: MessageContent) -> dict[str, Any]:
    """The poster, if Slack's own servers, or a Slack-like one in a near network, can fetch it."""
    has_poster = notification.video is not None and notification.video.poster_file
    url = f"{content.watch}/poster.jpg"
    if not content.watch or not has_poster or len(url) > URL_LENGTH:
        return {}
    parts = urlsplit(url)
    host, public = (parts.hostname or "").rstrip("."), parts.scheme == "https"
    try:
        address = parse_address(host)
    except ValueError:
        private = ("localhost", "local", "internal")
        fetched = public and "." in host and host.rpartition(".")[2] not in private
    else:
        allowed = is_allowed(address, parse_networks(notification.near))
        fetched = allowed and (public or not is_allowed(address, ()))
    if not fetched:
        return {}
    alt = f"A frame of the video: {content.prompt}" if content.prompt else "A frame of the video"
    return {"type": "image", "image_url": url, "alt_text": cut(alt, PROMPT_LENGTH)}


def escape(text: str) -> str:
    """Escape the three special characters of mrkdwn ("Formatting text for app surfaces")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

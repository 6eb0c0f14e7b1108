"""
Slack's incoming webhooks, and those of services that take its format: one card per event.

Mattermost, Discord, Rocket.Chat, Zulip and others have texts of their own, so their
status decides. Slack's own host must answer with Slack's texts, which are listed on its pages
"Sending messages using incoming webhooks" and "Rate limits".
"""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

from service.channels.base import SEND_SECONDS, Channel, DeliveryRequest, DeliveryResult
from service.channels.http import check_url, post_json, retry_after, shown, status_of
from service.errors import DeliveryError, NextStep
from service.messages.payloads import Notification
from service.messages.slack import card, fallback_messages
from service.outbound.client import Outbound, Response

_NEW_URL = "make a new incoming webhook in Slack and subscribe with its URL"
#: Slack's own URLs: incoming webhooks, and triggers of workflows, which answer in JSON.
_SLACK_HOSTS = ("slack.com", "slack-gov.com")
#: Slack's errors for a URL that will never work again, each with the reason and the fix.
_DEAD = {
    "no_service": f"Slack has removed or switched off this webhook; {_NEW_URL}",
    "no_active_hooks": f"Slack has switched off this webhook; {_NEW_URL}",
    "no_team": f"the Slack workspace is gone; {_NEW_URL}",
    "team_disabled": f"the Slack workspace is gone; {_NEW_URL}",
    "user_not_found": f"the person it posts to is gone; {_NEW_URL}",
    "invalid_token": f"the webhook URL is not valid; {_NEW_URL}",
    "channel_not_found": f"the Slack channel is gone; {_NEW_URL}",
    "channel_is_archived": "the Slack channel is archived; unarchive it, then enable this again",
    "action_prohibited": "a workspace admin forbids the post; ask one, then enable this again",
    "posting_to_general_channel_denied": f"it may not post in #general; {_NEW_URL}",
}
#: Slack's errors for a wrong payload, for which a simpler one may work ("image": its download).
_TOO_RICH = (
    *("invalid_blocks", "msg_blocks_too_long", "msg_too_long", "image"),
    *("invalid_payload", "no_text"),
)


class Slack(Channel):
    """The channel; see `channels.base.Channel`."""

    formats = ("card",)
    carries_poster = False
    min_interval = 1.0

    def __init__(self, outbound: Outbound, seconds: float = SEND_SECONDS) -> None:
        self._outbound, self._seconds = outbound, seconds

    def check_target(self, target: str) -> str:
        """A webhook URL whose addresses we may reach."""
        return check_url(self._outbound, target)

    def render(self, notification: Notification, format_: str) -> bytes:
        """The card as JSON."""
        return json.dumps(card(notification), ensure_ascii=False).encode()

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """POST the card; if Slack refuses its form, which posts nothing, POST a simpler one."""
        until = time.monotonic() + self._seconds
        _, *plainer = fallback_messages(json.loads(request.body))
        answer = self._post(request, request.body, until)
        for fallback in plainer:
            if answer.status != 400 or not any(word in shown(answer) for word in _TOO_RICH):
                break
            answer = self._post(request, json.dumps(fallback).encode(), until)
        said = shown(answer)
        if _is_taken(answer, request.target):
            return DeliveryResult(answer.status, said)
        # Other services may use one of Slack's words in a sentence.
        dead = _DEAD.get(said.strip())
        if _is_slacks_own(request.target):
            dead = next((reason for word, reason in _DEAD.items() if word in said), None)
        next_step = NextStep.RETRY
        words = f"the webhook answered {status_of(answer, request.target)} {said[:80]}".rstrip()
        if dead and 400 <= answer.status < 500:
            next_step, words = NextStep.DISABLE, dead
        elif answer.status in (400, 413):
            next_step = NextStep.GIVE_UP
        wait = retry_after(answer, request.now)
        raise DeliveryError(
            words, next_step, status=answer.status, response=said, wait_seconds=wait
        )

    def _post(self, request: DeliveryRequest, body: bytes, until: float) -> Response:
        left = max(until - time.monotonic(), 0.001)
        return post_json(self._outbound, request, body, left)


def _is_taken(answer: Response, target: str) -> bool:
    """Whether the message was posted, so that a repetition would show it twice."""
    if not 200 <= answer.status < 300:
        return False
    if not _is_slacks_own(target) or answer.body.strip() == b"ok":
        return True
    try:
        said = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("ok") is True


def _is_slacks_own(target: str) -> bool:
    host = urlsplit(target).hostname or ""
    return any(host == name or host.endswith(f".{name}") for name in _SLACK_HOSTS)

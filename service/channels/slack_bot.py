"""
A Slack app's bot: one card per job, posted at the submit and kept up to date.

An update makes no sound, so whatever needs a person is said in the card's
thread as well. The reference of a posting is ``CHANNEL:TS:SEQUENCE``; the last is
the event that the card shows, so that late news never takes it back in time.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from service.channels.base import SEND_SECONDS, Channel, DeliveryRequest, DeliveryResult
from service.channels.slack_api import SlackApi, SlackRefusal
from service.errors import FieldError, InvalidInput
from service.messages.payloads import Notification
from service.messages.slack import card
from service.model import DEFAULT_EVENTS, EventType
from service.outbound.client import Outbound

SLACK_URL = "https://slack.com/api/"
_TARGET = re.compile(r"[CGDUW][A-Z0-9]{8,20}|#[^\sA-Z#@,.]{1,80}")
#: No preview of the signed link; see `cards.card`.
_QUIET = {"unfurl_links": False, "unfurl_media": False}
#: What is said in the thread too.
_ALARMS = frozenset(
    {
        EventType.JOB_FAILED,
        EventType.JOB_HELD,
        EventType.JOB_UNKNOWN,
        EventType.JOB_OVERDUE,
        EventType.VIDEO_EXPIRING,
    }
)
#: The message that was to be changed is no longer there, or no longer ours.
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")


class SlackBot(Channel):
    """
    The channel; see `channels.base.Channel`.

    Args:
        token: the app's Bot User OAuth Token (``xoxb-…``).
        seconds: for one attempt in all.
        url: stands in for Slack's Web API.
    """

    formats = ("card",)
    carries_poster = False
    has_threads = True
    min_interval = 1.0
    default_events = (EventType.JOB_SUBMITTED, *DEFAULT_EVENTS)

    def __init__(
        self, outbound: Outbound, token: str, seconds: float = SEND_SECONDS, url: str = SLACK_URL
    ) -> None:
        self._api, self._seconds = SlackApi(outbound, token, url), seconds

    def check_target(self, target: str) -> str:
        """A channel's or person's id, or a channel's name."""
        if not _TARGET.fullmatch(target):
            message = "must be a Slack channel's id such as C0123ABCD, or its name such as #clips"
            raise InvalidInput([FieldError("/target", "bad_channel", message)])
        return target

    def render(self, notification: Notification, format_: str) -> bytes:
        """The card as JSON, with the ``sequence`` and ``alarm`` that decide where it goes."""
        event = notification.event
        about = {"job_id": event.job_id, "event_id": event.id}
        metadata = {"event_type": event.type.value.replace(".", "_"), "event_payload": about}
        rendered = {
            "sequence": event.sequence,
            "alarm": event.type in _ALARMS,
            "message": card(notification) | {"metadata": metadata},
        }
        return json.dumps(rendered, ensure_ascii=False).encode()

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """Post the card, or bring the posted one up to date."""
        until = time.monotonic() + self._seconds
        rendered, posting = json.loads(request.body), Posting.read(request.reference)
        if posting and rendered["sequence"] < posting.sequence:
            return DeliveryResult(response="not sent: the card already shows a later event")
        if posting:
            return self._update_card(request, rendered, posting, until)
        return self._post_card(request, rendered, request.target, until)

    def check_access(self) -> None:
        """Ask Slack whose token it is (``auth.test``)."""
        self._api.identify(self._seconds)

    def _post_card(
        self, request: DeliveryRequest, rendered: dict[str, Any], target: str, until: float
    ) -> DeliveryResult:
        message = rendered["message"] | {"channel": target}
        answer = self._api.say(request, "chat.postMessage", message, until)
        posting = Posting(str(answer["channel"]), str(answer["ts"]), rendered["sequence"])
        return DeliveryResult(200, f"posted in {posting.channel}", reference=posting.written())

    def _update_card(
        self, request: DeliveryRequest, rendered: dict[str, Any], posting: Posting, until: float
    ) -> DeliveryResult:
        """Update the posted card; updating it twice does no harm, so the thread comes last."""
        try:
            self._update(request, rendered["message"], posting, until)
        except SlackRefusal as error:
            if error.word not in _GONE:
                raise
            return self._post_card(request, rendered, posting.channel, until)
        if rendered["alarm"]:
            self._reply(request, rendered["message"]["text"], posting, until)
        now = Posting(posting.channel, posting.ts, rendered["sequence"])
        return DeliveryResult(200, f"updated in {now.channel}", reference=now.written())

    def _update(
        self, request: DeliveryRequest, message: dict[str, Any], posting: Posting, until: float
    ) -> None:
        kept = {name: message[name] for name in ("text", "blocks", "metadata")}
        place = {"channel": posting.channel, "ts": posting.ts}
        self._api.say(request, "chat.update", kept | place, until)

    def _reply(self, request: DeliveryRequest, text: str, posting: Posting, until: float) -> None:
        reply = {"channel": posting.channel, "thread_ts": posting.ts, "text": text}
        self._api.say(request, "chat.postMessage", reply | _QUIET, until)


@dataclass(frozen=True)
class Posting:
    """A card in Slack: its channel's id, its timestamp, the event it shows."""

    channel: str
    ts: str
    sequence: int

    @classmethod
    def read(cls, reference: str | None) -> Posting | None:
        """The posting behind a reference; None for none."""
        if reference is None:
            return None
        channel, ts, sequence = reference.split(":")
        return cls(channel, ts, int(sequence))

    def written(self) -> str:
        """Its reference."""
        return f"{self.channel}:{self.ts}:{self.sequence}"

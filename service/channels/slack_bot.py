"""
A Slack app's bot: one card per job, posted when the job is sent and kept up to date.

An update notifies nobody, so events that need a person are also posted in the card's
thread. The reference of a posting is ``CHANNEL:TS:SEQUENCE``; SEQUENCE is
that of the event on the card, so that a late event never replaces a newer one.
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
#: The events that are also posted in the thread.
_ALARMS = frozenset(
    {
        EventType.JOB_FAILED,
        EventType.JOB_HELD,
        EventType.JOB_UNKNOWN,
        EventType.JOB_OVERDUE,
        EventType.VIDEO_EXPIRING,
    }
)
#: Errors of an update: the message does not exist, or is not ours any more.
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")


class SlackBot(Channel):
    """
    The channel; see `channels.base.Channel`.

    Args:
        token: the app's Bot User OAuth Token (``xoxb-…``).
        seconds: the time limit of one attempt.
        url: replaces Slack's Web API.
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
        """The card as JSON, with ``sequence`` and ``alarm``, which decide where it is posted."""
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
        """Post the card, or update the posted one."""
        until = time.monotonic() + self._seconds
        rendered, posting = json.loads(request.body), Posting.read(request.reference)
        if posting and rendered["sequence"] < posting.sequence:
            return DeliveryResult(response="not sent: the card already shows a later event")
        if posting:
            return self._update_card(request, rendered, posting, until)
        return self._post_card(request, rendered, request.target, until)

    def check_access(self) -> None:
        """Ask Slack for the token's owner (``auth.test``)."""
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
        """Update the posted card, then the thread; a repeated update of the card is harmless."""
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
        """Parse a reference; None if there is none."""
        if reference is None:
            return None
        channel, ts, sequence = reference.split(":")
        return cls(channel, ts, int(sequence))

    def written(self) -> str:
        """The reference of this posting."""
        return f"{self.channel}:{self.ts}:{self.sequence}"

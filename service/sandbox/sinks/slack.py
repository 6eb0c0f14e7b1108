"""
A Slack of one's own: an incoming webhook, and the Web API for a bot.

It looks at each message by Slack's rules and answers in Slack's words and statuses
("Sending messages using incoming webhooks", "chat.postMessage", "chat.update").
Any of the answers in `WEBHOOK_STATUS` and `BOT_WORDS`, or one of `TRICKS`, can be scripted.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import Flask, Response, request

from service.sandbox.sinks.inbox import Inbox, Received
from service.sandbox.sinks.slack_rules import check_message

SLACK_PATH = "/services/T000/B000/xyz"
API_PATH = "/api/"
BOT_TOKEN = "xoxb-clipbell-demo"  # noqa: S105 - of this sink only
RETRY_AFTER = "30"
#: The webhook's words with their statuses.
WEBHOOK_STATUS = {
    "ok": 200,
    "rate_limited": 429,
    "rollup_error": 500,
    "internal_error": 500,
    "fatal_error": 500,
    "service_unavailable": 503,
    "no_service": 404,
    "no_team": 404,
    "channel_not_found": 404,
    "action_prohibited": 403,
    "invalid_token": 403,
    "posting_to_general_channel_denied": 403,
    "channel_is_archived": 410,
    "invalid_payload": 400,
    "invalid_blocks": 400,
    "invalid_blocks_format": 400,
    "no_text": 400,
    "msg_too_long": 400,
    "msg_blocks_too_long": 400,
}
#: The Web API's words; all come with status 200 but those in `BOT_STATUS`.
BOT_WORDS = frozenset(
    {
        *("ok", "ratelimited", "internal_error", "fatal_error", "service_unavailable"),
        *("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"),
        *("missing_scope", "not_in_channel", "is_archived", "channel_not_found"),
        *("restricted_action", "invalid_blocks", "invalid_blocks_format", "no_text"),
        *("msg_too_long", "msg_blocks_too_long", "message_not_found", "cant_update_message"),
    }
)
BOT_STATUS = {"ratelimited": 429, "service_unavailable": 503}
#: Answers that no page lists: an image out of reach, a redirect, silence, a broken connection.
TRICKS = frozenset({"image", "redirect", "slow", "reset"})
_SLOW_SECONDS = 60.0


@dataclass
class ChannelMessage:
    """A message in the channel: what it says now, whether it was changed, its thread."""

    shown: Received
    edited: bool = False
    replies: list[Received] = field(default_factory=list)


def posts(arrived: list[Received]) -> list[ChannelMessage]:
    """The channel as people see it, oldest first: a bot's updates stand in their message."""
    found: list[ChannelMessage] = []
    cards: dict[str, ChannelMessage] = {}
    for received in arrived:
        ts = received.headers.get("ts", "") if received.kind == "bot" and received.ok else ""
        card = cards.get(ts)
        if card is None:
            found.append(cards.setdefault(ts or str(received.number), ChannelMessage(received)))
        elif received.headers["method"] == "chat.update":
            card.shown, card.edited = received, True
        else:
            card.replies.append(received)
    return found


class SlackSink:
    """The routes; `stopped` ends the answers that are asked to be slow."""

    def __init__(self, inbox: Inbox, stopped: threading.Event) -> None:
        self._inbox, self._stopped = inbox, stopped
        self._posted: list[str] = []
        self._lock = threading.Lock()

    def add_routes(self, app: Flask) -> None:
        """Serve them."""
        app.add_url_rule("/services/<path:path>", "slack", self._webhook, methods=["POST"])
        for method in ("chat.postMessage", "chat.update"):
            view = partial(self._api, method)
            app.add_url_rule(API_PATH + method, method, view, methods=["POST"])

    def _webhook(self, path: str) -> Response:
        if f"/services/{path}" != SLACK_PATH:
            return _in_words("no_service")
        payload = request.get_json(silent=True)
        word, problems = self._judged("slack", payload)
        self._keep("slack", payload, problems)
        return self._tricked(word) or _in_words(word)

    def _api(self, method: str) -> Response:
        payload: Any = request.get_json(silent=True)
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return _in_json("invalid_auth")
        word, problems = self._judged("bot", payload)
        if word == "ok" and not str(payload.get("channel") or ""):
            word, problems = "channel_not_found", ["/channel is missing"]
        if word == "ok" and method == "chat.update" and payload.get("ts") not in self._posted:
            word, problems = "message_not_found", ["/ts names no message of this bot"]
        if word != "ok":
            self._keep("bot", payload, problems, {"method": method})
            return self._tricked(word) or _in_json(word)
        return self._taken(method, payload)

    def _taken(self, method: str, payload: dict[str, Any]) -> Response:
        """A message that Slack would show, with its place in the channel."""
        new = method == "chat.postMessage"
        channel = str(payload["channel"])
        if channel.startswith("#"):
            # A made-up id: the letters of the channel's name.
            letters = "".join(c for c in channel.upper() if c.isalnum() and c.isascii())
            channel = f"C0{letters:X<8}"
        about = {"method": method, "channel": channel}
        with self._lock:
            ts = f"{int(time.time()):010}.{len(self._posted):06}" if new else payload["ts"]
            self._posted += [ts] if new else []
        self._keep("bot", payload, [], about | {"ts": payload.get("thread_ts") or ts})
        answer = {"ok": True, "channel": channel, "ts": ts}
        return Response(json.dumps(answer), content_type="application/json")

    def _judged(self, sink: str, payload: Any) -> tuple[str, list[str]]:
        """Slack's word for a message, and what is wrong with it; a scripted answer comes first."""
        scripted = self._inbox.next_answer(sink)
        if scripted == "image":
            blocks = payload.get("blocks") if isinstance(payload, dict) else None
            images = [b for b in blocks or [] if isinstance(b, dict) and b.get("type") == "image"]
            scripted = "image" if images else None
        if scripted is not None and scripted != "ok":
            return scripted, [f"answered {scripted}, as requested"]
        faults = check_message(payload)
        problems = [f"{fault.pointer} {fault.message}" for fault in faults]
        return (faults[0].code if faults else "ok"), problems

    def _keep(
        self, kind: str, payload: Any, problems: list[str], about: dict[str, str] | None = None
    ) -> None:
        body = request.get_data()
        subject = payload.get("text") if isinstance(payload, dict) else None
        text = body.decode("utf-8", "replace")
        self._inbox.add(kind, str(subject or "(no text)"), problems, body, text, about)

    def _tricked(self, word: str) -> Response | None:
        if word == "slow":
            self._stopped.wait(_SLOW_SECONDS)
        if word == "reset":
            # As a crashed server does: without lingering, the client sees a reset.
            connection: socket.socket = request.environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        if word in ("slow", "reset"):
            return Response(status=500)
        if word == "redirect":
            return Response(status=302, headers={"Location": "/count"})
        return None


def _in_words(word: str) -> Response:
    """The webhook's answer."""
    headers = {"Retry-After": RETRY_AFTER} if word == "rate_limited" else {}
    text = word
    if word == "image":
        word, text = "invalid_blocks", "downloading image failed [json-pointer:/blocks/2/image_url]"
    status = WEBHOOK_STATUS.get(word, 400)
    return Response(text, status=status, headers=headers, content_type="text/plain")


def _in_json(word: str) -> Response:
    """The Web API's answer to what it does not take."""
    answer: dict[str, Any] = {"ok": False, "error": "invalid_blocks" if word == "image" else word}
    if word == "image":
        place = "[json-pointer:/blocks/2/image_url]"
        answer["response_metadata"] = {"messages": [f"[ERROR] downloading image failed {place}"]}
    if word == "missing_scope":
        answer |= {"needed": "chat:write", "provided": "identify"}
    headers = {"Retry-After": RETRY_AFTER} if word == "ratelimited" else {}
    status, text = BOT_STATUS.get(word, 200), json.dumps(answer)
    return Response(text, status=status, headers=headers, content_type="application/json")

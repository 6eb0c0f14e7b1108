"""
Calls of Slack's Web API for the bot, and the meaning of its errors.

The errors are listed on its pages "chat.postMessage", "chat.update" and "Rate limits".
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from service.channels.base import ANSWER_BYTES, DeliveryRequest
from service.channels.http import post_json, retry_after, shown
from service.errors import DeliveryError, NextStep, OutboundError
from service.messages.slack import fallback_messages
from service.model import utc_now
from service.outbound.client import Outbound, Response

#: The pause of all bot messages, for the operator, if the app itself is at fault.
PAUSE_SECONDS = 900.0
_NEW_LOGIN = "set the Bot User OAuth Token of a Slack app in CLIPBELL_SLACK_BOT_TOKEN"
#: Errors that only the operator can fix: no subscription is at fault.
_APP = {
    "invalid_auth": f"Slack does not know the token; {_NEW_LOGIN}",
    "not_authed": f"Slack got no token; {_NEW_LOGIN}",
    "account_inactive": f"the token's app or workspace was removed; {_NEW_LOGIN}",
    "token_revoked": f"the token was revoked; {_NEW_LOGIN}",
    "token_expired": f"the token has expired; {_NEW_LOGIN}",
    "not_allowed_token_type": f"this kind of token may not post; {_NEW_LOGIN}",
    "access_denied": f"Slack forbids the app; {_NEW_LOGIN}",
    "team_access_not_granted": f"the app has no access to this workspace; {_NEW_LOGIN}",
    "enterprise_is_restricted": f"the organization forbids the app; {_NEW_LOGIN}",
    "ekm_access_denied": "an admin has suspended the app's access to messages: ask one",
    "missing_scope": "the Slack app lacks a scope: give it chat:write, then install it again",
}
_AGAIN = "then enable this again"
#: Errors after which this target will not work until somebody has acted.
_DEAD = {
    "not_in_channel": f"the app is not in the channel: /invite it there, {_AGAIN}",
    "channel_not_found": (
        f"Slack finds no such channel; a private one needs the app in it (/invite), {_AGAIN}"
    ),
    "is_archived": f"the Slack channel is archived: unarchive it, {_AGAIN}",
    "user_not_found": "Slack knows no such person: subscribe with another id",
    "restricted_action": f"a workspace setting forbids the post: ask an admin, {_AGAIN}",
    "restricted_action_read_only_channel": f"the channel is read-only: ask an admin, {_AGAIN}",
    "restricted_action_thread_only_channel": "the channel takes only replies: choose another",
    "messages_tab_disabled": f"the app takes no direct messages: turn its messages on, {_AGAIN}",
    "cannot_dm_bot": "a bot cannot write to a bot: subscribe with another id",
    "posting_to_general_channel_denied": "the app may not post in #general: choose another channel",
    "no_permission": f"the app may not post there: ask an admin, {_AGAIN}",
}
#: An error that may have the status 200, with a `Retry-After`.
TOO_FAST = "ratelimited"
#: Errors of a payload for which a simpler one may work.
TOO_RICH = frozenset(
    {
        *("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"),
        *("no_text", "invalid_payload"),
    }
)


class SlackRefusal(DeliveryError):
    """
    Slack answered with an error.

    `word` is Slack's code, such as ``is_archived``; blank if there is none.
    """

    word = ""


class SlackApi:
    """Slack's Web API, called as the app; `url` replaces Slack's own."""

    def __init__(self, outbound: Outbound, token: str, url: str) -> None:
        self._outbound, self._url = outbound, url
        self._login = {"Authorization": f"Bearer {token}"}

    def say(
        self, request: DeliveryRequest, method: str, message: dict[str, Any], until: float
    ) -> dict[str, Any]:
        """
        Send a message by ``chat.…``; if Slack refuses its form, which posts nothing, a simpler one.

        Requests and answers are recorded in `request`. `until` is a time of
        `time.monotonic`. Returns Slack's answer, with ``channel`` and ``ts``.

        Raises:
            SlackRefusal: Slack answered that it did not post it.
            DeliveryError: there was no usable answer.
        """
        plainer = fallback_messages(message)
        # Without `blocks`, an update would keep the old blocks.
        empty: dict[str, Any] = {"blocks": []} if method == "chat.update" else {}
        while True:
            try:
                return self._post(request, method, empty | plainer.pop(0), until)
            except SlackRefusal as error:
                if not plainer or error.word not in TOO_RICH:
                    raise

    def identify(self, seconds: float) -> None:
        """Ask for the token's owner, within `seconds`. Raises the errors of `say`."""
        try:
            answer = self._outbound.call(
                "POST",
                f"{self._url}auth.test",
                headers=self._login,
                seconds=seconds,
                max_bytes=ANSWER_BYTES,
            )
        except OutboundError as error:
            raise DeliveryError(str(error), timed_out=error.timed_out) from error
        _read(answer, utc_now())

    def _post(
        self, request: DeliveryRequest, method: str, message: dict[str, Any], until: float
    ) -> dict[str, Any]:
        answer = post_json(
            self._outbound,
            request,
            json.dumps(message).encode(),
            max(until - time.monotonic(), 0.001),
            {"Content-Type": "application/json; charset=utf-8"},
            url=f"{self._url}{method}",
            secret_headers=self._login,
        )
        said = _read(answer, request.now)
        if not (said.get("channel") and said.get("ts")):
            raise DeliveryError("Slack's answer names no message", response=shown(answer))
        return said


def _read(answer: Response, now: datetime) -> dict[str, Any]:
    """Slack's answer to a successful call. Raises SlackRefusal, DeliveryError."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    known = said if isinstance(said, dict) else {}
    if 200 <= answer.status < 300 and known.get("ok") is True:
        return known
    word = str(known.get("error") or "")
    app, dead = _APP.get(word), _DEAD.get(word)
    next_step, wait = NextStep.RETRY, retry_after(answer, now, always=word == TOO_FAST)
    if app:
        next_step, wait = NextStep.PAUSE_CHANNEL, PAUSE_SECONDS
    elif dead:
        next_step = NextStep.DISABLE
    elif word in TOO_RICH:
        next_step = NextStep.GIVE_UP
    # Slack's own words, with the places in the payload that it names.
    names = ("error", "needed", "provided", "response_metadata")
    words = {name: known[name] for name in names if known.get(name)}
    refusal = SlackRefusal(
        app or dead or f"Slack answered {answer.status} {word[:80]}".rstrip(),
        next_step,
        status=answer.status,
        response=json.dumps(words, ensure_ascii=False)[:1000] if words else shown(answer),
        wait_seconds=wait,
    )
    refusal.word = word
    raise refusal

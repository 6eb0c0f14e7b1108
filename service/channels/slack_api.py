"""
Calls of Slack's Web API for the bot, and what its refusals mean.

The errors are listed on its pages "chat.postMessage", "chat.update" and "Rate limits".
Imports `slack_sdk`, an extra: only what needs it may import this module.
"""

from __future__ import annotations

import json
import logging
import math
import time
from datetime import datetime
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from service.channels.base import DeliveryRequest
from service.errors import DeliveryError, NextStep
from service.messages.slack import fallback_messages
from service.retry import parse_retry_after

_HEADERS = {"Content-Type": "application/json;charset=utf-8", "Authorization": "Bearer ***"}
#: How long everything by the bot waits for the operator when the app itself is at fault.
PAUSE_SECONDS = 900.0
_NEW_LOGIN = "set the Bot User OAuth Token of a Slack app in CLIPBELL_SLACK_BOT_TOKEN"
#: Words that only the operator can fix: no subscription is to blame.
_APP = {
    "invalid_auth": f"Slack does not know the token; {_NEW_LOGIN}",
    "not_authed": f"Slack got no token; {_NEW_LOGIN}",
    "account_inactive": f"the token's app or workspace was removed; {_NEW_LOGIN}",
    "token_revoked": f"the token was revoked; {_NEW_LOGIN}",
    "token_expired": f"the token has expired; {_NEW_LOGIN}",
    "not_allowed_token_type": f"this kind of token may not post; {_NEW_LOGIN}",
    "missing_scope": "the Slack app lacks a scope: give it chat:write, then install it again",
}
_AGAIN = "then enable this again"
#: Words after which this target will not work until somebody has acted.
_DEAD = {
    "not_in_channel": f"the app is not in the channel: /invite it there, {_AGAIN}",
    "channel_not_found": (
        f"Slack finds no such channel; a private one needs the app in it (/invite), {_AGAIN}"
    ),
    "is_archived": f"the Slack channel is archived: unarchive it, {_AGAIN}",
    "user_not_found": "Slack knows no such person: subscribe with another id",
    "restricted_action": f"a workspace setting forbids the post: ask an admin, {_AGAIN}",
    "posting_to_general_channel_denied": "the app may not post in #general: choose another channel",
    "no_permission": f"the app may not post there: ask an admin, {_AGAIN}",
}
#: Words for a payload that is at fault where a plainer one may pass.
TOO_RICH = frozenset(
    {
        *("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"),
        *("no_text", "invalid_payload"),
    }
)


class SlackApi:
    """Slack's Web API in the app's name; `url` stands in for Slack's own."""

    def __init__(self, token: str, url: str) -> None:
        # Below this level the library logs what it sends.
        logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)
        self._token, self._url = token, url

    def say(
        self, request: DeliveryRequest, method: str, message: dict[str, Any], until: float
    ) -> SlackResponse:
        """
        One message by ``chat.…``; while Slack refuses its form, which shows nothing, a plainer one.

        What is sent and answered is recorded in `request`.

        Raises SlackApiError, or what a broken connection raises; see `refusal`.
        """
        plainer = fallback_messages(message)
        # Without the word an update would leave the old blocks standing.
        empty: dict[str, Any] = {"blocks": []} if method == "chat.update" else {}
        while True:
            try:
                return self._call(request, method, empty | plainer.pop(0), until)
            except SlackApiError as error:
                if not plainer or _word(error) not in TOO_RICH:
                    raise

    def identify(self, seconds: float) -> None:
        """Ask whose token it is. Raises as `say` does."""
        timeout = max(1, math.ceil(seconds))
        WebClient(self._token, base_url=self._url, timeout=timeout, retry_handlers=[]).auth_test()

    def _call(
        self, request: DeliveryRequest, method: str, message: dict[str, Any], until: float
    ) -> SlackResponse:
        # A client per call, since its time-out is what is left of the attempt's. None of
        # the library's retries: it would post again by itself.
        left = max(1, math.ceil(until - time.monotonic()))
        client = WebClient(self._token, base_url=self._url, timeout=left, retry_handlers=[])
        request.record_sent("POST", f"{self._url}{method}", _HEADERS, json.dumps(message).encode())
        try:
            response = client.api_call(method, json=message)
        except SlackApiError as error:
            _record(request, error.response)
            raise
        except AttributeError as error:
            raise ValueError("the answer is JSON, but no object") from error
        _record(request, response)
        # The library follows redirects, with a GET: whatever is there, it posted nothing.
        if not response.get("ts"):
            raise ValueError("the answer names no message")
        return response


def _record(request: DeliveryRequest, response: SlackResponse) -> None:
    headers = {str(name): str(value) for name, value in response.headers.items()}
    data = json.dumps(response.data) if isinstance(response.data, dict) else response.data
    body = data if isinstance(data, bytes) else str(data).encode()
    request.record_answer(response.status_code, headers, body)


TROUBLE = (SlackClientError, HTTPException, OSError, ValueError)


def _word(error: SlackApiError) -> str:
    return str(error.response.get("error") or "")


def is_gone(error: Exception) -> bool:
    """Whether the message that was to be changed is no longer there, or no longer ours."""
    gone = ("message_not_found", "cant_update_message", "edit_window_closed")
    return isinstance(error, SlackApiError) and _word(error) in gone


def refusal(error: Exception, now: datetime) -> DeliveryError:
    """The reason why a message was not posted, as one error with its next step."""
    if not isinstance(error, SlackApiError):
        # The library's own texts hold the whole answer; the system's say what broke.
        known = isinstance(error, OSError | ValueError)
        what = str(error) if known else type(error).__name__
        return DeliveryError(f"Slack gave no answer: {what[:200]}")
    word, response = _word(error), error.response
    app, dead = _APP.get(word), _DEAD.get(word)
    next_step, wait = NextStep.RETRY, None
    if app:
        next_step, wait = NextStep.PAUSE_CHANNEL, PAUSE_SECONDS
    elif dead:
        next_step = NextStep.DISABLE
    elif word in TOO_RICH:
        next_step = NextStep.GIVE_UP
    if response.status_code in (429, 503) and wait is None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        wait = parse_retry_after(headers.get("retry-after"), now)
    # Slack's own words, with the places in the payload that it names.
    names = ("error", "needed", "provided", "response_metadata")
    said = {name: response.get(name) for name in names if response.get(name)}
    return DeliveryError(
        app or dead or f"Slack answered {response.status_code} {word[:80]}".rstrip(),
        next_step,
        status=response.status_code,
        response=json.dumps(said, ensure_ascii=False)[:1000],
        wait_seconds=wait,
    )

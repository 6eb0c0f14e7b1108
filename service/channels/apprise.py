"""
Other services, by Apprise: Discord, Teams, Telegram, ntfy and a hundred more.

Its targets may lead to any host, without our guard, so only the operator may use them.
Apprise reports success or failure and little more, so the status is read from its log.
"""

from __future__ import annotations

import json
import re
from types import ModuleType

from service.channels.base import SEND_SECONDS, Channel, DeliveryRequest, DeliveryResult
from service.errors import DeliveryError, FieldError, InvalidInput, NextStep
from service.formatting import mask_target
from service.messages.content import describe
from service.messages.payloads import Notification
from service.model import EventType

MISSING = "Apprise is not installed on this server: pip install 'clipbell[apprise]'"
#: Apprise's notification type of each event; "info" for all others.
_MOODS = {
    EventType.JOB_SUCCEEDED: "success",
    EventType.JOB_FAILED: "failure",
    EventType.JOB_HELD: "warning",
    EventType.JOB_UNKNOWN: "warning",
    EventType.JOB_OVERDUE: "warning",
    EventType.VIDEO_EXPIRING: "warning",
}
#: The service's HTTP status in Apprise's log; final ones do not change on a retry.
_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")
_FINAL = (401, 403, 404)


class Apprise(Channel):
    """The channel; see `channels.base.Channel`."""

    formats = ("text",)
    carries_poster = False
    operator_only = True

    def __init__(self, seconds: float = SEND_SECONDS) -> None:
        self._seconds = seconds

    def check_target(self, target: str) -> str:
        """A URL that Apprise knows how to serve."""
        library = _library()
        if library is None:
            raise InvalidInput([FieldError("/target", "not_installed", MISSING)])
        if library.Apprise.instantiate(target, asset=_asset(library)) is None:
            message = "must be an Apprise URL such as discord://ID/TOKEN or ntfy://TOPIC"
            raise InvalidInput([FieldError("/target", "bad_url", message)])
        return target

    def render(self, notification: Notification, format_: str) -> bytes:
        """Title, text and notification type as JSON."""
        content = describe(notification)
        reason = f"{content.reason} {content.hint}".strip()
        links = "\n".join(f"{label}: {url}" for label, url in content.links)
        facts = " · ".join(value for _, value in content.facts)
        text = "\n\n".join(filter(None, [content.prompt, reason, links, facts]))
        message = {
            "title": content.title,
            # A zero-width space after each ``@``: no prompt may notify a whole room.
            "body": text.replace("@", "@\u200b"),
            "notify_type": _MOODS.get(notification.event.type, "info"),
        }
        return json.dumps(message, ensure_ascii=False).encode()

    def send(self, request: DeliveryRequest) -> DeliveryResult:
        """Make one call to the target, without Apprise's own retries."""
        library = _library()
        if library is None:
            raise DeliveryError(MISSING)
        service = library.Apprise.instantiate(request.target, asset=_asset(library))
        if service is None:
            raise DeliveryError("Apprise no longer knows the target's URL: subscribe again")
        service.retry = 0
        request.record_sent("APPRISE", mask_target(request.target), {})
        arguments = json.loads(request.body)
        caller = library.Apprise(service, asset=_asset(library))
        with caller.notify(**arguments, body_format="text", timeout=self._seconds) as result:
            log = "\n".join(str(getattr(entry, "message", entry)) for entry in result.logs())
            word = result.status.name.lower()
        said = log.replace(request.target, "***")[:1000]
        request.record_answer(None, {}, said.encode())
        if result.status == library.AppriseResultStatus.SUCCESS:
            return DeliveryResult(response=said)
        found = _STATUS.search(said)
        status = int(found[1]) if found else None
        message = f"Apprise reports {word}: {said[-200:]}".rstrip(": ")
        next_step = NextStep.GIVE_UP if status in _FINAL else NextStep.RETRY
        raise DeliveryError(message, next_step, status=status, response=said)


def _library() -> ModuleType | None:
    """Apprise, or None if it is not installed."""
    try:
        # The extra `apprise` may be missing; its import takes a second and 50 MB.
        import apprise
    except ModuleNotFoundError:
        return None
    return apprise


def _asset(library: ModuleType) -> object:
    # A redirected POST becomes a GET whose answer would count as success.
    return library.AppriseAsset(async_mode=False, http_redirects=False, secure_logging=True)

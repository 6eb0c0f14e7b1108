"""
The text of messages to people about an event.

Pure functions of a notification; the layout of cards and mails is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from service.catalogue.models import find_offer
from service.formatting import (
    as_sentence,
    format_date,
    format_duration,
    format_money,
    format_price,
    harmless,
)
from service.messages.payloads import Notification
from service.model import EventType, Job, Video

TITLES = {
    EventType.JOB_SUBMITTED: "Video on its way",
    EventType.JOB_SUCCEEDED: "Video ready",
    EventType.JOB_FAILED: "Video failed",
    EventType.JOB_HELD: "Video on hold",
    EventType.JOB_UNKNOWN: "Video needs attention",
    EventType.JOB_CANCELED: "Video canceled",
    EventType.JOB_OVERDUE: "Video overdue",
    EventType.VIDEO_EXPIRING: "Video link expires soon",
    EventType.SUBSCRIPTION_DISABLED: "Subscription switched off",
    EventType.SUBSCRIPTION_RECOVERED: "Subscription works again",
}
#: The explanation of events whose job has no reason of its own.
_EXPLANATIONS = {
    EventType.JOB_SUBMITTED: "The provider is making it. You get a message when it is done.",
    EventType.JOB_FAILED: "There will be no video.",
    EventType.JOB_HELD: "It waits and was not sent yet.",
    EventType.JOB_UNKNOWN: (
        "It was sent, but no answer came. It is not sent again by itself, "
        "so that nothing is paid twice."
    ),
    EventType.JOB_CANCELED: "It was canceled before it was sent.",
    EventType.VIDEO_EXPIRING: "We could not copy it, and the provider's link may end soon.",
    EventType.JOB_OVERDUE: ("It takes longer than expected; a late video still counts."),
    EventType.SUBSCRIPTION_DISABLED: "It gets no more messages.",
    EventType.SUBSCRIPTION_RECOVERED: "It gets messages again.",
}
#: The next step for events whose error has none.
_NEXT_STEPS = {
    EventType.JOB_FAILED: "Open the job to see what happened.",
    EventType.JOB_HELD: "Open the job to see what it waits for.",
    EventType.JOB_UNKNOWN: (
        "Look for it at the provider, then resolve the job: task id, resend or fail."
    ),
    EventType.JOB_OVERDUE: "There is nothing to do yet: Clipbell keeps polling the provider.",
    EventType.VIDEO_EXPIRING: "Download it now to keep it.",
}
_WITH_ERROR = frozenset({EventType.JOB_FAILED, EventType.JOB_HELD, EventType.JOB_UNKNOWN})
_WITHOUT_COST = frozenset({EventType.JOB_FAILED, EventType.JOB_CANCELED})
_WITH_VIDEO = frozenset({EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING})


@dataclass(frozen=True)
class MessageContent:
    """
    The text about an event, for any kind of message.

    `reason` and `hint` are blank for successes, `prompt` if it must not be
    repeated, `watch` if there is no video; `code` is the error's code.
    """

    title: str
    prompt: str
    reason: str
    hint: str
    code: str
    facts: tuple[tuple[str, str], ...]
    watch: str
    download: str
    job_url: str

    @property
    def target(self) -> str:
        """The most important link."""
        return self.watch or self.job_url

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """The links with their labels, the most important first."""
        found = (("Watch", self.watch), ("Download", self.download), ("Open job", self.job_url))
        return tuple((label, url) for label, url in found if url)

    @property
    def headline(self) -> str:
        """The title with the beginning of the prompt, for notifications and subjects."""
        return f"{self.title}: {cut(self.prompt, 120)}" if self.prompt else self.title


def describe(notification: Notification) -> MessageContent:
    """The text of a notification; a sample is labelled."""
    kind, about = notification.event.type, notification.event.about or {}
    if notification.job is not None:
        content = _describe_job(notification, notification.job)
    else:
        id_, off = plain(about.get("subscription_id")), kind is EventType.SUBSCRIPTION_DISABLED
        content = MessageContent(
            title=TITLES.get(kind, f"Clipbell: {kind.value}"),
            prompt="",
            reason=as_sentence(plain(about.get("reason"))) or _EXPLANATIONS.get(kind, ""),
            hint=f"Fix it, then: clipbell subscriptions enable {id_}" if off else "",
            code="",
            facts=(("Channel", plain(about.get("channel"))), ("Subscription", id_)),
            watch="",
            download="",
            job_url=f"{notification.public_url}/subscriptions",
        )
    if not notification.event.sample:
        return content
    return replace(content, title=f"Sample: {content.title}", job_url=notification.public_url)


def _describe_job(notification: Notification, job: Job) -> MessageContent:
    kind = notification.event.type
    error = (job.error or {}) if kind in _WITH_ERROR else {}
    code = plain(error.get("code"))
    prompt, reason = plain(job.input.get("prompt")), as_sentence(plain(error.get("message")))
    # Do not repeat in a channel a prompt that a provider's filter has refused.
    is_secret = code == "CONTENT_VIOLATION"
    if is_secret and prompt and prompt in reason:
        reason = "The provider's filter refused it."
    ends = notification.video.provider_expires_at if notification.video else None
    if kind is EventType.VIDEO_EXPIRING and ends:
        reason = f"We could not copy it, and the provider's link may end on {format_date(ends)}."
    watch = (notification.link or "") if kind in _WITH_VIDEO else ""
    return MessageContent(
        title=TITLES.get(kind, f"Clipbell: {kind.value}"),
        prompt="" if is_secret else prompt,
        reason=reason or _EXPLANATIONS.get(kind, ""),
        hint=plain(error.get("hint")) or _NEXT_STEPS.get(kind, ""),
        code=code,
        facts=_facts(kind, job, notification.video if watch else None),
        watch=watch,
        download=f"{watch}?download=1" if watch else "",
        job_url=f"{notification.public_url}/jobs/{job.id}",
    )


def _facts(kind: EventType, job: Job, video: Video | None) -> tuple[tuple[str, str], ...]:
    """Labels and values of the known facts about the job, the most important first."""
    seconds = (video.seconds if video else None) or job.input.get("duration")
    model = find_offer(job.model, job.provider)
    shape = plain(job.input.get("aspect_ratio"))
    if video and video.width and video.height:
        shape = f"{video.width} × {video.height}"
    made_in = ""
    if video and job.finished_at:
        spent = (job.finished_at - (job.submitted_at or job.created_at)).total_seconds()
        made_in = format_duration(max(spent, 0.0))
    cost = ""
    if job.actual_cost is not None:
        cost = format_money(job.actual_cost)
    # If nothing was made, the estimate is meaningless.
    elif job.estimated_max is not None and kind not in _WITHOUT_COST:
        cost = f"about {format_price(job.estimated_min, job.estimated_max)}"
    found = {
        "Model": model.title if model else job.model,
        "Length": f"{seconds:g} s" if isinstance(seconds, int | float) else "",
        "Format": shape,
        "Made in": made_in,
        "Cost": cost,
        "Job": job.id,
    }
    return tuple((name, value) for name, value in found.items() if value)


def plain(value: Any) -> str:
    """
    `value` as one line: every run of blanks and control characters is one space.

    The joiners and direction marks that emoji and many scripts are written with stay;
    those that reorder the text around them are removed.
    """
    return " ".join(harmless(str(value or ""), lambda _: " ").split())


def cut(text: str, length: int) -> str:
    """At most this many characters, with an ellipsis if some are missing."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"

"""
An event in words for people, and the Slack card made of them.

Pure functions of a notice. Whatever a user wrote stands only in Slack's
``plain_text`` objects, where nothing needs escaping and nothing can be marked
up; the one mrkdwn text, the notification's, is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from service.addresses import is_allowed, parse_address
from service.catalogue import MODELS
from service.messages import Notice
from service.model import EventType, Job, Video

# Slack allows 150 in a header and 3000 in a section ("Block Kit: blocks"), and in practice
# about 13,000 in a whole message; with these cuts a card stays far below all three.
HEADER_LENGTH = 150
PROMPT_LENGTH = 300
REASON_LENGTH = 1000
URL_LENGTH = 3000

TITLES = {
    EventType.JOB_SUBMITTED: "Video on its way",
    EventType.JOB_SUCCEEDED: "Video ready",
    EventType.JOB_FAILED: "Video failed",
    EventType.JOB_HELD: "Video on hold",
    EventType.JOB_UNKNOWN: "Video needs a look",
    EventType.JOB_CANCELED: "Video canceled",
    EventType.JOB_OVERDUE: "Video overdue",
    EventType.VIDEO_EXPIRING: "Video link expires soon",
}
#: What to say where the job itself names no reason.
_EXPLANATIONS = {
    EventType.JOB_SUBMITTED: "The provider has it. You hear from us when it is done.",
    EventType.JOB_FAILED: "There will be no video.",
    EventType.JOB_HELD: "It waits and was not sent yet.",
    EventType.JOB_UNKNOWN: (
        "It was sent, but no answer came. It is not sent again by itself, "
        "so that nothing is paid twice."
    ),
    EventType.JOB_CANCELED: "It was taken back before it was sent.",
    EventType.JOB_OVERDUE: (
        "It takes longer than the provider said. We go on asking; a late video still counts."
    ),
}
_WITH_ERROR = frozenset({EventType.JOB_FAILED, EventType.JOB_HELD, EventType.JOB_UNKNOWN})
_WITH_VIDEO = frozenset({EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING})


@dataclass(frozen=True)
class Story:
    """
    What a person is told of an event, in any kind of message.

    `reason` and `hint` are empty on good news, `prompt` where it must not be
    repeated, `watch` where there is no video; `code` is the error's word.
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
        """The one link that matters most."""
        return self.watch or self.job_url

    @property
    def headline(self) -> str:
        """The title with a little of the prompt: for notifications and subjects."""
        return f"{self.title}: {cut(self.prompt, 120)}" if self.prompt else self.title


def tell(notice: Notice) -> Story:
    """The notice in words."""
    kind, job = notice.event.type, notice.job
    error = (job.error or {}) if kind in _WITH_ERROR else {}
    code = str(error.get("code") or "")
    prompt = plain(job.input.get("prompt"))
    # Nobody wants to find in a channel what a provider's filter has refused.
    secret = prompt if code == "CONTENT_VIOLATION" else ""
    watch = (notice.link or "") if kind in _WITH_VIDEO else ""
    return Story(
        title=TITLES.get(kind, f"Clipbell: {kind.value}"),
        prompt="" if secret else prompt,
        reason=_reason(error, secret) or _EXPLANATIONS.get(kind, ""),
        hint=plain(error.get("hint")),
        code=code,
        facts=_facts(job, notice.video if watch else None),
        watch=watch,
        download=f"{watch}?download=1" if watch else "",
        job_url=f"{notice.public_url}/jobs/{job.id}",
    )


def _reason(error: dict[str, Any], secret: str) -> str:
    message = plain(error.get("message"))
    if secret and secret in message:
        return "The provider's filter refused it."
    return _sentence(message)


def _sentence(text: str) -> str:
    """Vendors begin small and end without a stop."""
    whole = text[:1].upper() + text[1:]
    return whole if not whole or whole[-1] in ".!?…" else whole + "."


def _facts(job: Job, video: Video | None) -> tuple[tuple[str, str], ...]:
    seconds = (video.seconds if video else None) or job.input.get("duration")
    model = MODELS.get(job.model)
    found = {
        "Model": model.title if model else job.model,
        "Length": f"{seconds:g} s" if isinstance(seconds, int | float) else "",
        "Format": _format(job, video),
        "Made in": _made_in(job) if video else "",
        "Job": job.id,
    }
    return tuple((name, value) for name, value in found.items() if value)


def _format(job: Job, video: Video | None) -> str:
    if video and video.width and video.height:
        return f"{video.width} × {video.height}"
    return plain(job.input.get("aspect_ratio"))


def _made_in(job: Job) -> str:
    if job.finished_at is None:
        return ""
    spent = (job.finished_at - (job.submitted_at or job.created_at)).total_seconds()
    minutes, seconds = divmod(round(spent), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def plain(value: Any) -> str:
    """`value` as one line: every run of blanks and control characters is one space."""
    text = "".join(char if char.isprintable() else " " for char in str(value or ""))
    return " ".join(text.split())


def cut(text: str, length: int) -> str:
    """At most that many characters, with an ellipsis where some are missing."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def card(notice: Notice) -> dict[str, Any]:
    """The whole message: a notification's text, and the blocks."""
    story = tell(notice)
    blocks = [
        {"type": "header", "text": _plain_text(cut(story.title, HEADER_LENGTH))},
        _section(cut(story.prompt, PROMPT_LENGTH)),
        _section(cut(f"{story.reason}\n{story.hint}".strip(), REASON_LENGTH)),
        _image(notice, story),
        _context(story),
        _actions(story),
    ]
    return {
        "text": _notification(story),
        "blocks": [block for block in blocks if block],
        # Otherwise Slack fetches the signed link and shows the video a second time.
        "unfurl_links": False,
        "unfurl_media": False,
    }


def degraded(card: dict[str, Any]) -> list[dict[str, Any]]:
    """
    The card, and what to send where Slack refuses it: without image, then text only.

    Slack refuses a whole message for one image that it cannot fetch.
    """
    blocks = [block for block in card["blocks"] if block["type"] != "image"]
    bare = {key: value for key, value in card.items() if key != "blocks"}
    rungs = [card, card | {"blocks": blocks}, bare]
    return [rung for number, rung in enumerate(rungs) if rung not in rungs[:number]]


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain_text(text)} if text else {}


def _image(notice: Notice, story: Story) -> dict[str, Any]:
    has_poster = notice.video is not None and notice.video.poster_file
    url = f"{story.watch}/poster.jpg"
    if not (story.watch and has_poster and _is_public(url)) or len(url) > URL_LENGTH:
        return {}
    alt = f"A frame of the video: {story.prompt}" if story.prompt else "A frame of the video"
    return {"type": "image", "image_url": url, "alt_text": cut(alt, PROMPT_LENGTH)}


def _is_public(url: str) -> bool:
    """Whether Slack's own servers could fetch it, as far as the name tells."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or not host:
        return False
    try:
        return is_allowed(parse_address(host), ())
    except ValueError:
        return "." in host and host.rpartition(".")[2] not in ("localhost", "local", "internal")


def _context(story: Story) -> dict[str, Any]:
    facts = [f"made in {v}" if name == "Made in" else v for name, v in story.facts]
    lines = [" · ".join(facts[:-1]), " · ".join(filter(None, [facts[-1], story.code]))]
    return {"type": "context", "elements": [_plain_text(cut(line, 300)) for line in lines if line]}


def _actions(story: Story) -> dict[str, Any]:
    links = (("Watch", story.watch), ("Download", story.download), ("Open job", story.job_url))
    usable = [(label, url) for label, url in links if 0 < len(url) <= URL_LENGTH]
    return {"type": "actions", "elements": [_button(label, url) for label, url in usable]}


def _button(label: str, url: str) -> dict[str, Any]:
    button = {"type": "button", "text": _plain_text(label), "url": url, "action_id": label}
    return button | ({"style": "primary"} if label == "Watch" else {})


def _notification(story: Story) -> str:
    lines = [story.headline, cut(f"{story.reason} {story.hint}".strip(), PROMPT_LENGTH)]
    return "\n".join(escape(line) for line in (*lines, story.target) if line)


def escape(text: str) -> str:
    """The three characters that mean something in mrkdwn ("Formatting text for app surfaces")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

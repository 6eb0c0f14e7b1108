"""What a person is notified of an event, in any kind of message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.channel_targets import error, notification

from service.messages.content import cut, describe, plain
from service.model import EventType


def test_an_old_error_is_not_shown_with_good_news() -> None:
    """A job that was held once and came through is simply ready."""
    content = describe(notification(error=error("INSUFFICIENT_CREDITS", "no credits")))

    assert ("", "", "") == (content.reason, content.hint, content.code)


@pytest.mark.parametrize(
    ("kind", "ends", "actual", "expected"),
    [
        (EventType.JOB_SUCCEEDED, (0.44, 0.44), 0.4, "$0.40"),
        (EventType.JOB_SUCCEEDED, (0.44, 0.44), None, "about $0.44"),
        (EventType.JOB_SUCCEEDED, (0.315, 0.63), None, "about $0.315–0.63"),
        (EventType.JOB_SUCCEEDED, (None, None), None, ""),
        (EventType.JOB_HELD, (1.75, 1.75), None, "about $1.75"),
        (EventType.JOB_FAILED, (1.75, 1.75), None, ""),
        (EventType.JOB_FAILED, (1.75, 1.75), 0.0, "$0.00"),
    ],
)
def test_cost(
    kind: EventType, ends: tuple[float | None, float | None], actual: float | None, expected: str
) -> None:
    """What it cost where that is known, else what it is expected to; nothing for a failure."""
    low, high = ends
    asked = notification(kind)
    assert asked.job is not None
    job = replace(asked.job, estimated_min=low, estimated_max=high, actual_cost=actual)

    assert expected == dict(describe(replace(asked, job=job)).facts).get("Cost", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("a fox", "a fox"), ("a foxes", "a fox…"), ("a fo xes", "a fo…")],
)
def test_cuts_are_shown(text: str, expected: str) -> None:
    """What is too long ends in an ellipsis, without a blank before it, and keeps the limit."""
    assert expected == cut(text, 6)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ""), (7, "7"), ("  a\n\x00\x1b fox\t", "a fox")]
)
def test_texts_become_one_line(value: object, expected: str) -> None:
    """Blanks and control characters in a row are one space."""
    assert expected == plain(value)


@pytest.mark.parametrize(
    "prompt",
    [
        "A family 👨‍👩‍👧 at sea",
        "می‌خواهم یک روباه",  # a zero width non-joiner, as Persian needs it
        "क्‍ष in the rain",
        "A flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿 in the wind",
        "שלום\u200f, world",
        "Zürich, e\u0301tude, ไทย",
    ],
)
def test_every_script_keeps_its_joiners(prompt: str) -> None:
    """Emoji of several people, flags, Persian and Indian letters are shown as they were written."""
    assert prompt == plain(prompt)


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u2028", "\x85", "\ufeff", "\x1b"])
def test_nothing_reorders_or_breaks_the_line(mark: str) -> None:
    """A mark that turns the text behind it round, or ends the line, becomes a space."""
    assert "a fox" == plain(f"a{mark}fox")

"""What a person is told of an event, in any kind of message."""

from __future__ import annotations

import pytest
from channel_targets import error, notice

from service.wording import cut, plain, tell


def test_an_old_error_is_not_told_with_good_news() -> None:
    """A job that was held once and came through is simply ready."""
    story = tell(notice(error=error("INSUFFICIENT_CREDITS", "no credits")))

    assert ("", "", "") == (story.reason, story.hint, story.code)


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

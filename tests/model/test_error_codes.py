"""One vocabulary for what vendors say in many."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.error_codes import (
    FAILURES,
    HOLD_CODES,
    POLICY_WORDS,
    RETRY_CODES,
    code_of,
    job_error,
    with_code,
)

#: The vendors' words in both spellings, and ours.
WORDS = {
    "CONTENT_VIOLATION": "CONTENT_VIOLATION",
    "NSFW_DETECTED": "CONTENT_VIOLATION",
    "NSFW": "CONTENT_VIOLATION",
    "SensitiveContent": "CONTENT_VIOLATION",
    "SensitiveContentDetected": "CONTENT_VIOLATION",
    "InputImageSensitiveContentDetected": "CONTENT_VIOLATION",
    "InputOutputSensitiveContentDetected": "CONTENT_VIOLATION",
    "ProhibitedContentDetected": "CONTENT_VIOLATION",
    "PROMPT_TOO_LONG": "PROMPT_TOO_LONG",
    "PromptLengthExceeded": "PROMPT_TOO_LONG",
    "INVALID_PROMPT": "BAD_REQUEST",
    "INVALID_IMAGE_URL": "INVALID_IMAGE_URL",
    "InvalidImageUrl": "INVALID_IMAGE_URL",
    "IMAGE_TOO_LARGE": "IMAGE_TOO_LARGE",
    "UNSUPPORTED_FORMAT": "UNSUPPORTED_FORMAT",
    "IMAGE_DOWNLOAD_FAILED": "IMAGE_DOWNLOAD_FAILED",
    "PROCESSING_TIMEOUT": "PROCESSING_TIMEOUT",
    "ProcessingTimeout": "PROCESSING_TIMEOUT",
    "MODEL_UNAVAILABLE": "PROVIDER_UNAVAILABLE",
    "GENERATION_FAILED": "PROVIDER_ERROR",
    "INSUFFICIENT_CREDITS": "INSUFFICIENT_CREDITS",
    "content_policy_violation": "CONTENT_VIOLATION",
    "moderation_blocked": "CONTENT_VIOLATION",
    "file_too_large": "IMAGE_TOO_LARGE",
    "unsupported_image_format": "UNSUPPORTED_FORMAT",
    "file_download_error": "IMAGE_DOWNLOAD_FAILED",
    "generation_timeout": "PROCESSING_TIMEOUT",
    "insufficient_quota": "INSUFFICIENT_CREDITS",
    "InsufficientCredits": "INSUFFICIENT_CREDITS",
    "a word of next year": "PROVIDER_ERROR",
    "": "PROVIDER_ERROR",
}


@pytest.mark.parametrize(("word", "code"), WORDS.items())
def test_vendor_words(word: str, code: str) -> None:
    """Each documented fail code, in either spelling, is one of ours; a new one is an error."""
    assert code == code_of(word)


@given(st.text(st.characters()))
def test_any_word_has_a_code(word: str) -> None:
    """Whatever a vendor invents, there is advice for it, and its own word is kept."""
    error = job_error(code_of(word), "it failed", word)

    assert error.code in FAILURES
    assert (word, True) == (error.provider_code, bool(error.hint))


@pytest.mark.parametrize("code", FAILURES)
def test_every_failure_helps(code: str) -> None:
    """Each code is a stable word and each hint one short sentence for a person."""
    error = job_error(code, "what the vendor said")

    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code)
    assert re.fullmatch(r"[A-Z].{5,90}\.", error.hint)
    assert ("what the vendor said", None) == (error.message, error.provider_code)
    assert FAILURES[code].retryable == error.retryable


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("INSUFFICIENT_CREDITS", "Insufficient credits", "Insufficient credits"),
        ("INSUFFICIENT_CREDITS", "insufficient credits.", "insufficient credits."),
        ("INSUFFICIENT_CREDITS", "none left", "INSUFFICIENT_CREDITS: none left"),
        ("RATE_LIMITED", "Rate limited", "Rate limited"),
    ],
)
def test_nothing_is_said_twice(code: str, message: str, expected: str) -> None:
    """A code stands before a message only where that does not say the same."""
    assert expected == with_code(code, message)


def test_kinds_do_not_overlap() -> None:
    """What holds a provider never passes by itself, and both are known codes."""
    assert set() == HOLD_CODES & RETRY_CODES
    assert FAILURES.keys() >= HOLD_CODES | RETRY_CODES


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Content violates policy", True),
        ("NSFW image", True),
        ("API key lacks permission", False),
        ("Insufficient permissions", False),
        ("Forbidden", False),
    ],
)
def test_two_meanings_of_403(message: str, expected: bool) -> None:
    """A refusal for the content is distinguished from one for the key by its words."""
    assert expected == bool(POLICY_WORDS.search(message))

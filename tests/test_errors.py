"""Errors with their evidence: everything wrong with an input is said at once."""

from __future__ import annotations

import pytest

from service.errors import FieldError, FieldErrors, InvalidInput, did_you_mean, got


def test_collected() -> None:
    """Faults of blocks and single ones stand in order, each below where it was found."""
    errors = FieldErrors("/notify/0")
    errors.add("/channel", "not_allowed", "must be one of a, b")
    with errors.collect("/target"):
        raise InvalidInput([FieldError("", "required", "say where"), FieldError("/x", "y", "z")])
    with pytest.raises(InvalidInput) as found:
        errors.raise_any()

    assert [
        FieldError("/notify/0/channel", "not_allowed", "must be one of a, b"),
        FieldError("/notify/0/target", "required", "say where"),
        FieldError("/notify/0/target/x", "y", "z"),
    ] == found.value.faults


def test_nothing_wrong() -> None:
    """Without a fault nothing is raised."""
    errors = FieldErrors()
    with errors.collect():
        pass

    errors.raise_any()
    assert [] == errors.found


def test_other_errors_pass() -> None:
    """Only an InvalidInput is collected."""
    errors = FieldErrors()
    with pytest.raises(ZeroDivisionError), errors.collect():
        raise ZeroDivisionError

    assert [] == errors.found


def test_one_alone() -> None:
    """A single fault says its field and what to do."""
    error = InvalidInput.at("/metadata", "wrong_type", "must be an object")

    assert "/metadata: must be an object" == str(error)
    assert [FieldError("/metadata", "wrong_type", "must be an object")] == error.faults


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, "; got 7"),
        (7.0, "; got 7"),
        (0.25, "; got 0.25"),
        (None, "; got null"),
        (True, "; got true"),
        ("Straße", '; got "Straße"'),
        ([], "; got []"),
        ({"a": 1}, '; got {"a": 1}'),
        ("\ud800", '; got "\\ud800"'),
        (float("nan"), "; got NaN"),
        (float("inf"), "; got Infinity"),
    ],
)
def test_value_in_a_message(value: object, expected: str) -> None:
    """A message repeats a wrong value as JSON has it."""
    assert expected == got(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 1_000_000, '; got "' + "x" * 38 + "…"),
        ([1000] * 1_000_000, "; got [1000, 1000, 1000, 1000, 1000, 1000, 10…"),
        (["x" * 1_000_000], '; got ["' + "x" * 37 + "…"),
    ],
    ids=["text", "list", "texts"],
)
def test_long_value_in_a_message(value: object, expected: str) -> None:
    """Of an image in base64 only the beginning is repeated."""
    assert expected == got(value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("duratoin", "; did you mean duration?"),
        ("image", "; did you mean image_urls?"),
        ("im", ""),
        ("colour", ""),
        ("duration" * 100_000, ""),
    ],
    ids=lambda value: value[:20],
)
def test_did_you_mean(word: str, expected: str) -> None:
    """A word that is nearly a known one, or its beginning, is answered with that one."""
    assert expected == did_you_mean(word, ["prompt", "duration", "image_urls"])

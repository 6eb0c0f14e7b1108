"""Errors with their evidence: everything wrong with an input is said at once."""

from __future__ import annotations

import pytest

from service.errors import FieldError, FieldErrors, InvalidInput


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

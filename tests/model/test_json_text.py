"""JSON as requests and files may bring it: what is refused says so in words of its own."""

from __future__ import annotations

import pytest

from service.model.json_text import read_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "it is nested deeper than 50 levels"),
        ('{"a":' * 100_000, "it is nested deeper than 50 levels"),
        ("[" * 51 + "7" + "]" * 51, "it is nested deeper than 50 levels"),
        ("9" * 5000, "99999999999999999999… is too large a number"),
        ("-" + "9" * 5000, "-9999999999999999999… is too large a number"),
        ("1e999", "1e999 is too large a number"),
        ("[NaN]", "NaN is not JSON"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """Nobody has to know the limits of Python to understand why."""
    with pytest.raises(ValueError) as caught:
        read_json(text)

    assert message == str(caught.value)


def test_large_numbers() -> None:
    """Whole numbers of any usual length stay exact."""
    assert {"a": 10**300} == read_json('{"a": 1' + "0" * 300 + "}")

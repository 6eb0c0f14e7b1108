"""Which addresses mail is sent to: wherever one is given, the same ones are taken."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.channels.email import Email
from service.channels.email_address import ascii_address
from service.errors import InvalidInput, SettingsError
from service.ops.setup import owner_address

GOOD = [
    ("name@example.com", "name@example.com"),
    ("Name+tag@EXAMPLE.com", "Name+tag@example.com"),
    ("a@münchen.de", "a@xn--mnchen-3ya.de"),
    ("a@xn--mnchen-3ya.de", "a@xn--mnchen-3ya.de"),
]
BAD = [
    *("", "nobody", "a@localhost", "a..b@example.com", "a@b.de, c@d.de", "Me <a@b.de>"),
    *("jürgen@example.com", "用户@例え.jp", "a@example.com\r\nBcc: b@c.de", '"a b"@example.com'),
]
CHANNEL = Email("smtp://127.0.0.1:25", "clips@example.com")


@pytest.mark.parametrize(("given", "expected"), GOOD)
def test_good(given: str, expected: str) -> None:
    """An address is kept in ASCII, as a target and as an owner's."""
    assert expected == ascii_address(given)
    assert expected == CHANNEL.check_target(given)
    assert expected == owner_address(given)


@pytest.mark.parametrize("given", BAD)
def test_bad(given: str) -> None:
    """What one place refuses, the others refuse, with the same reason and an example."""
    with pytest.raises(ValueError, match=r"name@example\.com") as reason:
        ascii_address(given)
    with pytest.raises(InvalidInput) as target:
        CHANNEL.check_target(given)
    with pytest.raises(SettingsError) as owner:
        owner_address(given)

    assert str(reason.value) == target.value.faults[0].message
    assert f"--owner-email: {reason.value}" == str(owner.value)


def test_no_owner() -> None:
    """An account may have nobody to write to."""
    assert owner_address(None) is None


@given(st.text())
def test_any(text: str) -> None:
    """Whatever is given, it becomes an ASCII address or a ValueError."""
    with suppress(ValueError):
        assert ascii_address(text).isascii()

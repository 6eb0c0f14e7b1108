"""Which addresses may be reached; the edges of the ranges."""

from __future__ import annotations

import pytest

from service.outbound.addresses import is_allowed, parse_address, parse_networks


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "2001:200::1",
        "2606:4700::1111",
        "2a00:1450::1",
    ],
)
def test_public_addresses_are_allowed(text: str) -> None:
    """
    What the public Internet uses is open, up to the edge of each special range.
    """
    assert is_allowed(parse_address(text), ())


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "10.1.0.0/16"),
        ("168.63.129.16", "168.63.129.16"),
        ("fd00::7", "fd00::/8"),
        ("fe80::7%eth0", "fe80::/10"),
    ],
)
def test_a_named_network_is_opened_and_nothing_else(text: str, network: str) -> None:
    """
    The operator's networks are reachable, in either spelling of an address; others stay shut.
    """
    networks = parse_networks([network])

    assert is_allowed(parse_address(text), networks)
    assert not is_allowed(parse_address("192.168.0.1"), networks)
    assert not is_allowed(parse_address("fc00::1"), networks)


def test_a_malformed_network_is_named() -> None:
    """
    A typing error in the list stops the start instead of opening something.
    """
    with pytest.raises(ValueError, match=r"10\.0\.0/8"):
        parse_networks(["10.0.0/8"])

"""Which network addresses outgoing calls may reach; pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Refused although `is_global` says otherwise, here or in some release of Python.
_SPECIAL_V4 = (
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT
    IPv4Network("168.63.129.16/32"),  # Azure's metadata service, in a public range
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
)
# Everything that embeds an IPv4 address (compatible, translated, NAT64) and everything
# local lies outside of this range, so it need not be listed.
_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = (
    IPv6Network("2001::/23"),  # Teredo, ORCHID, benchmarking
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)


def parse_address(text: str) -> Address:
    """Parse an address from a socket (``fe80::1%eth0``); a v4-mapped one becomes v4."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse CIDRs such as ``10.0.0.0/8``. Raises ValueError, which names a malformed one."""
    return tuple(ip_network(text) for text in texts)


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address is public unicast, or in one of `networks`."""
    if any(address in network for network in networks):
        return True
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    special = any(address in network for network in _SPECIAL_V6)
    return address in _UNICAST_V6 and not special

"""Which addresses of the network a result may be fetched from: public ones, and hosts that the configuration names.

Pure functions on names and numbers; who looks names up and connects is `_download`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")
# Forms of IPv6 that carry an IPv4 address, which a translator on the way would go to; and documentation.
_V6_REFUSED = tuple(
    ipaddress.IPv6Network(net)
    for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "64:ff9b::/96", "64:ff9b:1::/48")
)
_V4_REFUSED = tuple(
    ipaddress.IPv4Network(net)
    for net in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4")
)


def is_public(address: str) -> bool:
    """Say whether an IP address, in its usual spelling, is one of the open internet.

    No for private, loopback, link-local, carrier-grade, unique-local, multicast, unspecified, reserved and
    documentation addresses, and for IPv6 forms that hold an IPv4 address (mapped, 6to4, NAT64, Teredo).
    No for what is no address.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.is_multicast or found.is_reserved or not found.is_global:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        return found in _V6_PUBLIC and not any(found in net for net in _V6_REFUSED) and found.scope_id is None
    return not any(found in net for net in _V4_REFUSED)


def is_usable(address: str) -> bool:
    """Say whether a host of the configuration may have this address: any but unspecified, multicast and broadcast."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255")


def is_odd_number(host: str) -> bool:
    """Say whether a host is a number in a spelling that libraries read differently (octal, hex, one number, short)."""
    last = host.rstrip(".").rpartition(".")[2]
    if not re.fullmatch(r"(?i)\d+|0x[0-9a-f]*", last):
        return False
    try:
        return str(ipaddress.IPv4Address(host)) != host
    except ValueError:
        return True


def is_named(host: str, port: int, scheme: str, allowed: Collection[str]) -> bool:
    """Say whether the configuration names this very host and port.

    Args:
        host: lower case, an IPv6 address without brackets.
        port: the port that would be connected to.
        scheme: `http` or `https`.
        allowed: `host` (80 with http, 443 with https) or `host:port`; IPv6 addresses in brackets.
    """
    shown = f"[{host}]" if ":" in host else host
    names = {name.strip().lower() for name in allowed}
    return f"{shown}:{port}" in names or (shown in names and port == (443 if scheme == "https" else 80))

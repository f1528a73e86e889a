"""From which network a request comes: by its connection, or by the proxy's word where a proxy is trusted."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

# What one customer gets of IPv6: whoever has one address there has them all.
ONE_CUSTOMER = 64


def network_of(request: HttpRequest | None) -> str:
    """An IPv4 address, or an IPv6 network; empty where it is not known."""
    if request is None:
        return ""
    if not settings.BEHIND_PROXY:
        return network(request.META.get("REMOTE_ADDR", ""))
    # Only the last entry is the proxy's own; those before it are what the client claims.
    return network(request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2])


def network(text: str) -> str:
    """The network of an address; empty for what is none."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    rest = 128 - ONE_CUSTOMER
    return str(IPv6Network((int(address) >> rest << rest, ONE_CUSTOMER)))

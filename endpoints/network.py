"""Where outbound requests may go: a name is looked up once and every address it has is checked."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
Lookup: TypeAlias = Callable[..., list[tuple[Any, ...]]]
"""A function that answers as `socket.getaddrinfo` does."""

_NAT64 = ip_network("64:ff9b::/96")
_PUBLIC_IPV6 = ip_network("2000::/3")
_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# Cloud metadata services hand credentials to whoever reaches them; these lie in private or public ranges.
_METADATA = frozenset(
    ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)


class BlockedAddress(Exception):
    """A name has an address that may not be dialled; the text is that address."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Which networks requests may reach beyond the public internet, and whom TLS trusts.

    `ca_file` is the path of a PEM file with certificate authorities trusted besides the public ones.
    Link-local, multicast, reserved and cloud metadata addresses are never reachable.
    """

    allow_loopback: bool = False
    allow_private: bool = False
    ca_file: str = ""

    def allows(self, address: str) -> bool:
        """Whether this IP address (in text, as the resolver writes it) may be dialled."""
        ip = _as_routed(ip_address(address))
        if ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
            return False
        if ip.is_loopback:
            return self.allow_loopback
        if any(ip in network for network in _PRIVATE):
            return self.allow_private
        return _is_public(ip)


@dataclass(frozen=True, slots=True)
class Address:
    """One checked address, ready for a socket."""

    family: socket.AddressFamily
    target: tuple[Any, ...]


def resolve(
    host: str, port: int, policy: NetworkPolicy, seconds: float, lookup: Lookup = socket.getaddrinfo
) -> list[Address]:
    """The addresses of `host`, in the resolver's order, every one of them allowed.

    Raises BlockedAddress, TimeoutError after `seconds`, or OSError or UnicodeError as the resolver does.
    """
    found = _lookup_within(seconds, lookup, host, port)
    for *_, target in found:
        if not policy.allows(target[0]):
            raise BlockedAddress(target[0])
    return [Address(family, target) for family, *_, target in found]


def _lookup_within(seconds: float, lookup: Lookup, host: str, port: int) -> list[tuple[Any, ...]]:
    """The resolver has no time-out of its own, so it runs aside and is left behind when it hangs."""
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(lookup(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="dns", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _as_routed(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_public(ip: IPAddress) -> bool:
    in_public_space = ip.version == 4 or ip in _PUBLIC_IPV6
    return in_public_space and ip.is_global and not ip.is_reserved

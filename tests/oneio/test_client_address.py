"""From which network a request comes: nobody can choose it by a header unless a proxy is trusted."""

from typing import Any

import pytest
from django.test import RequestFactory

from oneio.client_address import network, network_of


def request_from(address: str, forwarded: str | None = None) -> Any:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory().get("/admin/login/", REMOTE_ADDR=address, headers=headers)


def test_header_of_strangers_is_not_believed() -> None:
    assert network_of(request_from("198.51.100.7", "203.0.113.1")) == "198.51.100.7"


@pytest.mark.parametrize(
    ("forwarded", "place"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("192.0.2.66, 203.0.113.1", "203.0.113.1"),
        ("192.0.2.66,203.0.113.1", "203.0.113.1"),
        ("203.0.113.1, unknown", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_trusted_proxy_has_the_last_word(settings: Any, forwarded: str | None, place: str) -> None:
    settings.BEHIND_PROXY = True

    assert network_of(request_from("127.0.0.1", forwarded)) == place


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("198.51.100.7:4711", ""),
        ("x" * 10_000, ""),
    ],
)
def test_customer_of_ipv6_is_one_network(address: str, place: str) -> None:
    assert network(address) == place


def test_login_without_a_request_has_no_network() -> None:
    assert network_of(None) == ""

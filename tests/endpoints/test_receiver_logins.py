"""Receiver passwords: who is let in, and until when."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from endpoints.models import ReceiverLogin
from endpoints.receiver_logins import (
    UsernameRefused,
    generate_password,
    grace_ends,
    identify,
    identify_token,
    set_password,
)
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db


def test_password_has_256_bits_and_is_new() -> None:
    passwords = {generate_password() for _ in range(100)}

    assert len(passwords) == 100
    assert min(map(len, passwords)) >= 43


def test_password_identifies_its_endpoint() -> None:
    endpoint = make_endpoint()

    set_password(endpoint, "snow", "p1")

    assert identify("snow", "p1") == identify_token("p1") == endpoint
    assert identify("snow", "p2") is identify("other", "p1") is identify_token("p2") is None


def test_identifying_is_one_query(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    set_password(make_endpoint(), "snow", "p1")

    with django_assert_num_queries(1):
        assert identify("snow", "p1").environment.kind == "production"  # type: ignore[union-attr]
    with django_assert_num_queries(1):
        assert identify("nobody", "p1") is None


def test_old_password_works_during_its_grace() -> None:
    endpoint = make_endpoint()
    set_password(endpoint, "snow", "old")

    set_password(endpoint, "snow", "new", timedelta(hours=2))

    assert identify("snow", "old") == identify("snow", "new") == endpoint
    ends = grace_ends(endpoint)
    assert ends is not None
    assert abs(ends - timezone.now() - timedelta(hours=2)) < timedelta(minutes=1)


def test_old_password_ends_with_its_grace() -> None:
    endpoint = make_endpoint()
    set_password(endpoint, "snow", "old")
    set_password(endpoint, "snow", "new", timedelta(hours=2))

    endpoint.receiver_logins.filter(valid_until__isnull=False).update(
        valid_until=F("valid_until") - timedelta(hours=3)
    )

    assert identify("snow", "old") is identify_token("old") is grace_ends(endpoint) is None
    assert identify("snow", "new") == endpoint


def test_no_grace_ends_the_old_at_once() -> None:
    endpoint = make_endpoint()
    set_password(endpoint, "snow", "old")

    set_password(endpoint, "snow", "new", timedelta(0))

    assert identify("snow", "old") is None
    assert grace_ends(endpoint) is None


def test_only_one_old_password_is_kept() -> None:
    endpoint = make_endpoint()

    for password in ("p1", "p2", "p3"):
        set_password(endpoint, "snow", password)

    assert endpoint.receiver_logins.count() == 2
    assert identify("snow", "p1") is None


def test_old_username_works_during_its_grace() -> None:
    endpoint = make_endpoint()
    set_password(endpoint, "before", "p1")
    set_password(endpoint, "after", "p2")

    other = make_endpoint()
    set_password(other, "before", "p3")

    assert identify("before", "p1") == endpoint
    assert identify("before", "p3") == other


def test_username_of_another_endpoint_is_refused() -> None:
    set_password(make_endpoint(), "snow", "p1")
    second = make_endpoint()

    with pytest.raises(UsernameRefused, match="already uses"):
        set_password(second, "snow", "p2")

    assert not second.receiver_logins.exists()


@pytest.mark.parametrize("username", ["", "a:b", "a\0b", "x" * 101, "a\nb"])
def test_username_basic_cannot_carry_is_refused(username: str) -> None:
    with pytest.raises(UsernameRefused):
        set_password(make_endpoint(), username, "p")


def test_password_itself_is_stored_nowhere() -> None:
    set_password(make_endpoint(), "snow", "very-secret")

    row = ReceiverLogin.objects.values().get()

    assert b"very-secret" not in b"".join(bytes(row[name]) for name in ("password_hash", "token_hash"))
    assert "very-secret" not in str(row)

"""Failed logins: how many are let through, for how long more are refused, what is kept of them."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import RequestFactory

from oneio import logins
from oneio.logins import Login, TooManyTries, Try, remaining
from oneio.models import LoginTry
from tests.signed_in import make_user

HOME, OFFICE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ADA = Login.of("ada", HOME)


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.LOGIN_FAILURES = 3
    settings.LOGIN_FAILURES_PER_NAME = 5
    settings.LOGIN_FAILURES_PER_ADDRESS = 7
    settings.LOGIN_WINDOW_SECONDS = 600
    settings.PASSWORD_HASHERS = QUICK


def tried(name: str, place: str, minutes_ago: float = 1, *, succeeded: bool = False) -> Try:
    login = Login.of(name, place)
    return Try(login.name, login.network, succeeded, timedelta(minutes=minutes_ago))


def fail(times: int, name: str = "ada", place: str = HOME) -> None:
    for _ in range(times):
        logins.failed(Login.of(name, place))


def made_older(by: timedelta) -> None:
    LoginTry.objects.update(at=F("at") - by)


def is_refused(name: str = "ada", place: str = HOME) -> bool:
    try:
        logins.check(Login.of(name, place))
    except TooManyTries:
        return True
    return False


class TestLimits:
    def test_oldest_failure_that_counts_says_when(self) -> None:
        tries = [tried("ada", HOME, minutes_ago) for minutes_ago in (9, 1, 4, 6)]

        assert remaining(ADA, tries) == timedelta(minutes=4)
        assert remaining(ADA, tries[:2]) == timedelta(0)

    def test_name_is_limited_from_anywhere(self) -> None:
        tries = [tried("ada", f"198.51.100.{number}") for number in range(5)]

        assert remaining(ADA, tries) == timedelta(minutes=9)
        assert remaining(ADA, tries[1:]) == timedelta(0)

    def test_address_is_limited_for_any_name(self) -> None:
        tries = [tried(f"person-{number}", HOME) for number in range(7)]

        assert remaining(ADA, tries) == timedelta(minutes=9)
        assert remaining(ADA, tries[1:]) == timedelta(0)

    def test_strangers_keep_nobody_out_of_their_network(self) -> None:
        tries = [tried("ada", ELSEWHERE) for _ in range(50)]
        known = tried("ada", HOME, 60 * 24 * 7, succeeded=True)

        assert remaining(ADA, tries) > timedelta(0)
        assert remaining(ADA, [*tries, known]) == timedelta(0)

    def test_known_network_does_not_help_its_own_guesser(self) -> None:
        tries = [tried("ada", HOME) for _ in range(3)]

        assert remaining(ADA, [*tries, tried("ada", HOME, succeeded=True)]) > timedelta(0)

    def test_unknown_address_is_not_everybodys(self) -> None:
        tries = [tried(f"person-{number}", "") for number in range(50)]

        assert remaining(Login.of("ada", ""), tries) == timedelta(0)
        assert remaining(Login.of("person-1", ""), tries * 3) > timedelta(0)

    def test_limit_of_zero_limits_nothing(self, settings: Any) -> None:
        settings.LOGIN_FAILURES = settings.LOGIN_FAILURES_PER_NAME = settings.LOGIN_FAILURES_PER_ADDRESS = 0

        assert remaining(ADA, [tried("ada", HOME)] * 1000) == timedelta(0)

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [(0.2, "1 minute,"), (60, "1 minute,"), (61, "2 minutes,"), (900, "15 minutes,")],
    )
    def test_refusal_says_when_to_try_again(self, seconds: float, words: str) -> None:
        assert f"Try again in {words}" in str(TooManyTries(timedelta(seconds=seconds)))


@pytest.mark.django_db
class TestCounting:
    def test_failures_add_up_until_refused(self) -> None:
        fail(2)
        assert not is_refused()

        fail(1)

        assert is_refused()
        assert not is_refused("bob")
        assert not is_refused("ada", OFFICE)

    def test_wait_ends_by_itself(self) -> None:
        fail(3)

        made_older(timedelta(seconds=601))

        assert not is_refused()

    def test_success_resets_what_failed_there(self) -> None:
        fail(2)
        fail(2, place=ELSEWHERE)
        fail(2, name="bob")

        logins.succeeded(ADA)

        assert not LoginTry.objects.filter(name=ADA.name, network=ADA.network, succeeded=False).exists()
        assert LoginTry.objects.filter(succeeded=False).count() == 4

    def test_ones_own_success_hides_no_spraying(self) -> None:
        for number in range(7):
            fail(1, f"victim-{number}")
            if number < 6:
                logins.succeeded(Login.of("mallory", HOME))

        assert is_refused("ada")

    def test_success_is_noted_once_a_day(self) -> None:
        logins.succeeded(ADA)
        first = LoginTry.objects.get()

        logins.succeeded(ADA)
        assert LoginTry.objects.get() == first

        made_older(timedelta(days=2))
        logins.succeeded(ADA)
        assert LoginTry.objects.get() != first

    def test_right_guess_comes_too_late(self) -> None:
        logins.check(ADA)
        fail(3)

        with pytest.raises(TooManyTries):
            logins.succeeded(ADA)

    def test_names_and_addresses_cannot_be_read_back(self) -> None:
        fail(1, name="hunter2 typed into the wrong field")

        with connection.cursor() as cursor:
            cursor.execute("SELECT t::text, name, network FROM oneio_logintry t")
            [(text, name, network)] = cursor.fetchall()
        kept = text.encode() + bytes(name) + bytes(network)
        assert b"hunter2" not in kept
        assert HOME.encode() not in kept

    def test_log_says_from_where_but_not_who(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, logger="oneio.logins"):
            fail(3)

        [record] = caplog.records
        assert record.getMessage() == f"Too many failed logins, the last from {HOME}: refused for 600 s"


@pytest.mark.django_db
class TestForgetting:
    def test_name_is_freed_from_everywhere(self) -> None:
        fail(3)
        fail(2, place=ELSEWHERE)
        fail(1, name="bob")

        assert logins.free("ada") == 5
        assert not is_refused()
        assert LoginTry.objects.count() == 1

    def test_command_frees_a_name_or_an_address(self) -> None:
        fail(3)
        fail(3, name="bob", place="2001:db8::/64")
        out = StringIO()

        call_command("free_login", "ada", stdout=out)
        call_command("free_login", "--address", "2001:db8::2", stdout=out)

        assert out.getvalue() == "Failed logins forgotten: 3.\n" * 2
        assert not is_refused("bob", "2001:db8::/64")

    @pytest.mark.parametrize(
        ("words", "advice"), [([], "a username"), (["--address", "home"], "is no IP address")]
    )
    def test_command_says_what_it_needs(self, words: list[str], advice: str) -> None:
        fail(1)

        with pytest.raises(CommandError, match=advice):
            call_command("free_login", *words)
        assert LoginTry.objects.exists()

    def test_what_counts_no_more_is_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logins, "ROWS_AT_ONCE", 2)
        fail(5)
        logins.succeeded(Login.of("bob", HOME))
        made_older(timedelta(minutes=11))
        fail(1)

        assert logins.forget_old() == 5
        made_older(logins.KNOWN_FOR)
        assert logins.forget_old() == 2
        assert not LoginTry.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_failures_at_once_all_count(self) -> None:
        def once(_: int) -> None:
            try:
                fail(1)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(once, range(40)))

        assert LoginTry.objects.count() == 40

    def test_successes_at_once_do_not_block_each_other(self) -> None:
        def once(_: int) -> None:
            try:
                logins.succeeded(ADA)
                logins.forget_old()
            finally:
                connection.close()

        fail(2)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(once, range(40)))

        assert not LoginTry.objects.filter(succeeded=False).exists()


@pytest.mark.django_db
class TestBackend:
    def test_right_password_is_refused_too(self) -> None:
        user = make_user()
        request = RequestFactory().post("/", REMOTE_ADDR=HOME)

        for _ in range(3):
            assert authenticate(request, username=user.username, password="wrong") is None

        with pytest.raises(TooManyTries):
            authenticate(request, username=user.username, password="correct horse")
        assert authenticate(username=user.username, password="correct horse") == user

    def test_unknown_name_is_treated_alike(self) -> None:
        for _ in range(3):
            assert authenticate(username="nobody", password="wrong") is None

        with pytest.raises(TooManyTries):
            authenticate(username="nobody", password="wrong")

    def test_refused_tries_do_not_prolong_it(self) -> None:
        fail(3, place="")

        for _ in range(20):
            with pytest.raises(TooManyTries):
                authenticate(username="ada", password="wrong")

        assert LoginTry.objects.count() == 3

    @pytest.mark.parametrize("name", ["\0", "a\0da", "x" * 100_000, "", "ａｄａ", "ada' OR '1'='1"])
    def test_any_name_is_counted(self, name: str) -> None:
        assert authenticate(username=name, password="wrong") is None

        assert bytes(LoginTry.objects.get().name) == Login.of(name, "").name

    def test_other_credentials_are_not_its_business(self) -> None:
        assert authenticate(token="x") is None
        assert not LoginTry.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_asynchronous_way_is_limited_too(self) -> None:
        fail(3, place="")

        with pytest.raises(TooManyTries):
            async_to_sync(aauthenticate)(username="ada", password="wrong")

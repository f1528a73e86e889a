"""The doors people come through, the login page and the management API: what a refused person is told."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from oneio import logins
from oneio.logins import Login
from oneio.models import Environment, LoginTry
from tests.factories import make_environment
from tests.signed_in import make_user, signed_in

PASSWORD = "correct horse"
WRONG = "Please enter the correct username and password"
REFUSED = "There were too many failed logins with this username or from your network."
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.LOGIN_FAILURES = 2
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def environment() -> Environment:
    return make_environment()


@pytest.fixture
def ada(environment: Environment) -> User:
    return make_user("viewer", environment)


def log_in(name: str, password: str, client: Client | None = None, **extra: Any) -> Any:
    """Fill in the login page."""
    data = {"username": name, "password": password, "next": "/admin/"}
    return (client or Client()).post("/admin/login/?next=/admin/", data, **extra)


def call(environment: Environment, name: str, password: str) -> Any:
    """Ask the management API."""
    login = b64encode(f"{name}:{password}".encode()).decode()
    address = f"/manage/v1/{environment.organization.slug}/{environment.kind}/config"
    return Client(headers={"Authorization": f"Basic {login}"}).get(address)


class TestPage:
    def test_person_gets_in_with_the_right_password(self, ada: User) -> None:
        client = Client()

        answer = log_in(ada.username, PASSWORD, client)

        assert (answer.status_code, answer["Location"]) == (302, "/admin/")
        assert client.get("/admin/").status_code == 200

    def test_further_tries_are_refused_in_words(self, ada: User) -> None:
        for _ in range(2):
            assert WRONG in log_in(ada.username, "wrong").content.decode()

        answer = log_in(ada.username, PASSWORD)

        assert answer.status_code == 429
        assert 890 <= int(answer["Retry-After"]) <= 900
        assert REFUSED in answer.content.decode()
        assert "Try again in 15 minutes" in answer.content.decode()
        assert 'name="password"' in answer.content.decode()
        assert "sessionid" not in answer.cookies
        assert "Please correct the error" not in answer.content.decode()

    def test_what_is_left_empty_is_pointed_at(self) -> None:
        said = log_in("", PASSWORD).content.decode()

        assert "Please correct the error below." in said

    def test_nobody_learns_which_names_exist(self, ada: User) -> None:
        def told(name: str) -> list[tuple[int, str]]:
            answers = [log_in(name, "wrong") for _ in range(3)]
            errors = [str(answer.context["form"].errors) for answer in answers]
            return [(answer.status_code, text) for answer, text in zip(answers, errors, strict=True)]

        assert told(ada.username) == told("nobody-of-that-name")

    def test_one_success_resets(self, ada: User) -> None:
        for _ in range(3):
            assert log_in(ada.username, "wrong").status_code == 200
            assert log_in(ada.username, PASSWORD).status_code == 302

    def test_header_of_a_stranger_brings_no_new_tries(self, ada: User) -> None:
        answers = [
            log_in(ada.username, "wrong", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(3)
        ]

        assert [answer.status_code for answer in answers] == [200, 200, 429]

    def test_clients_behind_a_trusted_proxy_are_told_apart(self, ada: User, settings: Any) -> None:
        settings.BEHIND_PROXY = True
        guesser, owner = ({"X-Forwarded-For": f"192.0.2.66, 192.0.2.{number}"} for number in (1, 2))

        answers = [log_in(ada.username, "wrong", headers=guesser) for _ in range(3)]

        assert answers[-1].status_code == 429
        assert log_in(ada.username, PASSWORD, headers=owner).status_code == 302

    def test_who_is_in_stays_in(self, ada: User) -> None:
        client = Client()
        log_in(ada.username, PASSWORD, client)

        for _ in range(3):
            log_in(ada.username, "wrong")

        assert client.get("/admin/").status_code == 200

    def test_page_itself_is_always_shown(self) -> None:
        answers = [log_in("ada", "wrong") for _ in range(3)]

        assert answers[-1].status_code == 429
        assert Client().get("/admin/login/").status_code == 200


class TestManagementApi:
    def test_further_tries_are_refused_in_json(self, environment: Environment, ada: User) -> None:
        codes = [call(environment, ada.username, "wrong").status_code for _ in range(2)]

        answer = call(environment, ada.username, PASSWORD)

        assert codes == [401, 401]
        assert answer.status_code == 429
        assert 890 <= int(answer["Retry-After"]) <= 900
        assert list(answer.json()) == ["detail"]
        assert answer.json()["detail"].startswith(REFUSED)

    def test_page_and_api_count_together(self, environment: Environment, ada: User) -> None:
        log_in(ada.username, "wrong")
        call(environment, ada.username, "wrong")

        assert log_in(ada.username, PASSWORD).status_code == 429
        assert call(environment, ada.username, PASSWORD).status_code == 429

    def test_one_success_resets(self, environment: Environment, ada: User) -> None:
        codes = [call(environment, ada.username, word).status_code for word in ("wrong", PASSWORD) * 3]

        assert codes == [401, 200] * 3

    def test_script_that_goes_on_writes_nothing(self, environment: Environment, ada: User) -> None:
        call(environment, ada.username, PASSWORD)

        with CaptureQueriesContext(connection) as queries:
            call(environment, ada.username, PASSWORD)

        about = [query["sql"] for query in queries if "oneio_logintry" in query["sql"]]
        assert len(about) == 2
        assert all(sql.startswith("SELECT") for sql in about)

    @pytest.mark.parametrize("name", ["\0", "a\0da", "x" * 10_000, "ünï"])
    def test_odd_names_are_wrong_names(self, environment: Environment, name: str) -> None:
        assert call(environment, name, "wrong").status_code == 401


class TestReceivers:
    @pytest.mark.parametrize("path", ["/api/v1/messages", "/qa/api/v1/messages"])
    def test_systems_are_never_kept_out(self, path: str) -> None:
        login = b64encode(b"servicenow:wrong").decode()
        client = Client(headers={"Authorization": f"Basic {login}"})

        with CaptureQueriesContext(connection) as queries:
            codes = {client.post(path, "{}", content_type="application/json").status_code for _ in range(9)}

        assert codes == {401}
        assert not LoginTry.objects.exists()
        assert not [query for query in queries if "oneio_logintry" in query["sql"]]


class TestLettingIn:
    def let_in(self, client: Client, user: User) -> Any:
        data = {"action": "let_in", "_selected_action": user.pk}
        return client.post("/admin/auth/user/", data, follow=True)

    @pytest.fixture
    def refused(self, ada: User) -> Callable[[], bool]:
        for _ in range(2):
            logins.failed(Login.of(ada.username, "127.0.0.1"))
        return lambda: log_in(ada.username, PASSWORD).status_code == 429

    def test_superuser_lets_a_person_in(self, ada: User, refused: Callable[[], bool]) -> None:
        assert refused()

        answer = self.let_in(signed_in(), ada)

        assert "Failed logins forgotten: 2." in answer.content.decode()
        assert not refused()
        assert LogEntry.objects.get().change_message == "Let in again after failed logins"

    def test_administrator_of_an_environment_does_not(
        self, environment: Environment, ada: User, refused: Callable[[], bool]
    ) -> None:
        answer = self.let_in(signed_in("administrator", environment), ada)

        assert answer.status_code == 403
        assert refused()

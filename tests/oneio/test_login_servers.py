"""Failed logins at several web servers at once: they count together, by the address of the connection."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from oneio.logins import Login
from oneio.models import LoginTry
from tests.signed_in import make_user
from tests.web_server import Server, running

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
API = "/manage/v1/acme/qa/config"
LIMIT = 6


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Two of them, behind the same proxy."""
    variables = {"ONEIO_LOGIN_FAILURES": str(LIMIT), "ONEIO_BEHIND_PROXY": "1"}
    with running(tmp_path / "a.log", **variables) as one, running(tmp_path / "b.log", **variables) as other:
        yield [one, other]


def call(server: Server, name: str, password: str, place: str = "192.0.2.1") -> requests.Response:
    """Ask the management API, as from that address behind the proxy."""
    headers = {"X-Forwarded-For": f"198.51.100.66, {place}"}
    return requests.get(server.url + API, auth=(name, password), headers=headers, timeout=60)


def test_servers_count_failures_together(servers: list[Server]) -> None:
    user = make_user()

    def guess(server: Server) -> list[int]:
        return [call(server, user.username, "wrong").status_code for _ in range(LIMIT // 2)]

    with ThreadPoolExecutor(2) as threads:
        codes = Counter(code for some in threads.map(guess, servers) for code in some)

    refused = [call(server, user.username, "correct horse") for server in servers]
    assert codes == {401: LIMIT}
    assert [answer.status_code for answer in refused] == [429, 429]
    assert call(servers[0], user.username, "correct horse", "192.0.2.2").status_code == 404
    here = Login.of(user.username, "192.0.2.1")
    assert LoginTry.objects.filter(name=here.name, network=here.network).count() == LIMIT


def test_burst_gains_little_and_nothing_by_being_right(servers: list[Server]) -> None:
    user = make_user()

    def guess(number: int) -> int:
        return call(servers[number % 2], user.username, "wrong").status_code

    with ThreadPoolExecutor(16) as threads:
        codes = Counter(threads.map(guess, range(60)))

    assert set(codes) == {401, 429}
    assert LIMIT <= codes[401] <= LIMIT + 15
    assert call(servers[0], user.username, "correct horse").status_code == 429


def test_page_takes_the_address_of_the_connection(tmp_path: Path) -> None:
    with running(tmp_path / "log", ONEIO_LOGIN_FAILURES="2", ONEIO_BEHIND_PROXY="0") as server:
        browser = requests.Session()
        page = browser.get(f"{server.url}/admin/login/", timeout=60).text
        token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"username": "ada", "password": "hunter2", "csrfmiddlewaretoken": token[1]}
        answers = [
            browser.post(f"{server.url}/admin/login/", form, headers={"X-Forwarded-For": place}, timeout=60)
            for place in ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Try again in 15 minutes" in answers[-1].text
    assert {bytes(one.network) for one in LoginTry.objects.all()} == {Login.of("ada", "127.0.0.1").network}
    assert "the last from 127.0.0.1" in (log := (tmp_path / "log").read_text())
    assert "hunter2" not in log

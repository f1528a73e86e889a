"""Canaries: unique words sent through the whole product, then looked for wherever they must not be."""

import base64
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
import requests
from django.db import DataError, connection, transaction
from django.test import Client
from django_q.models import OrmQ, Success

from conversations.models import Attempt, Delivery, Message, Participant
from endpoints.models import Credentials, Endpoint
from endpoints.receiver_logins import set_password
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options, create_app
from oneio.embedded_postgres import EmbeddedPostgres
from oneio.state import CHECKOUT, state_directory
from tests.conversations.inbound import basic
from tests.conversations.world import Remote, make_table, publish, pumping
from tests.factories import make_endpoint, make_entity_type, make_environment, make_message
from tests.patience import PATIENCE, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TICKETS = ("a" * 32, "b" * 32)
# The simulated systems are foreign: what they log is not ours.
FOREIGN_LOGGERS = ("werkzeug", "endpoints.sandbox")
LAUNCH = """
import os, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
"""
WEB = (
    LAUNCH
    + """
from granian import Granian
Granian(
    "oneio.wsgi:application", interface="wsgi", port=int(sys.argv[1]), log_access=True, log_level="debug"
).serve()
"""
)
WORKER = (
    LAUNCH
    + """
import django, logging
from django.core.management import call_command
django.setup()
for name in logging.root.manager.loggerDict:
    logging.getLogger(name).setLevel("DEBUG")
call_command("worker")
"""
)

Post = Callable[[str, bytes, str, Mapping[str, str]], int]
"""Path, body, content type and headers → status."""


@dataclass(frozen=True)
class Canaries:
    """One word for each thing that must stay secret: short, so that it shows in what was cut off, too. Those
    that may be any text hold odd characters."""

    words: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> str:
        odd = "" if name.endswith(("password", "secret", "token")) else "-ü"
        return self.words.setdefault(name, f"k{uuid4().hex[:12]}{odd}")

    def found_in(self, text: bytes) -> set[str]:
        """The names of those that show in `text`, in whatever form."""
        return {name for name, word in self.words.items() if any(trace in text for trace in traces(word))}


def traces(word: str) -> set[bytes]:
    """The forms in which a word may show: plain, JSON, address, hexadecimal, and base64 at any offset."""
    plain = word.encode()
    forms = {plain, json.dumps(word)[1:-1].encode(), quote(word).encode(), plain.hex().encode()}
    for offset, cut in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(bytes(offset) + plain)
        whole = coded[cut : len(coded) - 4]
        forms |= {whole, whole.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


@dataclass(frozen=True)
class Scene:
    """ServiceNow by OAuth and Jira, joined by a rule; all their secrets are canaries."""

    canaries: Canaries
    servicenow: Remote
    jira: Remote
    source: Endpoint
    target: Endpoint

    def record(self, ticket: str, **changes: str) -> dict[str, Any]:
        """A ticket as ServiceNow's business rule posts it."""
        named = {name: {"value": value, "display_value": value} for name, value in changes.items()}
        return {"entity_type": "incident", "sys_id": ticket, "number": f"INC{ticket[:4]}", "record": named}

    def settled(self) -> bool:
        """True when nothing is left to do without a person."""
        waiting = Delivery.objects.filter(state__in=["queued", "sending", "verifying"])
        free = waiting.exclude(lane__deliveries__state="held")
        return not free.exists() and not Message.objects.filter(state="received").exists()


@contextmanager
def scene(canaries: Canaries) -> Iterator[Scene]:
    """Both systems started, their endpoints connected, the rule published."""
    options = Options(client_secret=canaries.client_secret, password=canaries.jira_token)
    with ExitStack() as stack:
        remotes = [
            Remote(
                stack.enter_context(SandboxServer(create_app(kind, Store(None), options), "127.0.0.1")), auth
            )
            for kind, auth in (
                ("servicenow", ("admin", "admin")),
                ("jira", ("ada@example.com", canaries.jira_token)),
            )
        ]
        yield Scene(canaries, *remotes, *connected(canaries, *remotes))


def connected(canaries: Canaries, servicenow: Remote, jira: Remote) -> tuple[Endpoint, Endpoint]:
    """The endpoints of both systems and the rule between them."""
    environment = make_environment()
    source = make_endpoint(
        "servicenow",
        environment,
        base_url=servicenow.url,
        settings={"auth": "oauth", "client_id": "oneio-client"},
        secrets={"client_secret": canaries.client_secret},
    )
    set_password(source, "snow", canaries.receiver_password)
    settings = {
        "auth": "basic",
        "email": "integration@example.com",
        "project": "OPS",
        "internal_comments": "jsm",
    }
    secrets = {"api_token": canaries.jira_token}
    target = make_endpoint(
        "jira", environment, entities=(), base_url=jira.url, settings=settings, secrets=secrets
    )
    make_entity_type(target, "incident", name="issue", remote_name="Incident", resolving_value="*")
    table = make_table(source, {"1": "High"}, name="Priorities")
    translated = {"source": "priority", "target": "priority", "kind": "translate", "table": table}
    kept = {"source": "description", "target": "last", "category": "conversation"}
    publish(source, target, [{"source": "title", "target": "title"}, translated, kept])
    return source, target


def travel(scene: Scene, post: Post, work: Callable[[], None]) -> None:
    """Everything a ticket can meet: created, commented, refused by the target, untranslatable, malformed."""
    canaries, (one, other) = scene.canaries, TICKETS
    as_snow = {"Authorization": basic("snow", canaries.receiver_password)}
    for ticket in TICKETS:
        record = {"sys_id": ticket, "short_description": "x"}
        scene.servicenow.call("POST", "/api/now/table/incident", json=record)

    def send(document: dict[str, Any], headers: Mapping[str, str] = as_snow, **query: str) -> int:
        body = json.dumps(document).encode()
        return post(f"/api/v1/messages?{urlencode(query)}", body, "application/json", headers)

    created = scene.record(one, short_description=canaries.title, description=canaries.text, priority="1")
    odd = {canaries.attribute_name: canaries.attribute}
    assert send(created | odd | {"operation": "insert"}, site=canaries.parameter) == 202
    work()

    note = {
        "sys_id": "c1",
        "element": "comments",
        "value": canaries.comment,
        "sys_created_by": canaries.author,
    }
    commented = scene.record(one) | {"operation": "update", "comments": [note]}
    assert send(commented, {}, auth_token=canaries.receiver_password) == 202
    address = {"entity_type": "incident", "external_id": one, "file_name": f"{canaries.file_name}.log"}
    content = f"{canaries.file}\n".encode() * 3
    assert post(f"/api/v1/attachments?{urlencode(address)}", content, "text/plain", as_snow) == 202
    work()

    words = f"{canaries.remote_error}: '{canaries.refused_title}' is not allowed"
    refusal = {"status": 400, "body": {"errorMessages": [words], "errors": {}}, "times": 1}
    scene.jira.fault(method="PUT", path="/issue/", **refusal)
    assert send(scene.record(one, short_description=canaries.refused_title) | {"operation": "update"}) == 202
    untranslatable = scene.record(other, short_description="x", priority=canaries.priority)
    assert send(untranslatable | {"operation": "insert"}) == 202
    work()

    wrong = {"Authorization": basic("snow", canaries.wrong_password)}
    assert send({}, wrong) == 401
    assert send({}, {"X-Auth-Token": canaries.wrong_token}) == 401
    broken = f'{{"title": "{canaries.malformed}"'.encode()
    token = urlencode({"auth_token": canaries.receiver_password})
    assert post(f"/api?{token}", broken, "application/json", {}) == 400
    assert post(f"/api?{token}", b"x", f"text/{canaries.content_type_token}", {}) == 415
    lost = urlencode({"auth_token": canaries.lost_token})
    assert post(f"/api/nowhere?{lost}", b"{}", "application/json", {}) == 404
    canaries.words["oauth_token"] = str(Credentials.objects.get(endpoint=scene.source).token)


def assert_it_happened(scene: Scene) -> None:
    """The words really went through: they are at the target, and stored where people may read them."""
    canaries = scene.canaries
    [issue] = scene.jira.records("issue")
    assert issue_fields(scene.jira, issue["id"])["summary"] == canaries.title
    assert (
        scene.jira.call("GET", f"/rest/api/2/issue/{issue['id']}/comment")["comments"][0]["body"]
        == canaries.comment
    )
    participant = Participant.objects.get(endpoint=scene.target, external_id__isnull=False)
    assert participant.conversation.variables
    refused, untranslated = (Delivery.objects.get(hold_reason=reason) for reason in ("refused", "mapping"))
    last = Attempt.objects.filter(delivery=refused).latest("id")
    assert canaries.remote_error in str(last.detail)
    assert canaries.priority in untranslated.content.problem
    assert len(canaries.words["oauth_token"]) > 10
    assert Message.objects.filter(state="faulty", reason="malformed").count() == 1


def issue_fields(jira: Remote, issue_id: str) -> dict[str, Any]:
    fields: dict[str, Any] = jira.call("GET", f"/rest/api/2/issue/{issue_id}")["fields"]
    return fields


def dump() -> bytes:
    """The whole test database as pg_dump writes it."""
    database = connection.settings_dict
    program = EmbeddedPostgres(state_directory()).program("pg_dump")
    where = ["-h", database["HOST"], "-p", str(database["PORT"]), "-U", database["USER"], database["NAME"]]
    password = {"PGPASSWORD": database.get("PASSWORD") or ""}
    done = subprocess.run([program, *where], env=os.environ | password, capture_output=True, check=True)
    assert b"COPY public.conversations_message " in done.stdout
    return done.stdout


def scheduled_work() -> bytes:
    """What django-q2's tables say, unpacked."""
    tasks = [(task.func, task.args, task.kwargs, task.result) for task in Success.objects.all()]
    return repr([task.task for task in OrmQ.objects.all()] + tasks).encode()


@contextmanager
def listening(handler: logging.Handler) -> Iterator[None]:
    """Every logger there is writes everything, at DEBUG, to this handler."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        if not logger.propagate:
            logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
            if not logger.propagate:
                logger.removeHandler(handler)


def ours(records: list[logging.LogRecord]) -> bytes:
    """What our own process would write, tracebacks included."""
    line = logging.Formatter("%(name)s %(levelname)s %(message)s")
    own = (record for record in records if not record.name.startswith(FOREIGN_LOGGERS))
    return "\n".join(line.format(record) for record in own).encode()


@contextmanager
def postgres_log() -> Iterator[Callable[[], bytes]]:
    """What the database server writes meanwhile."""
    log = EmbeddedPostgres(state_directory()).log
    start = log.stat().st_size if log.exists() else 0
    yield lambda: log.read_bytes()[start:] if log.exists() else b""


def provoke(word: str) -> None:
    """A statement that fails and whose error quotes its value."""
    with pytest.raises(DataError, match=word), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", [word])


def through_the_test_client(path: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> int:
    """Post to the view, without a web server."""
    return Client().generic("POST", path, body, content_type, headers=dict(headers)).status_code


def test_no_canary_leaves_its_encrypted_column(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.ALLOW_LOOPBACK = True
    canaries = Canaries()

    with postgres_log() as written, scene(canaries) as here, pumping() as pump, listening(caplog.handler):
        travel(here, through_the_test_client, pump)
        provoke(canaries.failing_statement)
        assert_it_happened(here)

    assert canaries.found_in(dump()) == set()
    assert canaries.found_in(scheduled_work()) == set()
    assert canaries.found_in(ours(caplog.records)) == set()
    assert canaries.found_in(written()) == set()
    assert b"django.request WARNING Unauthorized: /api/v1/messages" in ours(caplog.records)


@pytest.mark.parametrize(
    "plant",
    [
        lambda word: make_endpoint(name=word),
        lambda word: make_endpoint(settings={"note": word}),
        lambda word: make_message(number=base64.b64encode(b"x" + word.encode()).decode()),
        lambda word: make_message(idempotency_key=word.encode()[:32]),
    ],
    ids=["text", "json", "base64", "bytes"],
)
def test_canary_in_a_plain_column_is_found(plant: Callable[[str], object]) -> None:
    canaries = Canaries()

    plant(canaries.title)

    assert canaries.found_in(dump()) == {"title"}


def test_canary_in_a_log_is_found(caplog: pytest.LogCaptureFixture) -> None:
    canaries = Canaries()

    with listening(caplog.handler):
        logging.getLogger("django.request").debug("GET /api?auth_token=%s", canaries.receiver_password)

    assert canaries.found_in(ours(caplog.records)) == {"receiver_password"}


@contextmanager
def process(code: str, log: Path, *arguments: str) -> Iterator[None]:
    """One of our processes with the test database, all it writes kept in a file."""
    environment = os.environ | {
        "TEST_DATABASE": connection.settings_dict["NAME"],
        "DJANGO_SETTINGS_MODULE": "oneio.settings",
        "ONEIO_ALLOW_LOOPBACK": "1",
        "ONEIO_LOG_LEVEL": "DEBUG",
        "ONEIO_PUMPS": "1",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-c", code, *arguments]
        running = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=CHECKOUT)
        try:
            yield
        finally:
            running.terminate()
            running.wait(PATIENCE)


def through_the_web(url: str) -> Post:
    """Post to a real web server."""

    def post(path: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> int:
        named = {"Content-Type": content_type, **headers}
        return requests.post(url + path, data=body, headers=named, timeout=PATIENCE).status_code

    return post


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/nothing", timeout=5).status_code == 404
    except requests.RequestException:
        return False


@pytest.mark.slow
def test_real_processes_log_no_canary(tmp_path: Path) -> None:
    canaries, web, worker = Canaries(), tmp_path / "web.log", tmp_path / "worker.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    with (
        postgres_log() as written,
        scene(canaries) as here,
        process(WEB, web, str(port)),
        process(WORKER, worker),
    ):
        wait_for(lambda: answers(url))
        travel(here, through_the_web(url), lambda: wait_for(here.settled))
        assert_it_happened(here)

    assert b"/api/v1/messages" in web.read_bytes()
    assert b"Workers are starting" in worker.read_bytes()
    assert b"DEBUG psycopg" in worker.read_bytes()
    assert canaries.found_in(web.read_bytes()) == set()
    assert canaries.found_in(worker.read_bytes()) == set()
    assert canaries.found_in(written()) == set()
    assert canaries.found_in(dump()) == set()
    assert canaries.found_in(scheduled_work()) == set()

"""A ticket's files reach its other ticket whole and once, and never go round."""

import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from conversations.admin.looks import meaning_of
from conversations.attachments import IncomingFile, take_in
from conversations.files import FileStore
from conversations.ingest import Arrival
from conversations.jobs import file_of
from conversations.models import Attachment, AttachmentChunk, Delivery, HoldReason, Message
from conversations.router import route_again
from endpoints.configs import EndpointConfigs
from endpoints.http import HttpClient, NetworkPolicy
from endpoints.models import EndpointGate
from tests.conversations.world import Line, publish, states
from tests.patience import wait_for

Work = Callable[..., None]
SYS_ID = "a" * 32
TITLE = [{"source": "title", "target": "title"}]
CONTENT = bytes(range(256)) * 1200 + b"end"


def join(line: Line, conditions: list[dict[str, Any]] | None = None, **attachments: Any) -> None:
    """Rules both ways that carry files."""
    publish(line.snow, line.jira_endpoint, TITLE, conditions, attachments=attachments)
    publish(line.jira_endpoint, line.snow, TITLE, operations=["update"], attachments=attachments)


def post(line: Line, name: str = "trace.log", content: bytes = CONTENT) -> None:
    """A file as ServiceNow posts it to the receiver."""
    file = IncomingFile("incident", SYS_ID, name, "text/plain", iter([content]))
    take_in(line.snow, Arrival(b"", "application/json"), file)


def in_jira(line: Line) -> list[tuple[str, bytes]]:
    """Name and bytes of every file that Jira has."""
    address = f"{line.jira.url}/rest/api/2/attachment/content"
    rows = line.jira.records("attachment")
    return [(row["filename"], download(f"{address}/{row['id']}", line.jira.auth)) for row in rows]


def in_servicenow(line: Line) -> list[tuple[str, bytes]]:
    """Name and bytes of every file that ServiceNow has."""
    address, auth = f"{line.servicenow.url}/api/now/attachment", line.servicenow.auth
    rows = line.servicenow.records("sys_attachment")
    return [(row["file_name"], download(f"{address}/{row['sys_id']}/file", auth)) for row in rows]


def download(url: str, auth: tuple[str, str]) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, auth=auth, timeout=10).content


def attach_in_jira(line: Line, content: bytes = CONTENT) -> None:
    """A person attaches a file to the issue; its webhooks are received."""
    with requests.Session() as session:
        session.trust_env = False
        session.post(
            f"{line.jira.url}/rest/api/2/issue/{line.issue['id']}/attachments",
            files={"file": ("shot.png", content, "image/png")},
            headers={"X-Atlassian-Token": "no-check"},
            auth=line.jira.auth,
            timeout=10,
        ).raise_for_status()
    hear_of_file(line)


def hear_of_file(line: Line) -> None:
    """Receive Jira's webhooks once they tell of a file; Jira sends them when it has time."""
    wait_for(lambda: any("Attachment" in json.dumps(body.get("changelog")) for body in line.ears.bodies))
    line.hear_jira()


def test_posted_file_arrives_whole(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    post(line)

    work()

    assert in_jira(line) == [("trace.log", CONTENT)]
    assert Attachment.objects.get().conversation == Delivery.objects.latest("id").conversation


def test_file_posted_with_its_ticket_waits_for_the_create(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    for number in range(25):
        post(line, f"{number}.log", b"%d" % number)

    work()

    assert sorted(in_jira(line)) == sorted((f"{n}.log", b"%d" % n) for n in range(25))
    assert not Delivery.objects.filter(hold_reason=HoldReason.LOOP).exists()


@pytest.mark.parametrize(
    "told", ["text/plain", "text/plain\r\nX-Atlassian-Token: check", "text/plain; é", ""]
)
def test_file_inside_a_message_arrives(line: Line, work: Work, told: str) -> None:
    join(line)
    message = line.incident(SYS_ID)
    body = json.loads(message.body.raw)
    inside = {"sys_id": "f1", "file_name": "a.txt", "content_type": told}
    body["attachments"] = [inside | {"content": b64encode(b"small").decode()}]
    message.body.raw = json.dumps(body).encode()
    message.body.save()

    work()

    assert in_jira(line) == [("a.txt", b"small")]
    assert Attachment.objects.get().content_type in {"text/plain", "application/octet-stream"}


def test_file_of_an_issue_is_fetched_and_handed_on(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    work()

    attach_in_jira(line)
    work()

    assert in_servicenow(line) == [("shot.png", CONTENT)]
    assert Attachment.objects.get().complete


def test_file_that_a_system_told_of_is_read_again_like_any_message(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    work()
    attach_in_jira(line)
    work()

    Message.objects.filter(operation="attach").update(state="held")
    assert route_again(Message.objects.filter(operation="attach")) > 0
    work()

    assert not Message.objects.filter(operation="attach", state="held").exists()
    assert in_servicenow(line) == [("shot.png", CONTENT)]


def test_our_own_upload_does_not_come_back(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    post(line)
    work()

    hear_of_file(line)
    work()

    assert in_servicenow(line) == []
    assert len(in_jira(line)) == 1


def test_file_that_came_first_goes_with_a_later_message(line: Line, work: Work) -> None:
    join(line, [{"path": "title", "operator": "contains", "value": "urgent"}], from_conversation=True)
    line.incident(SYS_ID)
    post(line)
    work()
    assert states() == []

    line.incident(SYS_ID, "update", short_description="Now urgent")
    line.incident(SYS_ID, "update", short_description="Still urgent")
    work()

    assert in_jira(line) == [("trace.log", CONTENT)]


def test_lost_answer_of_an_upload_makes_no_second_file(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    work()
    line.jira.fault(method="POST", path="/rest/api/3/issue/*/attachments", drop="after", times=1)

    post(line)
    work(patience=2)

    assert in_jira(line) == [("trace.log", CONTENT)]
    assert states(part__startswith="file") == ["delivered"]


@pytest.mark.parametrize(
    "only", [{"blocked_extensions": ["log"]}, {"max_bytes": 10}, {"content_types": ["image/*"]}]
)
def test_unwanted_file_stays_with_the_conversation(line: Line, work: Work, only: dict[str, Any]) -> None:
    join(line, **only)
    line.incident(SYS_ID)
    post(line)

    work()

    assert in_jira(line) == []
    assert Attachment.objects.get().conversation is not None


def test_rule_without_attachments_carries_none(line: Line, work: Work) -> None:
    line.join()
    line.incident(SYS_ID)
    post(line)

    work()

    assert in_jira(line) == []
    message = Message.objects.latest("id")
    assert message.reason == "file_kept"
    assert "kept with the conversation" in meaning_of(message)


def test_file_that_is_gone_holds_its_delivery_alone(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    work()
    attach_in_jira(line)
    [row] = line.jira.records("attachment")
    line.jira.call("DELETE", f"/rest/api/2/attachment/{row['id']}")

    work()

    held = Delivery.objects.get(part__startswith="file")
    assert held.hold_reason == HoldReason.NO_FILE
    assert "could not be fetched from" in (held.content.problem or "")
    assert EndpointGate.objects.get(endpoint=line.snow).failures_in_row == 0


def test_source_that_fails_is_asked_again_later(line: Line, work: Work) -> None:
    join(line)
    line.incident(SYS_ID)
    work()
    line.jira.fault(method="GET", path="/rest/api/*/attachment/content/*", status=503, times=1)

    attach_in_jira(line)
    work(patience=3)

    assert in_servicenow(line) == [("shot.png", CONTENT)]


def test_file_that_was_cut_is_never_sent(line: Line, work: Work) -> None:
    join(line)
    post(line)
    AttachmentChunk.objects.filter(last=True).delete()
    line.incident(SYS_ID)

    work()

    assert in_jira(line) == []


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    yield client
    client.close()


def test_large_file_is_read_in_little_memory(line: Line, http: HttpClient) -> None:
    size = 16 * 1024 * 1024
    post(line, content=bytes(size))
    ref = file_of(Attachment.objects.get(), EndpointConfigs())

    outgoing = FileStore().outgoing(ref, http, None)
    tracemalloc.start()
    read = sum(map(len, outgoing.pieces()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert read == outgoing.size == size
    assert peak < 4 * 1024 * 1024

from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import Authorization

from endpoints.sandbox.outbox import Address
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.servicenow import ServiceNowApp
from endpoints.sandbox.servicenow.rules import Receiver as ReceiverAddress
from endpoints.sandbox.servicenow.rules import api_base
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.servicenow.seeds import seed_id
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options
from tests.endpoints.sandbox.conftest import Instance, Receiver

DESK = seed_id("sys_user_group", "Service Desk")


def delivered(instance: Instance, receiver: Receiver) -> list[Any]:
    assert instance.app.outbox.wait_idle(60)
    return receiver.bodies


def attach(instance: Instance, sys_id: str, name: str) -> str:
    params = {"table_name": "incident", "table_sys_id": sys_id, "file_name": name}
    answer = instance.call(
        "POST",
        "/api/now/attachment/file",
        params=params,
        data=b"text",
        headers={"Content-Type": "text/plain"},
    )
    attachment_id: str = answer.json()["result"]["sys_id"]
    return attachment_id


def test_insert_posts_the_documented_body(posting: Instance, receiver: Receiver) -> None:
    created = posting.create(short_description="Mail is down", assignment_group=DESK, comments="please help")

    [body] = delivered(posting, receiver)
    assert set(body) == {
        *(
            "entity_type",
            "operation",
            "sys_id",
            "number",
            "correlation_id",
            "correlation_display",
            "instance",
        ),
        *(
            "sys_updated_by",
            "sys_updated_on",
            "sys_mod_count",
            "record",
            "changes",
            "comments",
            "attachments",
        ),
    }
    assert (body["entity_type"], body["operation"], body["number"]) == (
        "incident",
        "insert",
        created["number"],
    )
    assert body["record"]["assignment_group"] == {"value": DESK, "display_value": "Service Desk"}
    assert set(body["record"]) == set(created)
    assert "short_description" in body["changes"]
    [comment] = body["comments"]
    assert set(comment) == {"sys_id", "element", "value", "sys_created_by", "sys_created_on"}
    assert (comment["element"], comment["value"]) == ("comments", "please help")
    assert body["attachments"] == []


def test_post_carries_key_and_credentials(posting: Instance, receiver: Receiver) -> None:
    created = posting.create()

    delivered(posting, receiver)
    [post] = receiver.posts
    assert post.headers["Idempotency-Key"] == f"incident:{created['sys_id']}:0"
    assert post.authorization == Authorization("basic", {"username": "sn", "password": "s3cret"})


def test_update_posts_only_its_own_changes(posting: Instance, receiver: Receiver) -> None:
    path = f"incident/{posting.create(comments='old')['sys_id']}"

    posting.table("PATCH", path, {"state": "2", "work_notes": "looking"})

    body = delivered(posting, receiver)[1]
    assert (body["operation"], body["sys_mod_count"]) == ("update", "1")
    assert set(body["changes"]) == {"state", "incident_state"}
    assert [(entry["element"], entry["value"]) for entry in body["comments"]] == [("work_notes", "looking")]


def test_unchanged_update_posts_nothing(posting: Instance, receiver: Receiver) -> None:
    path = f"incident/{posting.create(state='2')['sys_id']}"

    posting.table("PATCH", path, {"state": "2"})

    assert len(delivered(posting, receiver)) == 1


def test_integration_user_causes_no_post(posting: Instance, receiver: Receiver) -> None:
    integration = posting.as_user("oneio", "oneio")

    path = f"incident/{integration.create()['sys_id']}"
    integration.table("PATCH", path, {"state": "2", "comments": "from the partner"})

    assert delivered(posting, receiver) == []


def test_condition_and_tables_are_configurable(posting: Instance, receiver: Receiver) -> None:
    posting.call(
        "PUT", "/_sandbox/rules", json={"tables": {"incident": "assignment_group.name=Service Desk"}}
    )

    posting.create(short_description="not ours")
    posting.create("problem", short_description="not ours")
    posting.create(short_description="ours", assignment_group=DESK)

    assert [body["record"]["short_description"]["value"] for body in delivered(posting, receiver)] == ["ours"]


def test_abort_rule_refuses_the_write(posting: Instance, receiver: Receiver) -> None:
    abort = {"table": "incident", "query": "state=7", "message": "Close code is missing"}
    posting.call("PUT", "/_sandbox/rules", json={"abort": [abort]})
    path = f"incident/{posting.create()['sys_id']}"

    refused = posting.table("PATCH", path, {"state": "7", "comments": "bye"})

    assert (refused.status_code, refused.json()["error"]["detail"]) == (403, "Close code is missing")
    assert posting.table("GET", path).json()["result"]["state"] == "1"
    assert posting.records("sys_journal_field") == []
    assert len(delivered(posting, receiver)) == 1


def test_correlation_sends_attachments_so_far(posting: Instance, receiver: Receiver) -> None:
    sys_id = posting.create()["sys_id"]
    attachment = attach(posting, sys_id, "log & trace.txt")
    assert len(delivered(posting, receiver)) == len(receiver.posts) == 1

    posting.as_user("oneio", "oneio").table("PATCH", f"incident/{sys_id}", {"correlation_id": "SUP-1"})

    delivered(posting, receiver)
    post = receiver.posts[1]
    assert post.path == "/api/v1/attachments"
    assert dict(post.args) == {
        "entity_type": "incident",
        "external_id": sys_id,
        "file_name": "log & trace.txt",
    }
    assert (post.data, post.content_type) == (b"text", "text/plain")
    assert post.headers["Idempotency-Key"] == f"attachment:{attachment}"


def test_later_attachments_are_sent_at_once(posting: Instance, receiver: Receiver) -> None:
    sys_id = posting.create(correlation_id="SUP-1")["sys_id"]

    attach(posting, sys_id, "person.txt")
    attach(posting.as_user("oneio", "oneio"), sys_id, "partner.txt")

    delivered(posting, receiver)
    assert [post.args["file_name"] for post in receiver.posts[1:]] == ["person.txt"]


def test_without_receiver_nothing_waits(servicenow: Instance) -> None:
    attach(servicenow, servicenow.create(correlation_id="SUP-1")["sys_id"], "a")

    assert servicenow.app.outbox.wait_idle(0)
    assert servicenow.records("_outbox") == []


def test_unanswered_posts_survive_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "data.jsonl"
    gone = Options(receiver_url="http://127.0.0.1:9/api", receiver_user="sn")
    app = ServiceNowApp(Store(path), gone)
    with SandboxServer(app):
        app.records.insert(TABLES["incident"], {"short_description": "kept"}, "admin")

    app = ServiceNowApp(Store(path), Options(receiver_url=f"{receiver.base_url}/api"))
    with SandboxServer(app):
        assert app.outbox.wait_idle(60)

    assert [body["record"]["short_description"]["value"] for body in receiver.bodies] == ["kept"]


def test_receiver_set_at_run_time_outlives_restart() -> None:
    store = Store()
    started, chosen = Address("http://a/api"), Address("http://b/api", "u", "p")
    ReceiverAddress(store).start_with(started)
    ReceiverAddress(store).set(chosen)

    again = ReceiverAddress(store)
    again.start_with(started)
    assert again.get() == chosen

    again.start_with(Address("http://c/api"))
    assert again.get() == Address("http://c/api")


def test_receiver_is_shown_without_password(posting: Instance, receiver: Receiver) -> None:
    shown = posting.call("GET", "/_sandbox/receiver").json()

    assert shown == {"url": f"{receiver.base_url}/api/v1/messages", "user": "sn"}


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h:1/api/v1/messages", "http://h:1/api"),
        ("http://h/qa/api/", "http://h/qa/api"),
        ("http://h/api", "http://h/api"),
        ("http://api/other/", "http://api/other"),
        ("http://h/apiary/api/x", "http://h/apiary/api"),
    ],
)
def test_attachment_base_ends_with_api(url: str, base: str) -> None:
    assert api_base(url) == base

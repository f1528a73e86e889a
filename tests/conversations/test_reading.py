"""Stored messages read back through their endpoint's adapter."""

import json
from typing import Any

import pytest

from conversations.models import Message
from conversations.reading import read
from endpoints.adapters.base import Unreadable
from endpoints.canonical import CanonicalMessage, Operation
from endpoints.configs import load
from endpoints.models import Endpoint
from tests.factories import make_endpoint, make_message

pytestmark = pytest.mark.django_db
FILE = {
    "entity_type": "incident",
    "external_id": "a1",
    "attachment": "0190-file",
    "content_type": "image/png",
    "size": 7,
}


def reread(message: Message) -> CanonicalMessage:
    return read(message, load(message.endpoint).adapter)


def servicenow() -> Endpoint:
    return make_endpoint("servicenow", settings={"auth": "basic", "username": "oneio"})


def attached(endpoint: Endpoint, **changes: Any) -> Message:
    return make_message(endpoint, json.dumps(FILE | changes).encode(), operation="attach")


def test_record_is_read_by_its_adapter() -> None:
    body = {"entity_type": "incident", "sys_id": "a1", "operation": "insert", "number": "INC1"}

    canonical = reread(make_message(servicenow(), json.dumps(body).encode()))

    assert (canonical.external_id, canonical.number) == ("a1", "INC1")
    assert canonical.operation is Operation.CREATE


def test_broken_json_is_unreadable_with_a_reason() -> None:
    with pytest.raises(Unreadable) as problem:
        reread(make_message(servicenow(), b'{"number": '))

    assert str(problem.value)


def test_posted_file_belongs_to_its_ticket() -> None:
    canonical = reread(attached(servicenow()))

    assert (canonical.operation, canonical.external_id) == (Operation.ATTACH, "a1")
    assert [(one.stored, one.content_type, one.size) for one in canonical.attachments] == [
        ("0190-file", "image/png", 7)
    ]


def test_posted_file_is_found_by_resolving_value() -> None:
    endpoint = servicenow()
    endpoint.entity_types.update(name="outage", resolving_value="Incident")

    assert reread(attached(endpoint, entity_type="incident")).entity_type == "outage"


def test_file_of_unknown_entity_type_says_what_to_do() -> None:
    endpoint = servicenow()

    with pytest.raises(Unreadable, match="kb_article") as problem:
        reread(attached(endpoint, entity_type="kb_article"))

    assert endpoint.name in str(problem.value)

"""ServiceNow's own Python client, unmodified, against the simulated instance over TLS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysnc import ServiceNowClient, ServiceNowClientCredentialsFlow
from pysnc.exceptions import AuthenticationException, RoleException

from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.servicenow import ServiceNowApp
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options
from endpoints.sandbox.tls import Certificate


@pytest.fixture
def app(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceNowApp]:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(certificate.cert))
    app = ServiceNowApp(Store(), Options())
    with SandboxServer(app, certificate=certificate):
        yield app


@pytest.fixture
def client(app: ServiceNowApp) -> Iterator[Any]:
    client = ServiceNowClient(app.base_url, ("admin", "admin"))
    yield client
    client.session.close()


def created(client: Any, **values: str) -> Any:
    record = client.GlideRecord("incident")
    record.initialize()
    for name, value in values.items():
        record.set_value(name, value)
    assert record.insert()
    return record


def test_create_and_read_back(client: Any) -> None:
    sys_id = created(client, short_description="Mail is down").sys_id

    record = client.GlideRecord("incident")
    assert record.get(sys_id)

    assert (record.number, record.short_description) == ("INC0010001", "Mail is down")
    assert record.get_display_value("state") == "New"


def test_query_finds_by_condition(client: Any) -> None:
    created(client, short_description="Mail is down")
    created(client, short_description="VPN slow")

    record = client.GlideRecord("incident")
    record.add_query("short_description", "STARTSWITH", "VPN").add_or_condition("short_description", "x")
    record.query()

    assert [each.short_description for each in record] == ["VPN slow"]


def test_client_pages_through_many(app: ServiceNowApp, client: Any) -> None:
    for number in range(250):
        app.records.insert(TABLES["incident"], {"short_description": str(number)}, "admin")

    record = client.GlideRecord("incident")
    record.query()

    assert len(record) == 250
    assert {each.short_description for each in record} == {str(number) for number in range(250)}


def test_update_and_comment(app: ServiceNowApp, client: Any) -> None:
    sys_id = created(client, short_description="Mail is down").sys_id
    record = client.GlideRecord("incident")
    record.get(sys_id)

    record.state = "2"
    record.comments = "We are looking into it"
    record.update()

    assert app.records.get(TABLES["incident"], sys_id)["state"] == "2"
    assert [entry["value"] for entry in app.records.journal(sys_id)] == ["We are looking into it"]


def test_deleted_record_is_not_found(client: Any) -> None:
    record = created(client)

    assert record.delete()

    assert not client.GlideRecord("incident").get(record.sys_id)


def test_attachments_go_up_and_down(client: Any, tmp_path: Path) -> None:
    record = created(client)

    location = record.add_attachment("notes.txt", b"line one\nline two")

    attachments = record.get_attachments()
    assert [each.file_name for each in attachments] == ["notes.txt"]
    attachment = client.Attachment("incident")
    assert attachment.get(location.split("/")[-2])
    assert attachment.read() == b"line one\nline two"
    assert attachment.write_to(tmp_path).read_bytes() == b"line one\nline two"
    attachment.delete()
    assert not client.Attachment("incident").get(location.split("/")[-2])


def test_batches_update_many(client: Any) -> None:
    for number in range(3):
        created(client, short_description=str(number))
    record = client.GlideRecord("incident")
    record.query()
    for each in record:
        each.state = "2"

    assert record.update_multiple()

    record = client.GlideRecord("incident")
    record.add_query("state", "2")
    record.query()
    assert len(record) == 3
    assert record.delete_multiple()


def test_overlong_query_goes_through_batch(client: Any) -> None:
    number = created(client).number
    record = client.GlideRecord("incident")
    record.add_query("number", "IN", ",".join([str(number)] * 2000))

    record.query()

    assert len(record) == 1


def test_oauth_client_logs_in(app: ServiceNowApp) -> None:
    flow = ServiceNowClientCredentialsFlow("oneio-client", "oneio-secret")
    client = ServiceNowClient(app.base_url, flow)

    record = created(client, short_description="By token")

    assert record.sys_created_by == "oneio"
    client.session.close()


def test_failures_become_its_exceptions(app: ServiceNowApp, client: Any) -> None:
    app.store.put("_config", "rules", {"tables": {}, "abort": [{"table": "incident", "message": "no"}]})
    stranger = ServiceNowClient(app.base_url, ("admin", "wrong"))

    with pytest.raises(AuthenticationException):
        stranger.GlideRecord("incident").query()
    with pytest.raises(RoleException):
        created(client)
    stranger.session.close()

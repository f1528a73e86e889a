"""The update set for ServiceNow has the form of exports and no secrets; its scripts post what we read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from shutil import which
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from playwright.sync_api import Page, sync_playwright

from endpoints.adapters.base import EntityConfig, Receiver
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import EntityKind, Visibility
from tests.endpoints.adapters.conftest import received, servicenow_config
from tests.test_docs import example

RECEIVER = Receiver("https://oneio.example.com/qa/api/v1", "qa-servicenow")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLD_JAVASCRIPT_LACKS = r"=>|`|\b(?:let|const|class|async|await|import)\b|\.\.\."
SCRIPTS = ["client.js", "ticket_rule.js", "file_rule.js"]


def script(name: str) -> str:
    return files("endpoints.adapters.servicenow.update_set").joinpath(name).read_text()


def unload(**changes: Any) -> Element:
    package = ServiceNowAdapter(servicenow_config(**changes)).package(RECEIVER, NOW)
    return ElementTree.fromstring(package.content)


def records(root: Element) -> dict[tuple[str, str], dict[str, str]]:
    """The records in the payloads, by table and name."""
    found = {}
    for payload in root.iterfind("sys_update_xml/payload"):
        [record] = ElementTree.fromstring(payload.text or "")
        fields = {field.tag: field.text or "" for field in record}
        found[record.tag, fields["sys_name"]] = fields
    return found


def test_file_has_the_form_of_an_export() -> None:
    root = unload()

    header, *updates = root

    assert (root.tag, header.tag, header.findtext("state")) == ("unload", "sys_remote_update_set", "loaded")
    assert {update.findtext("remote_update_set") for update in updates} == {header.findtext("sys_id")}
    for update in updates:
        payload = ElementTree.fromstring(update.findtext("payload") or "")
        assert payload.get("table") == payload[0].tag == payload[0].findtext("sys_class_name")
        assert update.findtext("name") == payload[0].findtext("sys_update_name")


def test_ids_are_those_of_servicenow_and_all_different() -> None:
    ids = [element.text or "" for element in unload().iter("sys_id")]
    ids += [fields["sys_id"] for fields in records(unload()).values()]

    assert [text for text in ids if not re.fullmatch("[0-9a-f]{32}", text)] == []
    assert len(set(ids)) == len(ids)


def test_later_file_updates_what_an_earlier_one_brought() -> None:
    before, after = records(unload()), records(unload(entities=()))

    assert after
    assert all(before[key]["sys_id"] == fields["sys_id"] for key, fields in after.items())


def test_methods_lead_to_the_receiver() -> None:
    found = records(unload())

    addresses = {name: f["rest_endpoint"] for (table, name), f in found.items() if "rest_endpoint" in f}

    assert addresses == {
        "oneio": "https://oneio.example.com/qa/api/v1/messages",
        "Post ticket": "https://oneio.example.com/qa/api/v1/messages",
        "Test": "https://oneio.example.com/qa/api/v1/messages?test=true",
        "Post file": "https://oneio.example.com/qa/api/v1/attachments",
    }


def test_references_lead_to_records_of_the_file() -> None:
    found = records(unload())
    ids = {fields["sys_id"] for fields in found.values()}
    links = ("basic_auth_profile", "rest_message", "rest_message_function")

    named = [fields[link] for fields in found.values() for link in links if fields.get(link)]

    assert len(named) == 5
    assert set(named) <= ids


def test_test_message_of_the_file_is_read() -> None:
    content = records(unload())["sys_rest_message_fn", "Test"]["content"]

    message = ServiceNowAdapter(servicenow_config()).read(received(json.loads(content)))

    assert message.entity_type == "incident"


def test_each_active_table_has_a_rule_that_is_off() -> None:
    asleep = EntityConfig("problem", EntityKind.PROBLEM, "problem", active=False)
    awake = EntityConfig("own", EntityKind.TASK, "x_acme_<own>")
    found = records(unload(entities=(awake, asleep)))

    rules = {f["collection"]: f["active"] for (table, _), f in found.items() if table == "sys_script"}

    assert rules == {"x_acme_<own>": "false", "sys_attachment": "true"}


def test_no_secret_is_in_the_file() -> None:
    config = servicenow_config(secrets={"password": "S3cret!pw", "client_secret": "S3cret!id"})

    package = ServiceNowAdapter(config).package(RECEIVER, NOW)

    assert b"S3cret!" not in package.content
    assert b"qa-servicenow" in package.content


def test_integration_user_is_the_one_of_the_endpoint() -> None:
    found = records(unload(settings={"username": "svc.oneio & co"}))

    assert found["sys_properties", "oneio.integration_user"]["value"] == "svc.oneio & co"


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_arrives_as_written(name: str) -> None:
    assert script(name) in {fields.get("script") for fields in records(unload()).values()}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_old_javascript(name: str) -> None:
    assert re.findall(OLD_JAVASCRIPT_LACKS, script(name)) == []


STAND_INS = """
([client, rule, who, record, filters]) => {
  const posted = [], errors = [];
  const types = {comments: 'journal_input', work_notes: 'journal_input', u_secret: 'password2'};
  const shown = {state: 'In Progress', priority: '1 - Critical'};
  const incident = {
    sys_id: '9c573169c611228700193229fff72400', number: 'INC0010001', state: '2', priority: '1',
    short_description: 'Mail is down', close_notes: null, comments: '', work_notes: '', u_secret: 'x',
    correlation_id: '', correlation_display: '', sys_updated_by: 'beth.anglin',
    sys_updated_on: '2025-11-21 08:15:30', sys_mod_count: '4',
  };
  const file = {
    sys_id: 'f1', table_name: 'incident', table_sys_id: incident.sys_id, file_name: 'Bild 1.png',
    content_type: 'image/png', size_bytes: '12', sys_created_by: 'beth.anglin',
  };
  const entries = [
    {sys_id: 'j1', element: 'comments', value: 'We look at it.', sys_created_by: 'beth.anglin',
     sys_created_on: '2025-11-21 08:15:00'},
    {sys_id: 'j2', element: 'work_notes', value: 'Queue is full.', sys_created_by: 'beth.anglin',
     sys_created_on: '2025-11-21 08:15:30'},
  ];
  const tables = {
    incident: [incident], sys_journal_field: entries,
    sys_script: filters.map((filter_condition) => ({filter_condition})),
  };
  const values = {...(record === 'file' ? file : incident)};
  const current = {
    ...values, getUniqueValue: () => values.sys_id, getValue: (name) => values[name] ?? null,
    getTableName: () => 'incident', operation: () => 'update',
    isValidField: (name) => name in values,
    getDisplayValue: (name) => shown[name] ?? values[name],
    getElement: (name) => ({
      getED: () => ({getInternalType: () => types[name] ?? 'string'}), changes: () => name === 'state',
    }),
  };
  class GlideRecord {
    constructor(table) { this.rows = tables[table]; this.at = -1; }
    isValid() { return this.rows !== undefined; }
    get(id) { this.at = this.rows.findIndex((row) => row.sys_id === id); return this.at >= 0; }
    addQuery() {}
    orderBy() {}
    query() {}
    next() { this.at += 1; return this.at < this.rows.length; }
    getValue(name) { return this.rows[this.at][name]; }
    getUniqueValue() { return this.rows[this.at].sys_id; }
  }
  class GlideDateTime { addSeconds() {} getValue() { return '2025-11-21 08:00:30'; } }
  class RESTMessageV2 {
    constructor(message, method) { this.post = {message, method, headers: {}, parameters: {}}; }
    setRequestHeader(name, value) { this.post.headers[name] = value; }
    setQueryParameter(name, value) { this.post.parameters[name] = value; }
    setRequestBody(body) { this.post.body = body; }
    setRequestBodyFromAttachment(id) { this.post.file = id; }
    executeAsync() { posted.push(this.post); }
    execute() { posted.push(this.post); return {getStatusCode: () => 202}; }
  }
  const gs = {
    getUserName: () => who, error: (text) => errors.push(text),
    getProperty: (name, otherwise) => ({instance_name: 'acme'})[name] ?? otherwise,
  };
  const Class = {create: () => function () { this.initialize(); }};
  const GlideFilter = {checkRecord: (ticket, filter) => filter === 'number=' + ticket.getValue('number')};
  new Function(
    'current', 'previous', 'gs', 'GlideRecord', 'GlideDateTime', 'GlideFilter', 'sn_ws', 'Class',
    client + rule,
  )(current, {}, gs, GlideRecord, GlideDateTime, GlideFilter, {RESTMessageV2}, Class);
  return {posted, errors};
}
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """An empty page in Debian's Chromium, as a JavaScript engine."""
    path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if path is None:
        pytest.fail("This test needs Chromium: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def run(page: Page, record: str, who: str = "beth.anglin", filters: tuple[str, ...] = ("",)) -> list[Any]:
    """What the business rule for a `ticket` or a `file` posts."""
    given = [script("client.js"), script(f"{record}_rule.js"), who, record, list(filters)]
    seen = page.evaluate(STAND_INS, given)
    assert seen["errors"] == []
    posted: list[Any] = seen["posted"]
    return posted


@pytest.mark.slow
def test_ticket_rule_posts_what_we_read(page: Page) -> None:
    [post] = run(page, "ticket")

    message = ServiceNowAdapter(servicenow_config()).read(received(json.loads(post["body"])))

    assert (post["message"], post["method"]) == ("oneio", "Post ticket")
    assert post["headers"]["Idempotency-Key"] == "incident:9c573169c611228700193229fff72400:update:4:j2"
    assert (message.attributes["status"], message.codes["status"]) == ("In Progress", "2")
    assert [comment.visibility for comment in message.comments] == [Visibility.PUBLIC, Visibility.INTERNAL]
    assert "u_secret" not in post["body"]


@pytest.mark.slow
def test_documented_post_has_the_keys_of_the_script(page: Page) -> None:
    shown = json.loads(example("how-to/connect-servicenow.md", "servicenow-payload"))
    [post] = run(page, "ticket")

    sent = json.loads(post["body"])

    assert list(sent) == list(shown)
    assert sent["comments"][0].keys() == shown["comments"][0].keys()
    assert sent["record"]["state"] == shown["record"]["state"]


@pytest.mark.slow
def test_what_we_wrote_is_not_sent_back(page: Page) -> None:
    assert run(page, "ticket", who="oneio") == []


@pytest.mark.slow
@pytest.mark.parametrize("filters", [("",), ("number=INC9", "number=INC0010001")])
def test_file_rule_posts_a_file_of_a_ticket_that_takes_part(page: Page, filters: tuple[str, ...]) -> None:
    [post] = run(page, "file", filters=filters)

    assert (post["method"], post["file"], post["headers"]["Content-Type"]) == ("Post file", "f1", "image/png")
    assert post["parameters"] == {
        "entity_type": "incident",
        "external_id": "9c573169c611228700193229fff72400",
        "file_name": "Bild 1.png",
        "size": "12",
    }


@pytest.mark.slow
@pytest.mark.parametrize("filters", [(), ("number=INC9",)])
def test_file_of_another_ticket_stays(page: Page, filters: tuple[str, ...]) -> None:
    assert run(page, "file", filters=filters) == []

import pytest
import requests

from endpoints.sandbox.servicenow.seeds import seed_id
from tests.endpoints.sandbox.conftest import Instance

DESK = seed_id("sys_user_group", "Service Desk")


def test_create_answers_201_with_location(servicenow: Instance) -> None:
    answer = servicenow.table("POST", "incident", {"short_description": "Mail is down", "bogus": "x"})

    record = answer.json()["result"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{servicenow.url}/api/now/table/incident/{record['sys_id']}"
    assert (record["number"], record["state"], record["active"]) == ("INC0010001", "1", "true")
    assert "bogus" not in record


@pytest.mark.parametrize(
    ("table", "number"),
    [
        ("incident", "INC0010001"),
        ("problem", "PRB0010001"),
        ("change_request", "CHG0010001"),
        ("sc_request", "REQ0010001"),
        ("sc_req_item", "RITM0010001"),
        ("sc_task", "SCTASK0010001"),
    ],
)
def test_each_table_numbers_its_own(servicenow: Instance, table: str, number: str) -> None:
    assert servicenow.create(table)["number"] == number


def test_system_fields_follow_each_write(servicenow: Instance, integration: Instance) -> None:
    created = servicenow.create(opened_by="nobody", sys_created_by="nobody")
    path = f"incident/{created['sys_id']}"

    changed = integration.table("PATCH", path, {"state": "2"}).json()["result"]
    same = servicenow.table("PUT", path, {"state": "2"}).json()["result"]

    assert (created["sys_created_by"], created["opened_by"]["value"]) == (
        "admin",
        seed_id("sys_user", "admin"),
    )
    assert (changed["sys_updated_by"], changed["sys_mod_count"]) == ("oneio", "1")
    assert same["sys_mod_count"] == "1"


@pytest.mark.parametrize(
    ("impact", "urgency", "priority"),
    [("1", "1", "1"), ("1", "2", "2"), ("2", "2", "3"), ("3", "1", "3"), ("2", "3", "4"), ("3", "3", "5")],
)
def test_priority_follows_impact_and_urgency(
    servicenow: Instance, impact: str, urgency: str, priority: str
) -> None:
    assert servicenow.create(impact=impact, urgency=urgency, priority="1")["priority"] == priority


def test_resolving_and_closing_are_stamped(servicenow: Instance) -> None:
    path = f"incident/{servicenow.create()['sys_id']}"

    resolved = servicenow.table("PATCH", path, {"state": "6"}).json()["result"]
    closed = servicenow.table("PATCH", path, {"state": "7"}).json()["result"]
    reopened = servicenow.table("PATCH", path, {"state": "2"}).json()["result"]

    assert resolved["resolved_at"]
    assert resolved["active"] == "true"
    assert closed["resolved_at"] == resolved["resolved_at"]
    assert closed["closed_at"]
    assert closed["active"] == "false"
    assert (reopened["resolved_at"], reopened["closed_at"], reopened["active"]) == ("", "", "true")


def test_journal_entries_are_rows_of_their_own(servicenow: Instance) -> None:
    created = servicenow.create(comments="first", work_notes="internal")
    path = f"incident/{created['sys_id']}"

    changed = servicenow.table("PATCH", path, {"comments": "second"}).json()["result"]

    query = f"element_id={created['sys_id']}^element=comments^ORDERBYsys_created_on"
    entries = servicenow.table("GET", "sys_journal_field", sysparm_query=query).json()["result"]
    assert (changed["comments"], changed["work_notes"], changed["sys_mod_count"]) == ("", "", "1")
    assert [entry["value"] for entry in entries] == ["first", "second"]
    assert {entry["name"] for entry in entries} == {"incident"}
    assert entries[0]["sys_created_by"] == "admin"


def test_display_values_come_in_three_ways(servicenow: Instance) -> None:
    created = servicenow.create(assignment_group=DESK, opened_at="2016-12-12 15:19:57")
    path = f"incident/{created['sys_id']}"
    link = f"{servicenow.url}/api/now/table/sys_user_group/{DESK}"
    fields = {"sysparm_fields": "state,opened_at,assignment_group"}

    raw = servicenow.table("GET", path, **fields, sysparm_display_value="False").json()["result"]
    shown = servicenow.table("GET", path, **fields, sysparm_display_value="TRUE").json()["result"]
    both = servicenow.table("GET", path, **fields, sysparm_display_value="all").json()["result"]

    assert raw == {
        "state": "1",
        "opened_at": "2016-12-12 15:19:57",
        "assignment_group": {"link": link, "value": DESK},
    }
    assert shown == {
        "state": "New",
        "opened_at": "2016-12-12 07:19:57",
        "assignment_group": {"display_value": "Service Desk", "link": link},
    }
    assert both["state"] == {"display_value": "New", "value": "1"}
    assert both["assignment_group"] == {"display_value": "Service Desk", "value": DESK, "link": link}


def test_reference_links_can_be_left_out(servicenow: Instance) -> None:
    path = f"incident/{servicenow.create(assignment_group=DESK)['sys_id']}"
    params = {"sysparm_exclude_reference_link": "true", "sysparm_fields": "assignment_group"}

    raw = servicenow.table("GET", path, **params).json()["result"]
    shown = servicenow.table("GET", path, **params, sysparm_display_value="true").json()["result"]

    assert raw == {"assignment_group": DESK}
    assert shown == {"assignment_group": "Service Desk"}


def test_fields_walk_over_references(servicenow: Instance) -> None:
    beth = seed_id("sys_user", "beth.anglin")
    path = f"incident/{servicenow.create(caller_id=beth)['sys_id']}"
    fields = "number,caller_id.email,caller_id.company,no_such,caller_id.no_such"

    record = servicenow.table("GET", path, sysparm_fields=fields, sysparm_display_value="all").json()[
        "result"
    ]

    assert sorted(record) == ["caller_id.company", "caller_id.email", "number"]
    assert record["caller_id.email"]["value"] == "beth.anglin@example.com"
    assert record["caller_id.company"]["display_value"] == "ACME Nordic"


def test_display_values_are_accepted_as_input(servicenow: Instance) -> None:
    body = {"urgency": "1 - High", "assignment_group": "service desk", "caller_id": "beth.anglin"}
    body |= {"opened_at": "2024-01-01 00:00:00", "due_date": "soon", "assigned_to": "nobody known"}

    answer = servicenow.table("POST", "incident", body, sysparm_input_display_value="true")

    record = answer.json()["result"]
    assert (record["urgency"], record["assignment_group"]["value"]) == ("1", DESK)
    assert record["caller_id"]["value"] == seed_id("sys_user", "beth.anglin")
    assert (record["opened_at"], record["due_date"]) == ("2024-01-01 08:00:00", "soon")
    assert record["assigned_to"] == ""


def test_values_become_text(servicenow: Instance) -> None:
    body = {"impact": 2, "knowledge": True, "category": None, "urgency": {"value": "1", "display_value": "x"}}

    record = servicenow.table("POST", "incident", body).json()["result"]

    assert (record["impact"], record["knowledge"], record["category"]) == ("2", "true", "")
    assert record["urgency"] == "1"


def test_pages_carry_total_and_links(servicenow: Instance) -> None:
    for number in range(5):
        servicenow.create(short_description=str(number))
    params = {"sysparm_limit": "2", "sysparm_offset": "2", "sysparm_query": "ORDERBYnumber"}

    answer = servicenow.table("GET", "incident", **params)
    suppressed = servicenow.table("GET", "incident", **params, sysparm_suppress_pagination_header="True")

    assert [each["short_description"] for each in answer.json()["result"]] == ["2", "3"]
    rels = {link["rel"]: link["url"] for link in requests.utils.parse_header_links(answer.headers["Link"])}
    assert sorted(rels) == ["first", "last", "next", "prev"]
    assert "sysparm_offset=4" in rels["next"]
    assert (suppressed.headers["X-Total-Count"], "Link" in suppressed.headers) == ("5", False)


def test_empty_parameters_mean_nothing(servicenow: Instance) -> None:
    servicenow.create()

    answer = servicenow.table("GET", "incident", sysparm_fields="", sysparm_view="", sysparm_limit="")

    assert "short_description" in answer.json()["result"][0]


def test_plain_parameters_filter_exactly(servicenow: Instance) -> None:
    answer = servicenow.table("GET", "sys_user", user_name="beth.anglin")

    assert [user["name"] for user in answer.json()["result"]] == ["Beth Anglin"]


def test_deleted_record_is_gone(servicenow: Instance) -> None:
    path = f"incident/{servicenow.create()['sys_id']}"

    assert servicenow.table("DELETE", path).status_code == 204

    missing = servicenow.table("GET", path)
    detail = "Record doesn't exist or ACL restricts the record retrieval"
    assert missing.status_code == 404
    assert missing.json() == {"error": {"message": "No Record found", "detail": detail}, "status": "failure"}
    assert servicenow.table("DELETE", path).status_code == 404


def test_own_sys_id_is_taken_once(servicenow: Instance) -> None:
    given = "0123456789abcdef0123456789abcdef"

    assert servicenow.create(sys_id=given)["sys_id"] == given

    again = servicenow.table("POST", "incident", {"sys_id": given})
    assert again.status_code == 403
    assert again.json()["status"] == "failure"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/now/table/nonsense", 400),
        ("GET", "/api/now/nonsense", 404),
        ("DELETE", "/api/now/table/x", 405),
    ],
)
def test_wrong_addresses_fail_in_its_manner(
    servicenow: Instance, method: str, path: str, status: int
) -> None:
    answer = servicenow.call(method, path)

    assert answer.status_code == status
    assert answer.json()["status"] == "failure"


def test_unreadable_body_is_refused(servicenow: Instance) -> None:
    answers = [
        servicenow.call("POST", "/api/now/table/incident", data=body) for body in (b"{", b"[1]", b"null")
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert servicenow.records("incident") == []


def test_overlong_address_answers_html(servicenow: Instance) -> None:
    answer = servicenow.table("GET", "incident", sysparm_query="x" * 17_000)

    assert (answer.status_code, answer.text[:6]) == (414, "<html>")


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_versioned_addresses_work(servicenow: Instance, version: str) -> None:
    answer = servicenow.call("POST", f"/api/now{version}/table/incident", json={"short_description": "a"})

    assert answer.status_code == 201

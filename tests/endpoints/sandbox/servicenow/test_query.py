import pytest

from endpoints.sandbox.servicenow.records import Records
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.servicenow.seeds import seed_id
from endpoints.sandbox.store import Store

INCIDENT = TABLES["incident"]
DESK = seed_id("sys_user_group", "Service Desk")
BETH = seed_id("sys_user", "beth.anglin")


@pytest.fixture
def records() -> Records:
    records = Records(Store())
    records.seed()
    for text, urgency, group in (
        ("Mail is down", "1", DESK),
        ("VPN slow", "2", ""),
        ("mail delayed", "3", DESK),
    ):
        values = {"short_description": text, "urgency": urgency, "assignment_group": group, "caller_id": BETH}
        records.insert(INCIDENT, values, "admin")
    return records


def found(
    records: Records, query: str, table: str = "incident", name: str = "short_description"
) -> list[str]:
    return [row[name] for row in records.find(TABLES[table], records.parse(TABLES[table], query))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Mail is down", "VPN slow", "mail delayed"]),
        ("short_description=vpn slow", ["VPN slow"]),
        ("short_description!=VPN slow", ["Mail is down", "mail delayed"]),
        ("urgency>1", ["VPN slow", "mail delayed"]),
        ("urgency>=2^urgency<=2", ["VPN slow"]),
        ("urgency<2", ["Mail is down"]),
        ("urgencyIN1,3", ["Mail is down", "mail delayed"]),
        ("urgencyNOT IN1,3", ["VPN slow"]),
        ("short_descriptionSTARTSWITHmail", ["Mail is down", "mail delayed"]),
        ("short_descriptionENDSWITHdown", ["Mail is down"]),
        ("short_descriptionLIKEl", ["Mail is down", "VPN slow", "mail delayed"]),
        ("short_descriptionCONTAINSelay", ["mail delayed"]),
        ("short_descriptionDOES NOT CONTAINmail", ["VPN slow"]),
        ("assignment_groupISEMPTY", ["VPN slow"]),
        ("assignment_groupISNOTEMPTY", ["Mail is down", "mail delayed"]),
        ("urgency=1^ORurgency=2^short_descriptionLIKEmail", ["Mail is down"]),
        ("urgency=1^NQurgency=3", ["Mail is down", "mail delayed"]),
        ("urgency=2^EQ", ["VPN slow"]),
        ("ORDERBYDESCurgency", ["mail delayed", "VPN slow", "Mail is down"]),
        ("ORDERBYassignment_group^ORDERBYDESCurgency", ["VPN slow", "mail delayed", "Mail is down"]),
        ("assignment_group.name=Service Desk", ["Mail is down", "mail delayed"]),
        ("caller_id.company.name=ACME Nordic^urgency=2", ["VPN slow"]),
        ("no_such_field=x^urgency=2", ["VPN slow"]),
        ("caller_id.no_such=x", ["Mail is down", "VPN slow", "mail delayed"]),
        ("123TEXTQUERY321=x^urgency=2", ["VPN slow"]),
    ],
)
def test_operators_find_the_right_records(records: Records, query: str, expected: list[str]) -> None:
    assert found(records, query) == expected


def test_join_follows_another_table(records: Records) -> None:
    query = "JOINsys_user.sys_id=incident.caller_id!short_descriptionLIKEvpn^active=true"

    assert found(records, query, "sys_user", "user_name") == ["beth.anglin"]
    assert found(records, query.replace("vpn", "nothing"), "sys_user", "user_name") == []


@pytest.mark.parametrize(
    ("count", "names"), [(">1", ["Service Desk"]), (">2", []), (">0,m2m", ["Service Desk"])]
)
def test_related_list_counts_records(records: Records, count: str, names: list[str]) -> None:
    query = f"RLQUERYincident.assignment_group,{count}^short_descriptionLIKEmail^ENDRLQUERY^active=true"

    assert found(records, query, "sys_user_group", "name") == names


def test_numbers_sort_as_numbers(records: Records) -> None:
    ends = ["sys_mod_count>9", "sys_mod_count<9"]
    records.store.put("incident", "x", {**records.rows("incident")[0], "sys_mod_count": "10", "sys_id": "x"})

    assert [len(found(records, query)) for query in ends] == [1, 3]


def test_doubled_caret_is_a_caret(records: Records) -> None:
    records.insert(INCIDENT, {"short_description": "2^10"}, "admin")

    assert found(records, "short_description=2^^10") == ["2^10"]

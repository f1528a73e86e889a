"""What is set up, through the REST API."""

import pytest

from tests.endpoints.sandbox.jira.conftest import Site


def test_server_info_answers_anybody(site: Site) -> None:
    info = site.ask("GET", "serverInfo", auth=None).json()

    assert info["versionNumbers"] == [1001, 0, 0]
    assert (info["deploymentType"], info["baseUrl"]) == ("Cloud", site.url)


def test_session_names_who_is_logged_in(site: Site) -> None:
    response = site.http.get(f"{site.url}/rest/auth/1/session", auth=("ada", site.app.token), timeout=10)

    assert response.json()["name"] == "ada"


def test_project_lists_its_issue_types(site: Site) -> None:
    by_key, by_id = site.get("project/OPS"), site.get("project/10000")

    assert by_key == by_id
    names = [each["name"] for each in by_key["issueTypes"]]
    assert names == ["Incident", "Task", "Bug", "Story", "Sub-task"]
    assert site.refusal("GET", "project/NOPE") == (404, "No project could be found with key 'NOPE'.")


def test_project_statuses_follow_the_workflow(site: Site) -> None:
    types = site.get("project/SUP/statuses")

    assert [each["name"] for each in types[0]["statuses"]] == ["To Do", "In Progress", "In Review", "Done"]


def test_projects_are_listed_and_searched(site: Site) -> None:
    assert [project["key"] for project in site.get("project")] == ["OPS", "SUP"]
    assert [project["key"] for project in site.get("project/search", query="support")["values"]] == ["SUP"]


def test_priorities_go_from_highest_to_lowest(site: Site) -> None:
    names = [priority["name"] for priority in site.get("priority")]

    assert names == ["Highest", "High", "Medium", "Low", "Lowest"]
    assert [each["name"] for each in site.get("priority/search", maxResults=2)["values"]] == names[:2]


@pytest.mark.parametrize("path", ["priority/1", "issuetype/10001", "status/3", "status/In Progress"])
def test_single_entries_are_found(site: Site, path: str) -> None:
    entry = site.get(path)

    assert entry["self"].startswith(f"{site.url}/rest/api/3/{path.split('/')[0]}/")


@pytest.mark.parametrize("path", ["priority/99", "issuetype/99", "status/99", "user?accountId=99", "nowhere"])
def test_unknown_entries_are_not_found(site: Site, path: str) -> None:
    assert site.refusal("GET", path)[0] == 404


def test_field_list_has_names_for_queries(site: Site) -> None:
    fields = {field["id"]: field for field in site.get("field")}

    reference = fields["customfield_10050"]
    assert (reference["name"], reference["custom"]) == ("External reference", True)
    assert reference["clauseNames"] == ["cf[10050]", "External reference"]
    assert fields["labels"]["schema"] == {"type": "array", "items": "string", "system": "labels"}


def test_people_are_found_by_name_or_email(site: Site) -> None:
    names = [
        [user["displayName"] for user in site.get("user/search", query=query)]
        for query in ("hopper", "ada@example.com", "nobody")
    ]

    assert names == [["Grace Hopper"], ["Ada Lovelace"], []]
    assert site.refusal("GET", "user/search")[0] == 400
    assert len(site.get("user/assignable/search", project="OPS")) == 4


def test_user_is_found_by_account_id(site: Site) -> None:
    account_id = site.get("myself")["accountId"]

    assert site.get("user", accountId=account_id)["displayName"] == "Integration User"
    assert site.get("user/search", accountId=account_id)[0]["accountId"] == account_id
    assert "Automation for Jira" in [user["displayName"] for user in site.get("users/search")]


def test_create_screen_tells_required_fields(site: Site) -> None:
    meta = site.get(
        "issue/createmeta",
        projectKeys="OPS",
        issuetypeNames="Incident",
        expand="projects.issuetypes.fields",
    )

    ((incident,),) = [project["issuetypes"] for project in meta["projects"]]
    required = {name for name, field in incident["fields"].items() if field["required"]}
    assert required == {"summary", "issuetype", "project"}
    assert "status" not in incident["fields"]


def test_create_screen_is_paged_by_issue_type(site: Site) -> None:
    types = site.get("issue/createmeta/OPS/issuetypes")["issueTypes"]

    fields = site.get(f"issue/createmeta/OPS/issuetypes/{types[0]['id']}")["fields"]

    priority = next(field for field in fields if field["fieldId"] == "priority")
    assert [each["name"] for each in priority["allowedValues"]][:2] == ["Highest", "High"]
    assert site.refusal("GET", "issue/createmeta/OPS/issuetypes/99")[0] == 404


def test_edit_screen_leaves_out_the_status(site: Site) -> None:
    fields = site.get(f"issue/{site.create()}/editmeta")["fields"]

    assert "status" not in fields
    assert fields["customfield_10051"]["allowedValues"][0]["value"] == "1 - Critical"
    assert fields["comment"]["operations"] == ["add"]


def test_resolutions_are_listed(site: Site) -> None:
    assert site.get("resolution")[0]["name"] == "Done"
    assert len(site.get("issuetype")) == 5
    assert len(site.get("status")) == 4


@pytest.mark.parametrize("number", ["-1", "x"])
def test_senseless_page_numbers_are_refused(site: Site, number: str) -> None:
    assert site.refusal("GET", "project/search", params={"startAt": number})[0] == 400

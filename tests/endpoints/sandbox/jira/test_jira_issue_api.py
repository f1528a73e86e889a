"""Issues through the REST API: create, edit, get, delete, workflow."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from endpoints.sandbox.jira.app import DEFAULT_TOKEN
from endpoints.sandbox.jira.wiki import to_document
from tests.endpoints.sandbox.jira.conftest import ADA, INTEGRATION, Site


def test_create_answers_id_key_and_address(site: Site) -> None:
    body = {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Incident"}, "summary": "Down"}}

    response = site.ask("POST", "issue", body, api="2")

    assert response.status_code == 201
    issue = response.json()
    assert issue == {"id": issue["id"], "key": "OPS-1", "self": f"{site.url}/rest/api/2/issue/{issue['id']}"}


def test_new_issue_shows_what_was_sent(site: Site) -> None:
    key = site.create(
        priority={"name": "High"},
        labels=["mail", "berlin"],
        customfield_10050="INC0010001",
        customfield_10051={"value": "2 - High"},
        customfield_10052=7,
        description="Since *Monday*",
    )

    fields = site.fields(key)

    assert (fields["priority"]["id"], fields["labels"]) == ("2", ["mail", "berlin"])
    assert fields["customfield_10050"] == "INC0010001"
    assert (fields["customfield_10051"]["value"], fields["customfield_10052"]) == ("2 - High", 7)
    assert fields["description"] == "Since *Monday*"
    assert (fields["status"]["name"], fields["resolution"]) == ("To Do", None)
    assert fields["reporter"]["displayName"] == fields["creator"]["displayName"] == "Integration User"


def test_each_project_counts_its_own_issues(site: Site) -> None:
    keys = [site.create(project={"key": name}) for name in ("OPS", "SUP", "OPS")]

    assert keys == ["OPS-1", "SUP-1", "OPS-2"]


@pytest.mark.parametrize("api", ["2", "3", "latest"])
def test_every_version_address_answers(site: Site, api: str) -> None:
    key = site.create()

    assert site.get(f"issue/{key}", api=api)["key"] == key


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("summary", "", "You must specify a summary of the issue."),
        ("summary", "two\nlines", "The summary is invalid because it contains newline characters."),
        ("summary", "x" * 256, "Summary can't exceed 255 characters."),
        ("priority", {"name": "Urgent"}, "Priority name 'Urgent' is not valid"),
        ("priority", {"id": "99"}, "The priority selected is invalid."),
        ("priority", "High", "data was not an object"),
        ("priority", {}, "Could not find valid 'id' or 'name' in the object."),
        ("labels", [7], "string expected at index 0"),
        ("labels", ["x" * 256], f"The label '{'x' * 256}' exceeds the maximum length of 255 characters."),
        ("assignee", "ada", "data was not an object"),
        (
            "assignee",
            {"name": "ada"},
            "'accountId' must be the only user identifying query parameter in GDPR strict mode.",
        ),
        ("parent", {"key": "OPS-99"}, "Could not find issue by id or key."),
        ("customfield_10052", True, "Operation value must be a number"),
        ("project", {"key": "NOPE"}, "Specify a valid project ID or key"),
        ("issuetype", {"name": "Wish"}, "Specify a valid issue type"),
        ("labels", ["two words"], "The label 'two words' contains spaces which is invalid."),
        ("labels", "mail", "data was not an array"),
        ("assignee", {"accountId": "nobody"}, "User 'nobody' does not exist."),
        ("customfield_10051", {"value": "Huge"}, "Option value 'Huge' is not valid"),
        ("customfield_10051", {"id": "1"}, "Option id '1' is not valid"),
        ("customfield_10052", "seven", "Operation value must be a number"),
        ("customfield_10050", 7, "Operation value must be a string"),
        ("duedate", "tomorrow", "Error parsing date string: tomorrow"),
        ("description", {"type": "doc"}, "Operation value must be a string"),
        (
            "severity",
            "1",
            "Field 'severity' cannot be set. It is not on the appropriate screen, or unknown.",
        ),
    ],
)
def test_bad_value_is_refused_by_field(site: Site, field: str, value: object, message: str) -> None:
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Mail is slow"}

    refusal = site.refusal("POST", "issue", {"fields": {**fields, field: value}}, api="2")

    assert refusal == (400, {field: message})
    assert site.found("project = OPS") == []


def test_missing_required_fields_are_all_named(site: Site) -> None:
    status, errors = site.refusal("POST", "issue", {"fields": {}})

    assert status == 400
    assert set(errors) == {"project", "issuetype", "summary"}


def test_subtask_needs_its_parent(site: Site) -> None:
    parent = site.create()
    child = site.create(issuetype={"name": "Sub-task"}, parent={"key": parent})

    assert site.fields(child)["parent"]["key"] == parent
    assert [each["key"] for each in site.fields(parent)["subtasks"]] == [child]
    without = {"project": {"key": "OPS"}, "issuetype": {"name": "Sub-task"}, "summary": "Part"}
    assert "parent" in site.refusal("POST", "issue", {"fields": without})[1]


def test_bulk_create_reports_each_failure(site: Site) -> None:
    good = {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "One"}}

    big = good | {"properties": [{"key": "effect", "value": "x" * 40_000}]}
    answer = site.ask("POST", "issue/bulk", {"issueUpdates": [good, {"fields": {}}, big, 7]}).json()

    assert [issue["key"] for issue in answer["issues"]] == ["OPS-1"]
    assert [error["failedElementNumber"] for error in answer["errors"]] == [1, 2, 3]
    assert site.found("project = OPS") == ["OPS-1"]
    assert site.refusal("POST", "issue/bulk", {"issueUpdates": []})[0] == 400


def test_edit_sets_fields_without_a_body_back(site: Site) -> None:
    key = site.create()

    response = site.ask("PUT", f"issue/{key}", {"fields": {"summary": "Mail is fast"}})

    assert (response.status_code, response.content) == (204, b"")
    assert site.fields(key)["summary"] == "Mail is fast"


def test_update_operations_change_labels(site: Site) -> None:
    key = site.create(labels=["a", "b"])
    operations = {"labels": [{"add": "c"}, {"remove": "a"}], "summary": [{"set": "New"}]}

    site.ask("PUT", f"issue/{key}", {"update": operations})

    assert site.fields(key)["labels"] == ["b", "c"]
    assert site.fields(key)["summary"] == "New"


@pytest.mark.parametrize(
    "update",
    [
        {"status": [{"set": "Done"}]},
        {"summary": [{"add": "x"}]},
        {"labels": {"add": "x"}},
        {"labels": [{"add": "x", "remove": "y"}]},
        {"comment": [{"remove": {}}]},
    ],
)
def test_senseless_operation_is_refused(site: Site, update: object) -> None:
    key = site.create()

    status, errors = site.refusal("PUT", f"issue/{key}", {"update": update})

    assert (status, len(errors)) == (400, 1)


def test_edit_can_give_the_issue_back(site: Site) -> None:
    key = site.create()
    body = {"fields": {"assignee": {"accountId": "-1"}, "summary": "New"}}

    issue = site.ask("PUT", f"issue/{key}?returnIssue=true", body).json()

    assert (issue["key"], issue["fields"]["summary"], issue["fields"]["assignee"]) == (key, "New", None)


def test_simultaneous_edits_all_count(site: Site) -> None:
    key = site.create()

    def add(number: int) -> int:
        body = {"update": {"labels": [{"add": f"label-{number}"}]}}
        url = f"{site.url}/rest/api/3/issue/{key}"
        return requests.put(url, json=body, auth=INTEGRATION, timeout=10).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(add, range(40)))

    assert codes == {204}
    assert len(site.fields(key)["labels"]) == 40


def test_deleting_one_issue_spares_the_files_of_others(site: Site) -> None:
    doomed, other = site.create(), site.create()
    site.ask("POST", f"issue/{doomed}/comment", {"body": "Has the file's number"}, api="2")
    headers = {"X-Atlassian-Token": "no-check"}
    (file,) = site.ask(
        "POST", f"issue/{other}/attachments", files={"file": ("a", b"b")}, headers=headers
    ).json()

    site.ask("DELETE", f"issue/{doomed}")

    assert site.ask("GET", f"attachment/content/{file['id']}").content == b"b"


def test_status_cannot_be_set_through_fields(site: Site) -> None:
    key = site.create()

    refusal = site.refusal("PUT", f"issue/{key}", {"fields": {"status": {"name": "Done"}}})

    text = "Field 'status' cannot be set. It is not on the appropriate screen, or unknown."
    assert refusal == (400, {"status": text})


def test_refused_edit_changes_nothing(site: Site) -> None:
    key = site.create(summary="Before")
    body = {"fields": {"summary": "After"}, "update": {"comment": [{"add": {"body": ""}}]}}

    assert site.refusal("PUT", f"issue/{key}", body, api="2")[0] == 400

    assert site.fields(key)["summary"] == "Before"


def test_same_field_twice_is_refused(site: Site) -> None:
    key = site.create()
    body = {"fields": {"labels": ["a"]}, "update": {"labels": [{"add": "b"}]}}

    assert set(site.refusal("PUT", f"issue/{key}", body)[1]) == {"labels"}


def test_null_clears_optional_fields(site: Site) -> None:
    key = site.create(description="Text", customfield_10050="INC1", assignee={"accountId": _ada(site)})

    empty = {"description": None, "customfield_10050": None, "assignee": None, "labels": None}
    site.ask("PUT", f"issue/{key}", {"fields": empty})

    fields = site.fields(key)
    assert [fields[name] for name in empty] == [None, None, None, []]


def test_version_three_takes_and_gives_documents(site: Site) -> None:
    document = to_document("First\n\n* one\n* two")

    key = site.create(api="3", description=document)

    assert site.fields(key, api="3")["description"] == document
    assert site.fields(key, api="2")["description"] == "First\n\n* one\n* two"


def test_version_three_refuses_plain_text(site: Site) -> None:
    key = site.create()

    refusal = site.refusal("PUT", f"issue/{key}", {"fields": {"description": "plain"}}, api="3")

    text = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    assert refusal == (400, {"description": text})


def test_only_wanted_fields_are_shown(site: Site) -> None:
    key = site.create()

    assert set(site.get(f"issue/{key}", fields="summary,status")["fields"]) == {"summary", "status"}
    assert "summary" not in site.get(f"issue/{key}", fields="*all,-summary")["fields"]


def test_expand_adds_what_it_names(site: Site) -> None:
    key = site.create(description="Two\nlines")
    wanted = ["names", "schema", "transitions", "editmeta", "changelog", "renderedFields"]

    issue = site.get(f"issue/{key}", expand=",".join(wanted))

    assert issue["names"]["customfield_10050"] == "External reference"
    assert issue["schema"]["labels"]["items"] == "string"
    assert [step["name"] for step in issue["transitions"]] == ["Start progress"]
    assert issue["editmeta"]["fields"]["labels"]["operations"] == ["add", "set", "remove"]
    assert issue["changelog"]["total"] == 0
    assert issue["renderedFields"]["description"] == "<p>Two<br/>lines</p>"


def test_deleted_issue_is_gone(site: Site) -> None:
    key = site.create()

    assert site.ask("DELETE", f"issue/{key}").status_code == 204

    text = "Issue does not exist or you do not have permission to see it."
    assert site.refusal("GET", f"issue/{key}") == (404, text)


def test_parent_is_deleted_only_with_subtasks(site: Site) -> None:
    parent = site.create()
    child = site.create(issuetype={"name": "Sub-task"}, parent={"key": parent})

    assert site.refusal("DELETE", f"issue/{parent}")[0] == 400
    assert site.ask("DELETE", f"issue/{parent}?deleteSubtasks=true").status_code == 204

    assert site.refusal("GET", f"issue/{child}")[0] == 404


def test_assignee_address_sets_and_clears(site: Site) -> None:
    key = site.create()

    site.ask("PUT", f"issue/{key}/assignee", {"accountId": _ada(site)})
    assert site.fields(key)["assignee"]["displayName"] == "Ada Lovelace"

    site.ask("PUT", f"issue/{key}/assignee", {"accountId": None})
    assert site.fields(key)["assignee"] is None


def test_workflow_offers_only_steps_from_here(site: Site) -> None:
    key = site.create()
    offered = []

    for step in ("11", "21", "31", "61"):
        offered.append({each["id"] for each in site.get(f"issue/{key}/transitions")["transitions"]})
        assert site.ask("POST", f"issue/{key}/transitions", {"transition": {"id": step}}).status_code == 204

    assert offered == [{"11"}, {"21", "31", "51"}, {"31", "41"}, {"61"}]
    assert site.fields(key)["status"]["name"] == "To Do"


def test_unavailable_step_is_refused(site: Site) -> None:
    key = site.create()

    refusal = site.refusal("POST", f"issue/{key}/transitions", {"transition": {"id": "31"}})

    assert refusal == (400, "Transition id '31' is not valid for this issue.")
    assert site.refusal("POST", f"issue/{key}/transitions", {})[0] == 400


def test_done_sets_a_resolution_and_reopen_clears_it(site: Site) -> None:
    key = site.create()
    _walk(site, key, 11, 31)
    done = site.fields(key)

    _walk(site, key, 61)

    assert (done["resolution"]["name"], done["status"]["statusCategory"]["key"]) == ("Done", "done")
    assert done["resolutiondate"]
    assert [site.fields(key)[name] for name in ("resolution", "resolutiondate")] == [None, None]


def test_step_takes_resolution_and_comment(site: Site) -> None:
    key = site.create()
    _walk(site, key, 11)
    body = {"transition": {"id": 31}, "fields": {"resolution": {"name": "Won't Do"}}}

    update = {"comment": [{"add": {"body": "Not ours."}}]}
    site.ask("POST", f"issue/{key}/transitions", {**body, "update": update}, api="2")

    fields = site.fields(key)
    assert fields["resolution"]["name"] == "Won't Do"
    assert [comment["body"] for comment in fields["comment"]["comments"]] == ["Not ours."]


def test_step_takes_the_resolution_as_operation(site: Site) -> None:
    key = site.create()
    _walk(site, key, 11)
    body = {"transition": {"id": "31"}, "update": {"resolution": [{"set": {"name": "Duplicate"}}]}}

    assert site.ask("POST", f"issue/{key}/transitions", body).status_code == 204

    assert site.fields(key)["resolution"]["name"] == "Duplicate"
    refused = {"transition": {"id": "61"}, "update": {"resolution": [{"add": 1}]}}
    assert set(site.refusal("POST", f"issue/{key}/transitions", refused)[1]) == {"resolution"}


def test_step_without_screen_refuses_fields(site: Site) -> None:
    key = site.create()
    body = {"transition": {"id": "11"}, "fields": {"resolution": {"name": "Done"}}}

    assert set(site.refusal("POST", f"issue/{key}/transitions", body)[1]) == {"resolution"}


def test_done_screen_lists_the_resolutions(site: Site) -> None:
    key = site.create()
    _walk(site, key, 11)

    steps = site.get(f"issue/{key}/transitions", expand="transitions.fields")["transitions"]

    done = next(step for step in steps if step["to"]["name"] == "Done")
    assert "Duplicate" in [each["name"] for each in done["fields"]["resolution"]["allowedValues"]]


def test_history_tells_who_changed_what(site: Site) -> None:
    key = site.create()

    site.ask("PUT", f"issue/{key}", {"fields": {"priority": {"name": "Low"}}}, auth=ADA)

    entry = site.get(f"issue/{key}/changelog")["values"][0]
    assert entry["author"]["displayName"] == "Ada Lovelace"
    item = {"field": "priority", "fieldtype": "jira", "fieldId": "priority"}
    assert entry["items"] == [item | {"from": "3", "fromString": "Medium", "to": "4", "toString": "Low"}]


def test_edit_without_a_change_leaves_no_history(site: Site) -> None:
    key = site.create(summary="Same")

    site.ask("PUT", f"issue/{key}", {"fields": {"summary": "Same"}})

    assert site.get(f"issue/{key}/changelog")["total"] == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"fields": 7}'])
def test_malformed_body_is_refused(site: Site, body: bytes) -> None:
    response = site.ask("POST", "issue", data=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert response.json()["errorMessages"]


def test_other_content_type_is_refused(site: Site) -> None:
    response = site.ask("POST", "issue", data="<issue/>", headers={"Content-Type": "text/xml"})

    assert response.status_code == 415


@pytest.mark.parametrize("auth", [None, ("integration@example.com", "wrong"), ("stranger", DEFAULT_TOKEN)])
def test_wrong_credentials_are_refused(site: Site, auth: tuple[str, str] | None) -> None:
    response = site.ask("GET", "myself", auth=auth)

    assert response.status_code == 401
    assert response.headers["X-Seraph-LoginReason"].startswith("AUTHENTICAT")
    assert response.json()["errorMessages"] == ["Client must be authenticated to access this resource."]


def test_bearer_token_is_the_integration_user(site: Site) -> None:
    headers = {"Authorization": f"Bearer {DEFAULT_TOKEN}"}

    response = site.ask("GET", "myself", auth=None, headers=headers)

    assert response.json()["displayName"] == "Integration User"
    assert response.headers["X-AACCOUNTID"] == response.json()["accountId"]


def _ada(site: Site) -> str:
    return str(site.get("user/search", query="ada")[0]["accountId"])


def _walk(site: Site, key: str, *steps: int) -> None:
    for step in steps:
        site.ask("POST", f"issue/{key}/transitions", {"transition": {"id": step}})

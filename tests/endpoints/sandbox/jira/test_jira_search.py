"""Search: query language, pages, index that lags behind."""

import pytest
import requests

from endpoints.sandbox.jira import JiraSandbox
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from tests.endpoints.sandbox.jira.conftest import ADA, Clock, Site


@pytest.fixture
def stocked(site: Site, clock: Clock) -> Site:
    """A site with three issues, made a day apart; the second is in progress."""
    site.create(
        summary="Mail server down", labels=["mail"], priority={"name": "Highest"}, duedate="2026-10-20"
    )
    clock.seconds += 86_400
    site.create(
        project={"key": "SUP"},
        issuetype={"name": "Incident"},
        summary="Printer jams again",
        customfield_10050="INC0010001",
        customfield_10052=5,
        auth=ADA,
    )
    site.ask("POST", "issue/SUP-1/transitions", {"transition": {"id": "11"}})
    clock.seconds += 86_400
    site.create(summary="Mail client slow", labels=["mail", "client"], description="Since the server moved")
    return site


@pytest.mark.parametrize(
    ("jql", "keys"),
    [
        ("project = OPS", "OPS-2 OPS-1"),
        ("project = 'Customer Support'", "SUP-1"),
        ("project != OPS", "SUP-1"),
        ("project in (OPS, SUP) and labels = client", "OPS-2"),
        ("key = ops-1", "OPS-1"),
        ("key in (OPS-1, SUP-1) ORDER BY key", "OPS-1 SUP-1"),
        ("issuekey >= OPS-2 AND project = OPS", "OPS-2"),
        ("id = 10001", "SUP-1"),
        ("status = 'In Progress'", "SUP-1"),
        ("status != 'In Progress'", "OPS-2 OPS-1"),
        ("statusCategory = 'To Do'", "OPS-2 OPS-1"),
        ("issuetype = Incident", "SUP-1"),
        ("labels is EMPTY", "SUP-1"),
        ("labels IS NOT null", "OPS-2 OPS-1"),
        ("labels in (client, EMPTY)", "OPS-2 SUP-1"),
        ("labels = EMPTY", "SUP-1"),
        ("labels != mail", ""),
        ("labels not in (client)", "OPS-1"),
        ("labels != EMPTY", "OPS-2 OPS-1"),
        ("summary ~ mail", "OPS-2 OPS-1"),
        ("summary ~ 'down mail'", "OPS-1"),
        ('summary ~ "\\"mail server\\""', "OPS-1"),
        ('summary ~ "\\"server mail\\""', ""),
        ("summary ~ print*", "SUP-1"),
        ("summary ~ '...'", ""),
        ("summary !~ mail", "SUP-1"),
        ("text ~ server", "OPS-2 OPS-1"),
        ("cf[10050] ~ INC0010001", "SUP-1"),
        ('"External reference" ~ "inc0010001"', "SUP-1"),
        ("cf[10050] is EMPTY", "OPS-2 OPS-1"),
        ('"Affected users" > 4', "SUP-1"),
        ("cf[10052] = 5", "SUP-1"),
        ("priority = Highest OR issuetype = Incident", "SUP-1 OPS-1"),
        ("NOT (priority = Highest OR issuetype = Incident)", "OPS-2"),
        ("project = OPS AND priority = Highest || project = SUP", "SUP-1 OPS-1"),
        ("reporter = currentUser()", "OPS-2 OPS-1"),
        ("creator = ada@example.com", "SUP-1"),
        ("assignee is EMPTY and project = SUP", "SUP-1"),
        ("created >= -1d AND created <= now()", "OPS-2 SUP-1"),
        ("created < '2026-10-27'", "OPS-1"),
        ("created >= '2026/10/28 00:00'", "OPS-2"),
        ("updated >= startOfDay()", "OPS-2"),
        ("statusCategory = indeterminate", "SUP-1"),
        ("duedate < now()", "OPS-1"),
        ("due <= startOfDay() OR due >= 2026-10-01", "OPS-1"),
        ("parent is EMPTY AND parent != OPS-1", ""),
        ("labels not in (client, EMPTY)", "OPS-1"),
        ("resolution = EMPTY ORDER BY priority DESC, created ASC", "OPS-1 SUP-1 OPS-2"),
        ("project is not EMPTY order by priority asc, key asc", "OPS-2 SUP-1 OPS-1"),
        ("project is not EMPTY order by summary", "OPS-2 OPS-1 SUP-1"),
        ("project is not EMPTY order by cf[10052]", "SUP-1 OPS-2 OPS-1"),
    ],
)
def test_query_finds_what_it_says(stocked: Site, jql: str, keys: str) -> None:
    assert " ".join(stocked.found(jql)) == keys


@pytest.mark.parametrize(
    ("jql", "message"),
    [
        ("project = NOPE", "The value 'NOPE' does not exist for the field 'project'."),
        ("status = Gone", "The value 'Gone' does not exist for the field 'status'."),
        ("wish = 1", "Field 'wish' does not exist or you do not have permission to view it."),
        ("key = OPS-99", "An issue with key 'OPS-99' does not exist for field 'key'."),
        ("summary = Mail", "The operator '=' is not supported by the 'summary' field."),
        ("cf[10050] = INC1", "The operator '=' is not supported by the 'cf[10050]' field."),
        ("labels ~ mail", "The operator '~' is not supported by the 'labels' field."),
        ("project >= OPS", "The operator '>=' is not supported by the 'project' field."),
        ("creator = currentStaff()", "Unable to find JQL function 'currentstaff()' for the field 'creator'."),
        ("statusCategory = Later", "The value 'Later' does not exist for the field 'statuscategory'."),
        ("reporter = nobody", "The value 'nobody' does not exist for the field 'reporter'."),
        ("parent = OPS-99", "An issue with key 'OPS-99' does not exist for field 'parent'."),
        ("labels is mail", "The operator 'is' can only be used with EMPTY or NULL, not with 'mail'."),
        ("cf[10052] > many", "The value 'many' is not a number for the field 'Affected users'."),
        (
            "ORDER BY key",
            "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
        ),
    ],
)
def test_senseless_query_is_refused(stocked: Site, jql: str, message: str) -> None:
    status, text = stocked.refusal("GET", "search/jql", params={"jql": jql})

    assert (status, text) == (400, message)


@pytest.mark.parametrize(
    ("jql", "at"),
    [
        ("project", "the end of the query. (line 1, character 8)"),
        ("project = ", "the end of the query. (line 1, character 11)"),
        ("project = OPS status = Done", "'status'. (line 1, character 15)"),
        ("project in (OPS", "the end of the query. (line 1, character 16)"),
        ("(project = OPS", "the end of the query. (line 1, character 15)"),
        ("= OPS", "'='. (line 1, character 1)"),
        ("project = OPS ORDER key", "the end of the query. (line 1, character 24)"),
        ("created = soon", "Date value 'soon'"),
        ("created > -99999999999w", "Date value '-99999999999w'"),
        ('project = "OPS', "reserved JQL character. You must enclose it in a string. (line 1, character 11)"),
    ],
)
def test_malformed_query_names_the_place(stocked: Site, jql: str, at: str) -> None:
    status, text = stocked.refusal("GET", "search/jql", params={"jql": jql})

    assert status == 400
    assert at in text


def test_pages_are_linked_by_token(site: Site) -> None:
    keys = [site.create() for _ in range(5)]
    body = {"jql": "project = OPS ORDER BY key", "fields": ["summary"], "maxResults": 2}
    pages = [site.ask("POST", "search/jql", body).json()]

    while not pages[-1]["isLast"]:
        pages.append(
            site.ask("POST", "search/jql", body | {"nextPageToken": pages[-1]["nextPageToken"]}).json()
        )

    assert [issue["key"] for page in pages for issue in page["issues"]] == keys
    assert [len(page["issues"]) for page in pages] == [2, 2, 1]
    assert all("total" not in page for page in pages)


def test_token_of_another_query_is_refused(site: Site) -> None:
    site.create()
    site.create()
    token = site.get("search/jql", jql="project = OPS", maxResults=1)["nextPageToken"]

    for jql, given in (("project = SUP", token), ("project = OPS", "nonsense")):
        refusal = site.refusal("GET", "search/jql", params={"jql": jql, "nextPageToken": given})
        assert refusal == (400, "The provided next page token is invalid or expired.")


def test_search_gives_ids_unless_fields_are_named(site: Site) -> None:
    site.create()

    assert site.get("search/jql", jql="project = OPS")["issues"] == [{"id": "10000"}]
    issue = site.get("search/jql", jql="project = OPS", fields=["summary", "status"])["issues"][0]
    assert set(issue["fields"]) == {"summary", "status"}


def test_post_takes_the_nulls_clients_send(site: Site) -> None:
    site.create()
    body = {"jql": "project = OPS", "fields": ["*all"], "expand": None, "properties": None}

    answer = site.ask("POST", "search/jql", body | {"reconcileIssues": [], "nextPageToken": None}).json()

    assert answer["issues"][0]["fields"]["comment"]["total"] == 0


def test_fields_that_are_no_names_are_refused(site: Site) -> None:
    refusal = site.refusal("POST", "search/jql", {"jql": "project = OPS", "fields": [7]})

    assert refusal == (400, "'fields' must be an array of strings.")


def test_count_tells_how_many_are_found(site: Site) -> None:
    site.create()
    site.create()

    assert site.ask("POST", "search/approximate-count", {"jql": "project = OPS"}).json() == {"count": 2}


def test_old_search_is_removed_on_cloud(site: Site) -> None:
    status, text = site.refusal("GET", "search", params={"jql": "project = OPS"})

    assert status == 410
    assert "/rest/api/3/search/jql" in text


def test_server_counts_and_numbers_its_pages(http: requests.Session) -> None:
    with SandboxServer(JiraSandbox(Store(), deployment="Server")) as server:
        site = Site(server.app, http)  # type: ignore[arg-type]
        for _ in range(3):
            site.create()

        page = site.get("search", api="2", jql="project = OPS", startAt=1, maxResults=1)

        assert (page["startAt"], page["maxResults"], page["total"]) == (1, 1, 3)
        assert page["issues"][0]["key"] == "OPS-2"
        assert site.get("serverInfo")["deploymentType"] == "Server"


def test_new_issue_is_found_after_the_lag(site: Site, clock: Clock) -> None:
    site.control("settings", {"index_lag": 60})
    key = site.create()

    clock.seconds += 59
    assert site.found("project = OPS") == []

    clock.seconds += 1
    assert site.found("project = OPS") == [key]


def test_search_shows_the_state_of_then(site: Site, clock: Clock) -> None:
    site.control("settings", {"index_lag": 60})
    key = site.create(summary="First")
    clock.seconds += 100
    site.ask("PUT", f"issue/{key}", {"fields": {"summary": "Second", "labels": ["new"]}})

    clock.seconds += 30
    issue = site.get("search/jql", jql="project = OPS", fields="summary")["issues"][0]

    assert issue["fields"]["summary"] == "First"
    assert site.found("labels = new") == []
    assert site.fields(key)["summary"] == "Second"
    clock.seconds += 30
    assert site.found("labels = new") == [key]


def test_deleted_issue_is_found_during_the_lag(site: Site, clock: Clock) -> None:
    site.control("settings", {"index_lag": 60})
    key = site.create()
    clock.seconds += 100
    site.ask("DELETE", f"issue/{key}")

    assert site.found("project = OPS") == [key]
    clock.seconds += 60
    assert site.found("project = OPS") == []


def test_lag_can_be_lifted_while_running(site: Site) -> None:
    site.control("settings", {"index_lag": 3600})
    key = site.create()
    assert site.found("project = OPS") == []

    site.control("settings", {"index_lag": 0})

    assert site.found("project = OPS") == [key]


@pytest.mark.parametrize("body", [[], {"index_lag": -1}, {"index_lag": "x"}, {"lag": 1}, {"automation": 1}])
def test_senseless_settings_are_refused(site: Site, body: object) -> None:
    response = site.http.put(f"{site.url}/_sandbox/settings", json=body, timeout=10)

    assert response.status_code == 400
    assert site.http.get(f"{site.url}/_sandbox/settings", timeout=10).json()["index_lag"] == 0

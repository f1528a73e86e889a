"""The unmodified client `jira` from PyPI against the simulated Jira, over HTTP and TLS."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jira import JIRA, Issue
from jira.exceptions import JIRAError

from endpoints.sandbox.jira import JiraSandbox
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.tls import Certificate
from tests.endpoints.sandbox.jira.conftest import INTEGRATION

Start = Callable[..., SandboxServer]


def _connect(url: str, **options: object) -> JIRA:
    return JIRA(url, basic_auth=INTEGRATION, max_retries=0, get_server_info=True, **options)  # type: ignore[arg-type]


@pytest.fixture(params=["http", "https"])
def client(
    request: pytest.FixtureRequest, started: Start, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JIRA]:
    """A client logged in over HTTP or TLS."""
    tls = certificate if request.param == "https" else None
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.cert))
    server = started(JiraSandbox(Store()), tls)
    client = _connect(server.url, validate=True)
    yield client
    client.close()


def test_client_takes_it_for_cloud(client: JIRA) -> None:
    assert client.deploymentType == "Cloud"
    assert client.myself()["displayName"] == "Integration User"
    assert client.current_user() == client.myself()["accountId"]


def test_client_creates_by_names(client: JIRA) -> None:
    issue = client.create_issue(project="SUP", issuetype="Task", summary="Mail is slow")

    assert (issue.key, issue.fields.summary) == ("SUP-1", "Mail is slow")
    assert issue.permalink() == f"{client.server_url}/browse/SUP-1"


def test_client_updates_fields_and_labels(client: JIRA) -> None:
    issue = _create(client, labels=["mail"])

    issue.update(summary="Mail is fast", customfield_10050="INC0010001", comment="Sent by update")
    issue.add_field_value("labels", "fast")

    issue = client.issue(issue.key)
    assert (issue.fields.summary, issue.fields.customfield_10050) == ("Mail is fast", "INC0010001")
    assert issue.fields.labels == ["mail", "fast"]
    assert issue.fields.comment.comments[0].body == "Sent by update"


def test_client_comments_internally(client: JIRA) -> None:
    issue = _create(client)

    client.add_comment(issue, "Public")
    internal = client.add_comment(issue, "Internal", is_internal=True)
    internal.update(body="Changed")

    comments = client.comments(issue, expand="properties")
    assert [(each.body, each.jsdPublic) for each in comments] == [("Public", True), ("Changed", False)]


def test_client_walks_the_workflow(client: JIRA) -> None:
    issue = _create(client)

    client.transition_issue(issue, "Start progress")
    client.transition_issue(issue, "31", fields={"resolution": {"name": "Duplicate"}}, comment="Seen before")

    issue = client.issue(issue.key)
    assert (issue.fields.status.name, issue.fields.resolution.name) == ("Done", "Duplicate")
    assert client.comments(issue)[0].body == "Seen before"
    assert client.find_transitionid_by_name(issue, "Reopen") == "61"


def test_client_attaches_and_fetches_a_file(client: JIRA, tmp_path: Path) -> None:
    issue = _create(client)
    file = tmp_path / "log.bin"
    file.write_bytes(b"\x00\xffdisk full")

    attachment = client.add_attachment(issue.key, str(file))

    assert (attachment.filename, attachment.size) == ("log.bin", 11)
    assert client.attachment(attachment.id).get() == b"\x00\xffdisk full"
    attachment.delete()
    assert client.issue(issue.key).fields.attachment == []


def test_client_searches_page_by_page(client: JIRA) -> None:
    keys = [_create(client).key for _ in range(5)]

    found = client.enhanced_search_issues("project = OPS ORDER BY key", maxResults=0, fields=["summary"])
    by_post = client.enhanced_search_issues("project = OPS ORDER BY key", maxResults=2, use_post=True)

    assert [issue.key for issue in found] == keys
    assert [issue.key for issue in by_post] == keys[:2]
    assert [issue.key for issue in client.search_issues("labels is EMPTY", maxResults=3)] == keys[:1:-1]


def test_client_keeps_remote_links_and_properties(client: JIRA) -> None:
    issue = _create(client)

    client.add_simple_link(issue, {"url": "https://sn.example/1", "title": "INC0010001"})
    client.add_issue_property(issue.key, "effect", {"key": "abc"})

    assert [link.object.title for link in client.remote_links(issue)] == ["INC0010001"]
    assert client.issue_property(issue.key, "effect").value.key == "abc"


def test_client_reads_the_set_up(client: JIRA) -> None:
    assert [project.key for project in client.projects()] == ["OPS", "SUP"]
    assert "External reference" in {field["name"] for field in client.fields()}
    assert client.createmeta(projectKeys="OPS", expand="projects.issuetypes.fields")["projects"]
    assert "labels" in client.editmeta(_create(client).key)["fields"]
    assert [user.displayName for user in client.search_users(query="Grace")] == ["Grace Hopper"]


def test_client_assigns_and_deletes(client: JIRA) -> None:
    issue = _create(client)

    client.assign_issue(issue, "ada@example.com")

    assert client.issue(issue.key).fields.assignee.displayName == "Ada Lovelace"
    issue.delete()
    with pytest.raises(JIRAError, match="Issue does not exist") as error:
        client.issue(issue.key)
    assert error.value.status_code == 404


def test_client_shows_refused_fields(client: JIRA) -> None:
    with pytest.raises(JIRAError, match="Priority name 'Urgent' is not valid") as error:
        _create(client, priority={"name": "Urgent"})

    assert error.value.status_code == 400


def test_client_shows_unavailable_steps(client: JIRA) -> None:
    issue = _create(client)

    with pytest.raises(JIRAError, match="Transition id '31' is not valid"):
        client.transition_issue(issue, "31")


def test_client_shows_bad_queries(client: JIRA) -> None:
    with pytest.raises(JIRAError, match="The value 'NOPE' does not exist") as error:
        client.search_issues("project = NOPE")

    assert error.value.status_code == 400


def test_client_with_wrong_token_is_refused(started: Start) -> None:
    server = started(JiraSandbox(Store()))

    with pytest.raises(JIRAError) as error:
        JIRA(server.url, basic_auth=("integration@example.com", "wrong"), max_retries=0, validate=True)

    assert error.value.status_code == 401


def test_client_uses_old_search_on_server(started: Start) -> None:
    server = started(JiraSandbox(Store(), deployment="Server"))
    client = JIRA(server.url, token_auth=INTEGRATION[1], max_retries=0)
    keys = [_create(client).key for _ in range(3)]

    found = client.search_issues("project = OPS ORDER BY key", startAt=1, fields="summary")

    assert [issue.key for issue in found] == keys[1:]
    assert found.total == 3
    client.close()


def _create(client: JIRA, **fields: object) -> Issue:
    dull = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Mail is slow"}
    return client.create_issue(fields=dull | fields)

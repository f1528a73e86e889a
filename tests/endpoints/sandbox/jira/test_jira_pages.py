"""The web pages as a person uses them."""

from typing import Any

from endpoints.sandbox.jira.wiki import to_document
from tests.endpoints.sandbox.conftest import Receiver
from tests.endpoints.sandbox.jira.conftest import Site

FORM = {
    "project": "10000",
    "issuetype": "10004",
    "priority": "2",
    "summary": "Mail <is> slow",
    "description": "Since\r\nMonday",
    "labels": "mail berlin",
    "customfield_10050": "INC0010001",
    "customfield_10051": "10021",
    "customfield_10052": "12.5",
}


def _page(site: Site, path: str) -> str:
    response = site.http.get(site.url + path, timeout=10)
    assert response.status_code == 200
    return str(response.text)


def _send(site: Site, path: str, form: dict[str, str], **options: Any) -> Any:
    return site.http.post(site.url + path, data=form, timeout=10, **options)


def test_form_creates_an_issue_as_ada(site: Site) -> None:
    response = _send(site, "/create", FORM)

    assert response.url == f"{site.url}/browse/OPS-1"
    fields = site.fields("OPS-1")
    assert fields["creator"]["displayName"] == "Ada Lovelace"
    assert (fields["summary"], fields["description"]) == ("Mail <is> slow", "Since\nMonday")
    assert (fields["issuetype"]["name"], fields["priority"]["name"]) == ("Incident", "High")
    assert (fields["labels"], fields["customfield_10050"]) == (["mail", "berlin"], "INC0010001")
    assert (fields["customfield_10051"]["id"], fields["customfield_10052"]) == ("10021", 12.5)


def test_list_shows_and_searches_issues(site: Site) -> None:
    site.create(summary="Mail <is> slow", labels=["mail"], customfield_10050="INC0010001")
    site.create(summary="Printer jams")

    everything, found = _page(site, "/"), _page(site, "/?search=inc001")

    assert "Mail &lt;is&gt; slow" in everything
    assert "INC0010001" in everything
    assert "OPS-2" in everything
    assert "OPS-1" in found
    assert "OPS-2" not in found
    assert "No issues." in _page(site, "/?search=nothing")


def test_refused_form_keeps_what_was_typed(site: Site) -> None:
    response = _send(site, "/create", FORM | {"customfield_10052": "many"})

    assert response.status_code == 400
    assert "Affected users: Operation value must be a number" in response.text
    assert 'value="Mail &lt;is&gt; slow"' in response.text
    assert site.found("project = OPS") == []


def test_form_saves_only_what_was_changed(site: Site) -> None:
    key = site.create(summary="Old", description="Text", labels=["a"])
    form = {"summary": "New", "was_summary": "Old", "labels": "a", "was_labels": "a", "assignee": ""}
    site.ask("PUT", f"issue/{key}", {"fields": {"labels": ["b"]}})

    _send(site, f"/browse/{key}", form)

    fields = site.fields(key)
    assert (fields["summary"], fields["labels"], fields["description"]) == ("New", ["b"], "Text")


def test_subtask_stays_one_when_edited(site: Site) -> None:
    child = site.create(issuetype={"name": "Sub-task"}, parent={"key": site.create()})

    assert '<option value="10005" selected>Sub-task</option>' in _page(site, f"/browse/{child}")
    assert "Sub-task" not in _page(site, "/create")


def test_refused_edit_says_why(site: Site) -> None:
    key = site.create(summary="Old")

    response = _send(site, f"/browse/{key}", {"summary": " ", "was_summary": "Old"})

    assert response.status_code == 400
    assert "Summary: You must specify a summary of the issue." in response.text
    assert site.fields(key)["summary"] == "Old"


def test_buttons_walk_the_workflow(site: Site) -> None:
    key = site.create()
    assert "Start progress" in _page(site, f"/browse/{key}")

    for step in ("11", "31", "21"):
        response = _send(site, f"/browse/{key}/transition", {"step": step})

    assert "Resolution: Done" in response.text
    assert "Reopen" in response.text
    assert site.fields(key)["status"]["name"] == "Done"


def test_comment_box_marks_internal_notes(site: Site) -> None:
    key = site.create()

    _send(site, f"/browse/{key}/comment", {"body": "For all"})
    response = _send(site, f"/browse/{key}/comment", {"body": "For us", "internal": "1"})
    _send(site, f"/browse/{key}/comment", {"body": "  "})

    comments = site.get(f"issue/{key}/comment", api="2")["comments"]
    assert [(each["body"], each["jsdPublic"]) for each in comments] == [("For all", True), ("For us", False)]
    assert '<li class="internal">' in response.text
    assert '<li class="public">' in response.text


def test_documents_are_shown_as_text(site: Site) -> None:
    key = site.create()
    site.ask("POST", f"issue/{key}/comment", {"body": to_document("From *version* three")})

    assert "From *version* three" in _page(site, f"/browse/{key}")


def test_file_is_attached_and_downloaded(site: Site) -> None:
    key = site.create()

    _send(site, f"/browse/{key}/attach", {}, files={"file": ("日本.html", b"<script>", "text/html")})

    assert "日本.html" in _page(site, f"/browse/{key}")
    response = site.http.get(f"{site.url}/file/{site.fields(key)['attachment'][0]['id']}", timeout=10)
    assert (response.content, response.headers["Content-Type"]) == (b"<script>", "application/octet-stream")


def test_chosen_person_acts_from_then_on(site: Site) -> None:
    key = site.create()
    grace = site.get("user/search", query="grace")[0]["accountId"]

    response = _send(site, "/actor", {"actor": grace, "back": f"/browse/{key}"})
    _send(site, f"/browse/{key}/comment", {"body": "Hello"})

    assert response.url == f"{site.url}/browse/{key}"
    assert site.get(f"issue/{key}/comment")["comments"][0]["author"]["accountId"] == grace
    away = _send(site, "/actor", {"actor": grace, "back": "//elsewhere.example"}, allow_redirects=False)
    assert away.headers["Location"] == "/"


def test_issue_page_shows_history_and_deliveries(site: Site, receiver: Receiver) -> None:
    site.control("receiver", {"url": f"{receiver.base_url}/hook?auth_token=s3cret"})
    key = site.create()
    site.ask("PUT", f"issue/{key}", {"fields": {"priority": {"name": "Low"}}})
    assert site.app.outbox.wait_idle(60)

    page = _page(site, f"/browse/{key}")

    for text in ("Integration User", "Medium", "Low", "jira:issue_updated", "delivered 202", "r-2"):
        assert text in page
    assert f"{receiver.base_url}/hook" in _page(site, "/")
    assert "s3cret" not in _page(site, "/")


def test_unknown_pages_say_so(site: Site) -> None:
    for path in ("/browse/OPS-99", "/file/99"):
        response = site.http.get(site.url + path, timeout=10)

        assert response.status_code == 404
        assert "There is no" in response.text

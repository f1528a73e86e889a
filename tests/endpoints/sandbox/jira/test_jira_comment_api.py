"""Comments through the REST API."""

import pytest

from endpoints.sandbox.jira.wiki import to_document
from tests.endpoints.sandbox.jira.conftest import Site

INTERNAL = {"key": "sd.public.comment", "value": {"internal": True}}


def test_comment_is_text_in_version_two(site: Site) -> None:
    key = site.create()

    response = site.ask("POST", f"issue/{key}/comment", {"body": "On *it*"}, api="2")

    assert response.status_code == 201
    comment = response.json()
    assert (comment["body"], comment["jsdPublic"]) == ("On *it*", True)
    assert comment["author"]["displayName"] == comment["updateAuthor"]["displayName"] == "Integration User"


def test_comment_is_a_document_in_version_three(site: Site) -> None:
    key = site.create()
    document = to_document("On *it*\nnow")

    comment = site.ask("POST", f"issue/{key}/comment", {"body": document}).json()

    assert comment["body"] == document
    assert site.get(f"issue/{key}/comment/{comment['id']}", api="2")["body"] == "On *it*\nnow"


@pytest.mark.parametrize(
    ("api", "body", "message"),
    [
        ("2", "", "Comment body can not be empty!"),
        ("2", None, "Comment body can not be empty!"),
        (
            "2",
            "x" * 32_768,
            "The entered text is too long. It exceeds the allowed limit of 32,767 characters.",
        ),
        ("2", {"type": "doc"}, "Comment body is not valid!"),
        ("3", "plain", "Comment body is not valid!"),
        ("3", {"type": "doc", "version": 1}, "Comment body is not valid!"),
    ],
)
def test_bad_comment_body_is_refused(site: Site, api: str, body: object, message: str) -> None:
    key = site.create()

    refusal = site.refusal("POST", f"issue/{key}/comment", {"body": body}, api=api)

    assert refusal == (400, {"comment": message})
    assert site.get(f"issue/{key}/comment")["total"] == 0


def test_comments_come_in_pages(site: Site) -> None:
    key = site.create()
    for text in ("one", "two", "three"):
        site.ask("POST", f"issue/{key}/comment", {"body": text}, api="2")

    page = site.get(f"issue/{key}/comment", api="2", startAt=1, maxResults=1)
    newest = site.get(f"issue/{key}/comment", api="2", orderBy="-created")

    assert {**page, "comments": [each["body"] for each in page["comments"]]} == {
        "comments": ["two"],
        "startAt": 1,
        "maxResults": 1,
        "total": 3,
    }
    assert [each["body"] for each in newest["comments"]] == ["three", "two", "one"]


def test_properties_make_a_comment_internal(site: Site) -> None:
    key = site.create()
    own = {"key": "effect", "value": {"key": "abc"}}

    body = {"body": "Between us", "properties": [INTERNAL, own]}
    comment = site.ask("POST", f"issue/{key}/comment", body, api="2").json()

    assert comment["jsdPublic"] is False
    assert "properties" not in site.get(f"issue/{key}/comment")["comments"][0]
    expanded = site.get(f"issue/{key}/comment", expand="properties")["comments"][0]
    assert expanded["properties"] == [INTERNAL, own]


def test_comment_properties_have_addresses(site: Site) -> None:
    key = site.create()
    comment_id = site.ask("POST", f"issue/{key}/comment", {"body": "Hi"}, api="2").json()["id"]
    address = f"comment/{comment_id}/properties"

    codes = [site.ask("PUT", f"{address}/effect", value).status_code for value in ({"a": 1}, {"a": 2})]

    assert codes == [201, 200]
    assert site.get(f"{address}/effect") == {"key": "effect", "value": {"a": 2}}
    assert [each["key"] for each in site.get(address)["keys"]] == ["effect"]
    assert site.ask("DELETE", f"{address}/effect").status_code == 204
    assert site.refusal("GET", f"{address}/effect")[0] == 404
    assert site.refusal("DELETE", f"{address}/effect")[0] == 404


def test_senseless_comment_properties_are_refused(site: Site) -> None:
    key = site.create()
    body = {"body": "Hi", "properties": [{"value": 1}]}

    assert site.refusal("POST", f"issue/{key}/comment", body, api="2")[0] == 400


def test_visibility_is_kept_and_checked(site: Site) -> None:
    key = site.create()
    role = {"type": "role", "value": "Administrators"}

    comment = site.ask("POST", f"issue/{key}/comment", {"body": "Hi", "visibility": role}, api="2").json()

    assert comment["visibility"] == role | {"identifier": "Administrators"}
    bad = {"body": "Hi", "visibility": {"type": "planet", "value": "x"}}
    assert site.refusal("POST", f"issue/{key}/comment", bad, api="2")[0] == 400


def test_edit_keeps_what_is_not_given(site: Site) -> None:
    key = site.create()
    first = {"body": "Old", "properties": [INTERNAL]}
    address = f"issue/{key}/comment/{site.ask('POST', f'issue/{key}/comment', first, api='2').json()['id']}"

    site.ask("PUT", address, {"body": "New"}, api="2")

    comment = site.get(address, api="2", expand="properties,renderedBody")
    assert (comment["body"], comment["properties"]) == ("New", [INTERNAL])
    assert comment["renderedBody"] == "<p>New</p>"


def test_deleted_comment_is_gone(site: Site) -> None:
    key = site.create()
    comment_id = site.ask("POST", f"issue/{key}/comment", {"body": "Hi"}, api="2").json()["id"]

    assert site.ask("DELETE", f"issue/{key}/comment/{comment_id}").status_code == 204

    text = f"Can not find a comment for the id: {comment_id}."
    assert site.refusal("GET", f"issue/{key}/comment/{comment_id}") == (404, text)


def test_comment_belongs_to_its_own_issue(site: Site) -> None:
    key, other = site.create(), site.create()
    comment_id = site.ask("POST", f"issue/{key}/comment", {"body": "Hi"}, api="2").json()["id"]

    assert site.refusal("GET", f"issue/{other}/comment/{comment_id}")[0] == 404
    assert site.refusal("POST", "issue/OPS-99/comment", {"body": "Hi"})[0] == 404

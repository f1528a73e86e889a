"""Attachments, issue properties and remote links through the REST API."""

from typing import Any

import pytest

from tests.endpoints.sandbox.jira.conftest import Site

NO_CHECK = {"X-Atlassian-Token": "no-check"}


def _upload(site: Site, key: str, name: str = "log.txt", content: bytes = b"disk full") -> Any:
    files = {"file": (name, content, "text/plain")}
    return site.ask("POST", f"issue/{key}/attachments", files=files, headers=NO_CHECK)


def test_upload_answers_a_list_with_the_file(site: Site) -> None:
    key = site.create()

    response = _upload(site, key)

    assert response.status_code == 200
    (file,) = response.json()
    assert (file["filename"], file["size"], file["mimeType"]) == ("log.txt", 9, "text/plain")
    assert [each["id"] for each in site.fields(key)["attachment"]] == [file["id"]]


def test_content_address_serves_the_bytes(site: Site) -> None:
    content = bytes(range(256))
    (file,) = _upload(site, site.create(), "käse.bin", content).json()

    response = site.ask("GET", f"attachment/content/{file['id']}")

    assert file["content"] == f"{site.url}/rest/api/3/attachment/content/{file['id']}"
    assert response.content == content
    assert "filename*=UTF-8''k%C3%A4se.bin" in response.headers["Content-Disposition"]


def test_upload_without_token_is_taken_for_forgery(site: Site) -> None:
    key = site.create()

    response = site.ask("POST", f"issue/{key}/attachments", files={"file": ("a", b"b")})

    assert (response.status_code, response.text) == (403, "XSRF check failed")
    assert site.fields(key)["attachment"] == []


def test_upload_needs_the_field_named_file(site: Site) -> None:
    key = site.create()
    address = f"issue/{key}/attachments"

    assert site.refusal("POST", address, files={"doc": ("a", b"b")}, headers=NO_CHECK)[0] == 400
    assert site.refusal("POST", address, {}, headers=NO_CHECK)[0] == 415
    assert _upload(site, "OPS-99").status_code == 404


def test_deleted_file_is_gone(site: Site) -> None:
    key = site.create()
    (file,) = _upload(site, key).json()

    assert site.ask("DELETE", f"attachment/{file['id']}").status_code == 204

    assert site.refusal("GET", f"attachment/{file['id']}")[0] == 404
    assert site.refusal("GET", f"attachment/content/{file['id']}")[0] == 404
    assert site.fields(key)["attachment"] == []


def test_upload_limit_is_told(site: Site) -> None:
    assert site.get("attachment/meta") == {"enabled": True, "uploadLimit": 104_857_600}


def test_issue_property_is_kept_with_the_issue(site: Site) -> None:
    key = site.create()
    address = f"issue/{key}/properties/effect"

    codes = [site.ask("PUT", address, value).status_code for value in ({"a": 1}, ["b"])]

    assert codes == [201, 200]
    assert site.get(address) == {"key": "effect", "value": ["b"]}
    assert [each["key"] for each in site.get(f"issue/{key}/properties")["keys"]] == ["effect"]
    assert site.get(f"issue/{key}", properties="effect")["properties"] == {"effect": ["b"]}


def test_create_keeps_properties_at_once(site: Site) -> None:
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Mail"}
    properties = [{"key": "effect", "value": "abc"}]

    key = site.ask("POST", "issue", {"fields": fields, "properties": properties}).json()["key"]

    assert site.get(f"issue/{key}/properties/effect")["value"] == "abc"


def test_deleted_property_is_gone(site: Site) -> None:
    key = site.create()
    site.ask("PUT", f"issue/{key}/properties/effect", 1)

    assert site.ask("DELETE", f"issue/{key}/properties/effect").status_code == 204

    text = "The property with key 'effect' does not exist."
    assert site.refusal("GET", f"issue/{key}/properties/effect") == (404, text)


def test_too_long_property_is_refused(site: Site) -> None:
    key = site.create()

    assert site.refusal("PUT", f"issue/{key}/properties/effect", "x" * 32_768)[0] == 400


def _link(title: str, global_id: str = "system=sn&id=1") -> dict[str, Any]:
    return {"globalId": global_id, "object": {"url": "https://sn.example/1", "title": title}}


def test_link_with_known_global_id_is_replaced(site: Site) -> None:
    key = site.create()
    address = f"issue/{key}/remotelink"

    first, second = (site.ask("POST", address, _link(title)) for title in ("INC1", "INC1 closed"))

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert [link["object"]["title"] for link in site.get(address)] == ["INC1 closed"]


def test_link_is_found_by_global_id(site: Site) -> None:
    key = site.create()
    site.ask("POST", f"issue/{key}/remotelink", _link("INC1"))
    site.ask("POST", f"issue/{key}/remotelink", _link("INC2", "other"))

    link = site.get(f"issue/{key}/remotelink", globalId="other")

    assert link["object"]["title"] == "INC2"
    assert site.refusal("GET", f"issue/{key}/remotelink", params={"globalId": "none"})[0] == 404


def test_link_can_be_changed_and_removed(site: Site) -> None:
    key = site.create()
    address = f"issue/{key}/remotelink"
    link_id = site.ask("POST", address, _link("INC1")).json()["id"]

    assert site.ask("PUT", f"{address}/{link_id}", _link("INC9")).status_code == 204
    assert site.get(f"{address}/{link_id}")["object"]["title"] == "INC9"
    assert site.ask("DELETE", f"{address}/{link_id}").status_code == 204
    assert site.refusal("GET", f"{address}/{link_id}")[0] == 404


def test_link_is_removed_by_global_id(site: Site) -> None:
    key = site.create()
    address = f"issue/{key}/remotelink"
    site.ask("POST", address, _link("INC1", "gone"))

    assert site.ask("DELETE", f"{address}?globalId=gone").status_code == 204

    assert site.get(address) == []
    assert site.refusal("DELETE", address, params={"globalId": "gone"})[0] == 404
    assert site.refusal("GET", "issue/OPS-99/remotelink")[0] == 404


@pytest.mark.parametrize("properties", [{}, [7], [{"value": 1}]])
def test_senseless_properties_are_refused(site: Site, properties: object) -> None:
    key = site.create()

    assert site.refusal("PUT", f"issue/{key}", {"properties": properties})[0] == 400


def test_link_without_title_or_url_is_refused(site: Site) -> None:
    key = site.create()

    status, errors = site.refusal("POST", f"issue/{key}/remotelink", {"object": {}})

    assert (status, set(errors)) == (400, {"title", "url"})

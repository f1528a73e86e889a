import hashlib

import pytest
import requests

from tests.endpoints.sandbox.conftest import Instance

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def upload(instance: Instance, sys_id: str, name: str = "screen shot.png") -> requests.Response:
    params = {"table_name": "incident", "table_sys_id": sys_id, "file_name": name}
    headers = {"Content-Type": "image/png"}
    return instance.call("POST", "/api/now/attachment/file", params=params, headers=headers, data=CONTENT)


def test_upload_answers_201_with_location(servicenow: Instance) -> None:
    answer = upload(servicenow, servicenow.create()["sys_id"])

    file = answer.json()["result"]
    location = f"{servicenow.url}/api/now/v1/attachment/{file['sys_id']}/file"
    assert (answer.status_code, answer.headers["Location"]) == (201, location)
    assert (file["file_name"], file["content_type"]) == ("screen shot.png", "image/png")
    assert (file["size_bytes"], file["hash"]) == (str(len(CONTENT)), hashlib.sha256(CONTENT).hexdigest())


def test_file_comes_back_unchanged(servicenow: Instance) -> None:
    file = upload(servicenow, servicenow.create()["sys_id"]).json()["result"]

    answer = servicenow.call("GET", f"/api/now/v1/attachment/{file['sys_id']}/file")
    by_link = servicenow.call("GET", file["download_link"].removeprefix(servicenow.url))

    assert (answer.content, answer.headers["Content-Type"]) == (CONTENT, "image/png")
    assert by_link.content == CONTENT


def test_list_is_filtered_both_ways(servicenow: Instance) -> None:
    first, second = (servicenow.create()["sys_id"] for _ in range(2))
    upload(servicenow, first, "a")
    upload(servicenow, second, "b")

    plain = servicenow.call("GET", f"/api/now/attachment?table_name=incident&table_sys_id={first}")
    query = servicenow.call("GET", f"/api/now/v1/attachment?sysparm_query=table_sys_id={second}")

    assert [file["file_name"] for file in plain.json()["result"]] == ["a"]
    assert [file["file_name"] for file in query.json()["result"]] == ["b"]
    assert query.headers["X-Total-Count"] == "1"


def test_deleted_attachment_is_gone(servicenow: Instance) -> None:
    path = (
        f"/api/now/attachment/{upload(servicenow, servicenow.create()['sys_id']).json()['result']['sys_id']}"
    )

    assert servicenow.call("GET", path).json()["result"]["state"] == "available"
    assert servicenow.call("DELETE", path).status_code == 204

    assert servicenow.call("GET", path).status_code == 404
    assert servicenow.call("GET", f"{path}/file").status_code == 404


def test_deleting_a_record_deletes_its_files(servicenow: Instance) -> None:
    sys_id = servicenow.create()["sys_id"]
    upload(servicenow, sys_id)

    servicenow.table("DELETE", f"incident/{sys_id}")

    assert servicenow.records("sys_attachment") == []
    assert servicenow.records("sys_attachment_content") == []


@pytest.mark.parametrize(
    ("query", "status"), [("file_name=a", 400), ("table_name=incident&table_sys_id=x&file_name=a", 404)]
)
def test_file_of_no_record_is_refused(servicenow: Instance, query: str, status: int) -> None:
    answer = servicenow.call("POST", f"/api/now/attachment/file?{query}", data=b"x")

    assert answer.status_code == status

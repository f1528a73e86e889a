import base64
import json
from typing import Any

from tests.endpoints.sandbox.conftest import Instance


def packed(number: int, method: str, url: str, body: Any = None) -> dict[str, Any]:
    headers = [{"name": "Content-Type", "value": "application/json"}]
    request: dict[str, Any] = {"id": str(number), "method": method, "url": url, "headers": headers}
    if body is not None:
        request["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return request


def run(instance: Instance, *requests: dict[str, Any]) -> dict[str, Any]:
    body = {"batch_request_id": 7, "rest_requests": list(requests)}
    answer: dict[str, Any] = instance.call("POST", "/api/now/v1/batch", json=body).json()
    return answer


def test_packed_requests_are_answered_one_by_one(servicenow: Instance) -> None:
    answer = run(
        servicenow,
        packed(1, "POST", "/api/now/table/incident", {"short_description": "a"}),
        packed(2, "GET", "/api/now/table/incident?sysparm_fields=short_description"),
        packed(3, "DELETE", "/api/now/table/incident/none"),
    )

    created, listed, missing = answer["serviced_requests"]
    assert (answer["batch_request_id"], answer["unserviced_requests"]) == ("7", [])
    assert [each["status_code"] for each in (created, listed, missing)] == [201, 200, 404]
    assert json.loads(base64.b64decode(listed["body"])) == {"result": [{"short_description": "a"}]}
    assert {"name": "X-Total-Count", "value": "1"} in listed["headers"]


def test_overlong_queries_work_in_a_batch(servicenow: Instance) -> None:
    query = "numberIN" + ",".join(["INC0010001"] * 3000)

    [answer] = run(servicenow, packed(1, "GET", f"/api/now/table/incident?sysparm_query={query}"))[
        "serviced_requests"
    ]

    assert answer["status_code"] == 200


def test_batch_without_requests_is_refused(servicenow: Instance) -> None:
    answer = servicenow.call("POST", "/api/now/v1/batch", json={"batch_request_id": 1})

    assert answer.status_code == 400

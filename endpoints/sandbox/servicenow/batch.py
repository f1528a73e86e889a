"""The Batch API: several requests packed into one."""

import base64
import time
from collections.abc import Callable
from typing import Any

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response, route
from endpoints.sandbox.servicenow.records import api_error

BATCHED = "sandbox.batched"


class BatchApi:
    """Runs packed requests one after another with the credentials of the outer one."""

    def __init__(self, handle: Callable[[Request], Response]) -> None:
        self._handle = handle

    @route("/api/now/batch", "/api/now/v1/batch", methods=["POST"])
    def run(self, request: Request) -> Response:
        """Answer each packed request; the id comes back as text."""
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict) or not isinstance(body.get("rest_requests"), list):
            raise api_error(400, "Exception while reading request", "rest_requests is missing")
        serviced = [self._service(request, packed) for packed in body["rest_requests"]]
        answer = {"batch_request_id": str(body.get("batch_request_id", "")), "serviced_requests": serviced}
        return json_response({**answer, "unserviced_requests": []})

    def _service(self, outer: Request, packed: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        response = self._handle(_unpacked(outer, packed))
        return {
            "id": str(packed.get("id", "")),
            "status_code": response.status_code,
            "status_text": response.status.partition(" ")[2],
            "headers": [{"name": name, "value": value} for name, value in response.headers],
            "body": base64.b64encode(response.get_data()).decode(),
            "execution_time": round((time.monotonic() - began) * 1000),
            "redirect_url": None,
        }


def _unpacked(outer: Request, packed: dict[str, Any]) -> Request:
    headers = {each["name"]: each["value"] for each in packed.get("headers", [])}
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    for name in ("Authorization", "x-sn-apikey"):
        if name in outer.headers:
            headers[name] = outer.headers[name]
    builder = EnvironBuilder(
        path=packed["url"],
        base_url=outer.host_url,
        method=packed.get("method", "GET"),
        headers=headers,
        data=base64.b64decode(packed.get("body", "")),
    )
    return Request(builder.get_environ() | {BATCHED: True})

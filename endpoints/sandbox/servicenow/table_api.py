"""The Table API: /api/now/table, /api/now/v1/table and /api/now/v2/table."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response, route
from endpoints.sandbox.servicenow.access import Access
from endpoints.sandbox.servicenow.query import Record
from endpoints.sandbox.servicenow.records import Records, api_error, table_named
from endpoints.sandbox.servicenow.schema import Table
from endpoints.sandbox.servicenow.values import InputReader, Renderer, is_true

DEFAULT_LIMIT = 10_000
COLLECTION = ("/api/now/table/<name>", "/api/now/v1/table/<name>", "/api/now/v2/table/<name>")
SINGLE = tuple(f"{path}/<sys_id>" for path in COLLECTION)


class TableApi:
    """Lists, reads, creates, changes and deletes records."""

    def __init__(self, records: Records, access: Access) -> None:
        self._records = records
        self._access = access

    @route(*COLLECTION)
    def list_records(self, request: Request, name: str) -> Response:
        """Answer one page of the records asked for, with X-Total-Count and Link headers."""
        table = table_named(name)
        found = matching(self._records, table, request.args)
        page, headers = paged(found, request)
        render = self._renderer(request).record
        return json_response({"result": [render(table, record) for record in page]}, headers=headers)

    @route(*COLLECTION, methods=["POST"])
    def create_record(self, request: Request, name: str) -> Response:
        """Create a record: 201 with Location."""
        table = table_named(name)
        record = self._records.insert(table, self._input(request, table), self._access.user_of(request))
        location = f"{base_url(request)}/api/now/table/{name}/{record['sys_id']}"
        return self._answer(request, table, record, 201, {"Location": location})

    @route(*SINGLE)
    def read_record(self, request: Request, name: str, sys_id: str) -> Response:
        """Answer one record."""
        table = table_named(name)
        return self._answer(request, table, self._records.get(table, sys_id))

    @route(*SINGLE, methods=["PUT", "PATCH"])
    def change_record(self, request: Request, name: str, sys_id: str) -> Response:
        """Change fields and add journal entries."""
        table = table_named(name)
        values = self._input(request, table)
        record = self._records.update(table, sys_id, values, self._access.user_of(request))
        return self._answer(request, table, record)

    @route(*SINGLE, methods=["DELETE"])
    def delete_record(self, request: Request, name: str, sys_id: str) -> Response:
        """Delete a record: 204."""
        self._records.delete(table_named(name), sys_id)
        return Response(status=204)

    def _renderer(self, request: Request) -> Renderer:
        return Renderer(self._records, base_url(request), request.args)

    def _input(self, request: Request, table: Table) -> dict[str, str]:
        # A POST without body makes a record of defaults, as on a real instance.
        body = request.get_json(force=True, silent=True) if request.get_data().strip() else {}
        if not isinstance(body, dict):
            detail = "The payload is not valid JSON."
            raise api_error(400, "Exception while reading request", detail)
        return InputReader(self._records, request.args).values(table, body)

    def _answer(
        self,
        request: Request,
        table: Table,
        record: Record,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        return json_response({"result": self._renderer(request).record(table, record)}, status, headers)


def base_url(request: Request) -> str:
    """Return the address of the instance as the client wrote it."""
    return request.host_url.rstrip("/")


def matching(records: Records, table: Table, params: Mapping[str, str]) -> list[Record]:
    """Return the records that sysparm_query and plain name=value parameters ask for."""
    plain = {name: value for name, value in params.items() if records.knows(table.name, name)}
    found = records.find(table, records.parse(table, params.get("sysparm_query", "")))
    return [
        record
        for record in found
        if all(records.value(table.name, record, name) == value for name, value in plain.items())
    ]


def paged(found: list[Record], request: Request) -> tuple[list[Record], dict[str, str]]:
    """Cut one page out of the records found; returns it with the headers that lead to the others."""
    params = request.args
    offset = _number(params.get("sysparm_offset"), 0)
    limit = _number(params.get("sysparm_limit"), DEFAULT_LIMIT)
    headers = {} if is_true(params.get("sysparm_no_count")) else {"X-Total-Count": str(len(found))}
    if limit and not is_true(params.get("sysparm_suppress_pagination_header")):
        headers["Link"] = _links(request, offset, limit, len(found))
    return found[offset : offset + limit], headers


def _links(request: Request, offset: int, limit: int, total: int) -> str:
    last = max(0, (total - 1) // limit * limit)
    targets = {"first": 0}
    targets |= {"prev": max(0, offset - limit)} if offset else {}
    targets |= {"next": offset + limit} if offset + limit < total else {}
    return ",".join(_link(request, rel, start) for rel, start in {**targets, "last": last}.items())


def _link(request: Request, rel: str, offset: int) -> str:
    params: dict[str, Any] = {**request.args.to_dict(), "sysparm_offset": offset}
    return f'<{request.base_url}?{urlencode(params)}>;rel="{rel}"'


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.strip().isdigit() else default

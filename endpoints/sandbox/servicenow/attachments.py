"""The Attachment API, and attachments as the rest of the instance adds and reads them."""

import hashlib
import mimetypes
import uuid
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response, route
from endpoints.sandbox.servicenow.access import Access
from endpoints.sandbox.servicenow.query import Record
from endpoints.sandbox.servicenow.records import ATTACHMENT_CONTENT, Records, api_error, now, table_named
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.servicenow.table_api import base_url, matching, paged

TABLE = TABLES["sys_attachment"]
COLLECTION = ("/api/now/attachment", "/api/now/v1/attachment")
SINGLE = tuple(f"{path}/<sys_id>" for path in COLLECTION)
CONTENT = tuple(f"{path}/<sys_id>/file" for path in COLLECTION)
UPLOAD = tuple(f"{path}/file" for path in COLLECTION)
NOT_IN_ANSWER = ("sys_domain", "sys_class_name")


class Attachments:
    """Adds files to records; `added` rules react in the same transaction."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.added: list[Callable[[Record], None]] = []

    def add(
        self, table: str, sys_id: str, file_name: str, content_type: str, content: bytes, actor: str
    ) -> Record:
        """Attach a file to a record; raises Refused when the record does not exist."""
        with self._records.store.transaction():
            self._records.get(table_named(table), sys_id)
            record = dict.fromkeys(TABLE.fields, "")
            record |= {"sys_id": uuid.uuid4().hex, "file_name": file_name, "content_type": content_type}
            record |= {"table_name": table, "table_sys_id": sys_id, "state": "available"}
            record |= {"hash": hashlib.sha256(content).hexdigest(), "compressed": "false"}
            record |= {"size_bytes": str(len(content)), "size_compressed": str(len(content))}
            record |= {"sys_created_on": now(), "sys_created_by": actor, "sys_updated_by": actor}
            record |= {"sys_updated_on": record["sys_created_on"], "sys_mod_count": "0"}
            self._records.store.put(TABLE.name, record["sys_id"], record)
            self._records.store.put_bytes(ATTACHMENT_CONTENT, record["sys_id"], content)
            for rule in self.added:
                rule(record)
            return record

    def content(self, sys_id: str) -> bytes:
        """Return a file's bytes; raises Refused 404."""
        self._records.get(TABLE, sys_id)
        return self._records.store.get_bytes(ATTACHMENT_CONTENT, sys_id) or b""


class AttachmentApi:
    """Lists, reads, uploads and deletes attachments."""

    def __init__(self, records: Records, attachments: Attachments, access: Access) -> None:
        self._records = records
        self._attachments = attachments
        self._access = access

    @route(*COLLECTION)
    def list_attachments(self, request: Request) -> Response:
        """Answer one page of attachment metadata."""
        page, headers = paged(matching(self._records, TABLE, request.args), request)
        return json_response({"result": [_shown(request, file) for file in page]}, headers=headers)

    @route(*UPLOAD, methods=["POST"])
    def upload(self, request: Request) -> Response:
        """Attach the raw body as a file: 201 with Location."""
        params = request.args
        missing = [name for name in ("table_name", "table_sys_id", "file_name") if not params.get(name)]
        if missing:
            raise api_error(400, "Missing query parameter", ", ".join(missing))
        name = params["file_name"]
        kind = (
            request.headers.get("Content-Type") or mimetypes.guess_type(name)[0] or "application/octet-stream"
        )
        actor = self._access.user_of(request)
        file = self._attachments.add(
            params["table_name"], params["table_sys_id"], name, kind, request.get_data(), actor
        )
        location = f"{base_url(request)}/api/now/v1/attachment/{file['sys_id']}/file"
        return json_response({"result": _shown(request, file)}, 201, {"Location": location})

    @route(*SINGLE)
    def read_attachment(self, request: Request, sys_id: str) -> Response:
        """Answer one attachment's metadata."""
        return json_response({"result": _shown(request, self._records.get(TABLE, sys_id))})

    @route(*CONTENT)
    def read_content(self, request: Request, sys_id: str) -> Response:
        """Answer the file itself."""
        file = self._records.get(TABLE, sys_id)
        return Response(self._attachments.content(sys_id), content_type=file["content_type"])

    @route(*SINGLE, methods=["DELETE"])
    def delete_attachment(self, request: Request, sys_id: str) -> Response:
        """Delete an attachment: 204."""
        self._records.delete(TABLE, sys_id)
        return Response(status=204)


def _shown(request: Request, file: Record) -> Record:
    link = f"{base_url(request)}/api/now/attachment/{file['sys_id']}/file"
    shown = {name: value for name, value in file.items() if name not in NOT_IN_ANSWER}
    return {**shown, "download_link": link}

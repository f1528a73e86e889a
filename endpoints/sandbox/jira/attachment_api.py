"""Addresses of attachments: upload, description, bytes, removal."""

from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import download, json_response
from endpoints.sandbox.jira.answers import NO_ISSUE, actor_of, no_content, refuse, rest, version_of
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.store import Record

UPLOAD_LIMIT = 100 * 1024 * 1024


class AttachmentApi:
    """Answers requests about files."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/issue/<key>/attachments", methods=["POST"])
    def upload(self, request: Request, api: str, key: str) -> Response:
        """Keep the files of a multipart form with an issue and return their descriptions."""
        if request.headers.get("X-Atlassian-Token") not in ("no-check", "nocheck"):
            return Response("XSRF check failed", 403, content_type="text/html;charset=UTF-8")
        files = _files(request)
        shapes = Shapes(self.jira, version_of(api))
        return json_response([shapes.attachment(self._keep(key, file, request)) for file in files])

    @rest("/attachment/meta")
    def limits(self, request: Request, api: str) -> Response:
        """Return whether files are allowed and how large."""
        return json_response({"enabled": True, "uploadLimit": UPLOAD_LIMIT})

    @rest("/attachment/<attachment_id>")
    def show(self, request: Request, api: str, attachment_id: str) -> Response:
        """Return the description of a file; its id is a number here, unlike elsewhere."""
        shape = Shapes(self.jira, version_of(api)).attachment(self._attachment(attachment_id))
        return json_response({**shape, "id": int(attachment_id)})

    @rest("/attachment/content/<attachment_id>")
    def content(self, request: Request, api: str, attachment_id: str) -> Response:
        """Return the bytes of a file."""
        attachment = self._attachment(attachment_id)
        content = self.tracker.store.get_bytes("content", attachment_id)
        return download(content, attachment["mimeType"], attachment["filename"])

    @rest("/attachment/<attachment_id>", methods=["DELETE"])
    def delete(self, request: Request, api: str, attachment_id: str) -> Response:
        """Remove a file."""
        attachment = self._attachment(attachment_id)
        issue = self.tracker.find(attachment["issue"])
        if issue is None:
            raise refuse(404, NO_ISSUE)
        self.tracker.detach(issue, attachment, actor_of(request))
        return no_content()

    def _attachment(self, attachment_id: str) -> Record:
        attachment: Record | None = self.tracker.store.get("attachment", attachment_id)
        if attachment is None:
            raise refuse(404, f"The attachment with id '{attachment_id}' does not exist")
        return attachment

    def _keep(self, key: str, file: Any, request: Request) -> Record:
        issue = self.tracker.find(key)
        if issue is None:
            raise refuse(404, NO_ISSUE)
        mime_type = file.mimetype or "application/octet-stream"
        return self.tracker.attach(
            issue, file.filename or "file", mime_type, file.stream.read(), actor_of(request)
        )


def _files(request: Request) -> list[Any]:
    if (request.content_length or 0) > UPLOAD_LIMIT:
        raise refuse(413, f"The file is larger than the limit of {UPLOAD_LIMIT} bytes.")
    if request.mimetype != "multipart/form-data":
        raise refuse(415, f"Content type '{request.mimetype}' is not supported.")
    files = request.files.getlist("file")
    if not files:
        raise refuse(400, "Send the file in a multipart field named 'file'.")
    return files

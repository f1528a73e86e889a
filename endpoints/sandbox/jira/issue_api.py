"""Addresses of issues: create, get, edit, delete, assign, workflow, history."""

from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, json_response
from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.answers import (
    NO_ISSUE,
    actor_of,
    listed,
    mapping,
    no_content,
    object_of,
    page_of,
    refuse,
    rest,
    version_of,
)
from endpoints.sandbox.jira.comment_api import read_comment
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.fields import (
    BadFieldsError,
    Values,
    apply_operations,
    check_required,
    read_fields,
)
from endpoints.sandbox.jira.property_api import keep_properties, read_properties, shown_properties
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.jira.tracker import Tracker
from endpoints.sandbox.store import Record

BULK_LIMIT = 50
CREATE_FIELDS = [field for field in catalog.FIELDS if field.create]
EDIT_FIELDS = [field for field in catalog.FIELDS if field.edit]
RESOLUTION_FIELDS = [field for field in catalog.FIELDS if field.kind == "resolution"]


def issue_or_404(tracker: Tracker, key: str) -> Record:
    """Return an issue by key or id; raises Refused with 404."""
    issue = tracker.find(key)
    if issue is None:
        raise refuse(404, NO_ISSUE)
    return issue


class IssueApi:
    """Answers requests about single issues."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/issue", methods=["POST"])
    def create(self, request: Request, api: str) -> Response:
        """Make an issue and return its id, key and address."""
        issue = self._create(object_of(request), request, api)
        return json_response(Shapes(self.jira, version_of(api)).reference(issue), 201)

    @rest("/issue/bulk", methods=["POST"])
    def create_many(self, request: Request, api: str) -> Response:
        """Make several issues; those refused are listed beside those made."""
        updates = object_of(request).get("issueUpdates")
        if not isinstance(updates, list) or not 0 < len(updates) <= BULK_LIMIT:
            raise refuse(400, f"Give from 1 to {BULK_LIMIT} issues in 'issueUpdates'.")
        shapes = Shapes(self.jira, version_of(api))
        issues: list[Any] = []
        errors: list[Any] = []
        for number, update in enumerate(updates):
            try:
                issues.append(shapes.reference(self._create(update, request, api)))
            except Refused as refused:
                error = {"status": 400, "elementErrors": refused.response.get_json()}
                errors.append({**error, "failedElementNumber": number})
        return json_response({"issues": issues, "errors": errors}, 201 if issues else 400)

    @rest("/issue/<key>")
    def show(self, request: Request, api: str, key: str) -> Response:
        """Return an issue, its `fields` and what `expand` asks for."""
        issue = issue_or_404(self.tracker, key)
        shape = Shapes(self.jira, version_of(api)).issue(
            issue, listed(request, "fields"), listed(request, "expand")
        )
        if names := listed(request, "properties"):
            shape["properties"] = shown_properties(self.tracker, issue, names)
        return json_response(shape)

    @rest("/issue/<key>", methods=["PUT"])
    def edit(self, request: Request, api: str, key: str) -> Response:
        """Set fields and apply `update` operations."""
        issue = issue_or_404(self.tracker, key)
        body = object_of(request)
        values, comments = self._changes(body, issue, version_of(api))
        keep_properties(self.tracker, issue, read_properties(body.get("properties")))
        issue = self.tracker.edit(issue, values, actor_of(request))
        for comment in comments:
            self.tracker.add_comment(issue, comment, actor_of(request))
        if request.args.get("returnIssue") == "true":
            return self.show(request, api, key)
        return no_content()

    @rest("/issue/<key>", methods=["DELETE"])
    def delete(self, request: Request, api: str, key: str) -> Response:
        """Remove an issue, and its sub-tasks when asked to."""
        issue = issue_or_404(self.tracker, key)
        subtasks = self.tracker.subtasks(issue)
        if subtasks and request.args.get("deleteSubtasks", "").lower() != "true":
            raise refuse(
                400,
                f"The issue '{issue['key']}' has subtasks. You must specify the 'deleteSubtasks' parameter "
                "to delete this issue and all its subtasks.",
            )
        for each in [*subtasks, issue]:
            self.tracker.delete(each, actor_of(request))
        return no_content()

    @rest("/issue/<key>/assignee", methods=["PUT"])
    def assign(self, request: Request, api: str, key: str) -> Response:
        """Set or clear the assignee."""
        issue = issue_or_404(self.tracker, key)
        body = object_of(request)
        wanted = None if body.get("accountId") is None and body.get("name") is None else body
        values = self._read({"assignee": wanted}, EDIT_FIELDS, version_of(api))
        self.tracker.edit(issue, values, actor_of(request))
        return no_content()

    @rest("/issue/<key>/transitions")
    def list_transitions(self, request: Request, api: str, key: str) -> Response:
        """Return the steps of the workflow available now."""
        issue = issue_or_404(self.tracker, key)
        with_fields = "transitions.fields" in listed(request, "expand")
        wanted = request.args.get("transitionId")
        steps = Shapes(self.jira, version_of(api)).transitions(issue, with_fields)
        steps = [step for step in steps if wanted in (None, "", step["id"])]
        return json_response({"expand": "transitions", "transitions": steps})

    @rest("/issue/<key>/transitions", methods=["POST"])
    def take_transition(self, request: Request, api: str, key: str) -> Response:
        """Take a step of the workflow, with a resolution and a comment where given."""
        issue = issue_or_404(self.tracker, key)
        body = object_of(request)
        step = _step(body, issue)
        allowed = RESOLUTION_FIELDS if step.resolves else []
        values = self._read(mapping(body, "fields"), allowed, version_of(api))
        operations = dict(mapping(body, "update"))
        comments = _comments(operations.pop("comment", []), version_of(api))
        values |= self._read(
            {name: _set_value(name, steps) for name, steps in operations.items()}, allowed, version_of(api)
        )
        issue = self.tracker.move(issue, step, values, actor_of(request))
        for comment in comments:
            self.tracker.add_comment(issue, comment, actor_of(request))
        return no_content()

    @rest("/issue/<key>/changelog")
    def list_changes(self, request: Request, api: str, key: str) -> Response:
        """Return the history of an issue, oldest first."""
        issue = issue_or_404(self.tracker, key)
        shapes = Shapes(self.jira, version_of(api))
        entries = [shapes.history_entry(entry) for entry in self.tracker.history(issue)]
        return json_response(page_of(entries, request, "values"))

    @rest("/issue/<key>/editmeta")
    def edit_meta(self, request: Request, api: str, key: str) -> Response:
        """Return what can be set when editing."""
        issue_or_404(self.tracker, key)
        return json_response(Shapes(self.jira, version_of(api)).edit_screen())

    def _create(self, body: Any, request: Request, api: str) -> Record:
        if not isinstance(body, dict):
            raise refuse(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        version = version_of(api)
        values = self._read(mapping(body, "fields"), CREATE_FIELDS, version)
        operations = dict(mapping(body, "update"))
        comments = _comments(operations.pop("comment", []), version)
        values |= self._operate(operations, values, version)
        properties = read_properties(body.get("properties"))
        try:
            check_required(values)
        except BadFieldsError as error:
            raise refuse(400, **error.errors) from error
        issue = self.tracker.create(values, actor_of(request))
        keep_properties(self.tracker, issue, properties)
        for comment in comments:
            self.tracker.add_comment(self.tracker.find(issue["id"]) or issue, comment, actor_of(request))
        return issue

    def _changes(self, body: dict[str, Any], issue: Record, version: int) -> tuple[Values, list[Record]]:
        fields = mapping(body, "fields")
        operations = dict(mapping(body, "update"))
        if both := fields.keys() & operations.keys():
            raise refuse(
                400, **{name: f"Field '{name}' cannot be in both 'fields' and 'update'." for name in both}
            )
        comments = _comments(operations.pop("comment", []), version)
        values = self._read(fields, EDIT_FIELDS, version)
        return values | self._operate(operations, issue["fields"], version), comments

    def _read(self, given: dict[str, Any], allowed: list[catalog.Field], version: int) -> Values:
        try:
            return read_fields(given, allowed, self.jira.asking(version))
        except BadFieldsError as error:
            raise refuse(400, **error.errors) from error

    def _operate(self, operations: dict[str, Any], current: Values, version: int) -> Values:
        try:
            return apply_operations(operations, current, self.jira.asking(version))
        except BadFieldsError as error:
            raise refuse(400, **error.errors) from error


def _step(body: dict[str, Any], issue: Record) -> catalog.Transition:
    wanted = mapping(body, "transition").get("id")
    if wanted is None:
        raise refuse(400, "Missing 'transition' identifier")
    step = catalog.by_id(catalog.transitions_from(issue["fields"]["status"]), str(wanted))
    if step is None:
        raise refuse(400, f"Transition id '{wanted}' is not valid for this issue.")
    return step


def _set_value(name: str, steps: Any) -> Any:
    if isinstance(steps, list) and len(steps) == 1 and isinstance(steps[0], dict) and "set" in steps[0]:
        return steps[0]["set"]
    raise refuse(400, **{name: f"Field '{name}' takes one 'set' operation here."})


def _comments(steps: Any, version: int) -> list[Record]:
    if not isinstance(steps, list) or not all(
        isinstance(step, dict) and isinstance(step.get("add"), dict) for step in steps
    ):
        raise refuse(400, comment="Operations on comments must be an array of objects with 'add'.")
    return [read_comment(step["add"], version) for step in steps]

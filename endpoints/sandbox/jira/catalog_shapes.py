"""JSON of what an administrator set up: users, projects, statuses, fields and their screens."""

from collections.abc import Callable
from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.catalog import (
    FIELDS,
    ISSUE_TYPES,
    Field,
    IssueType,
    Priority,
    Project,
    Status,
    Transition,
    by_id,
)
from endpoints.sandbox.jira.deployment import Deployment

Json = dict[str, Any]

CUSTOM = "com.atlassian.jira.plugin.system.customfieldtypes:"
CUSTOM_TYPES = {"line": f"{CUSTOM}textfield", "option": f"{CUSTOM}select", "number": f"{CUSTOM}float"}
SCHEMA_TYPES = {
    "line": "string",
    "document": "string",
    "time": "datetime",
    "parent": "issuelink",
    "comments": "comments-page",
}
SCHEMA_ITEMS = {"labels": "string", "attachments": "attachment", "subtasks": "issuelinks"}


class CatalogShapes:
    """Shapes for one deployment and API version."""

    def __init__(self, jira: Deployment, version: int) -> None:
        self.jira = jira
        self.version = version

    def rest(self, path: str) -> str:
        """Return an absolute address of the API."""
        return f"{self.jira.address()}/rest/api/{self.version}/{path}"

    def choice(self, kind: str, value: Any) -> Any:
        """Return the object behind a stored id, or the value itself where there is none behind."""
        shapers: dict[str, Callable[[str], Json]] = {
            "user": self.user,
            "status": lambda each: self.status(catalog.status_of(each)),
            "project": lambda each: self.project(catalog.find_project(each) or catalog.PROJECTS[0]),
            "priority": lambda each: self.priority(
                by_id(catalog.PRIORITIES, each) or catalog.DEFAULT_PRIORITY
            ),
            "issuetype": lambda each: self.issue_type(by_id(ISSUE_TYPES, each) or ISSUE_TYPES[0]),
            "resolution": lambda each: self.resolution(
                by_id(catalog.RESOLUTIONS, each) or catalog.RESOLUTIONS[0]
            ),
            "option": self.option,
        }
        return shapers[kind](value) if kind in shapers else value

    def user(self, account_id: str) -> Json:
        """Return a user by accountId; on Server also with the login."""
        user = by_id(catalog.USERS, account_id) or catalog.AUTOMATION
        names = {"name": user.login, "key": user.login} if self.jira.server else {"accountId": user.id}
        query = f"username={user.login}" if self.jira.server else f"accountId={user.id}"
        avatars = {
            f"{size}x{size}": f"{self.jira.address()}/avatar/{user.login}?size={size}"
            for size in (48, 24, 16, 32)
        }
        shape: Json = {"self": self.rest(f"user?{query}"), **names, "avatarUrls": avatars}
        shape |= {"displayName": user.name, "active": True, "timeZone": str(catalog.TIME_ZONE)}
        if user.email:
            shape["emailAddress"] = user.email
        return shape if self.jira.server else {**shape, "accountType": user.account_type}

    def project(self, project: Project, detailed: bool = False) -> Json:
        """Return a project; `detailed` adds its issue types and lead."""
        shape: Json = {"self": self.rest(f"project/{project.id}"), "id": project.id, "key": project.key}
        shape |= {"name": project.name, "projectTypeKey": "software", "simplified": False}
        if detailed:
            types = [self.issue_type(each) for each in ISSUE_TYPES]
            shape |= {"description": "", "lead": self.user(catalog.ADA.id), "issueTypes": types}
            shape |= {"components": [], "versions": [], "roles": {}}
        return shape

    def issue_type(self, issue_type: IssueType) -> Json:
        """Return an issue type."""
        return {
            "self": self.rest(f"issuetype/{issue_type.id}"),
            "id": issue_type.id,
            "description": issue_type.description,
            "iconUrl": f"{self.jira.address()}/images/icons/issuetypes/{issue_type.id}.svg",
            "name": issue_type.name,
            "subtask": issue_type.subtask,
            "hierarchyLevel": -1 if issue_type.subtask else 0,
        }

    def priority(self, priority: Priority) -> Json:
        """Return a priority."""
        return {
            "self": self.rest(f"priority/{priority.id}"),
            "iconUrl": f"{self.jira.address()}/images/icons/priorities/{priority.name.lower()}.svg",
            "name": priority.name,
            "id": priority.id,
        }

    def status(self, status: Status) -> Json:
        """Return a status with its category."""
        category = status.category
        return {
            "self": self.rest(f"status/{status.id}"),
            "description": "",
            "iconUrl": f"{self.jira.address()}/",
            "name": status.name,
            "id": status.id,
            "statusCategory": {
                "self": self.rest(f"statuscategory/{category.id}"),
                "id": category.id,
                "key": category.key,
                "colorName": category.color,
                "name": category.name,
            },
        }

    def resolution(self, resolution: catalog.Resolution) -> Json:
        """Return a resolution."""
        address = self.rest(f"resolution/{resolution.id}")
        return {"self": address, "id": resolution.id, "description": "", "name": resolution.name}

    def option(self, option_id: str) -> Json:
        """Return a choice of the select field."""
        option = by_id(catalog.OPTIONS, option_id) or catalog.OPTIONS[0]
        return {"self": self.rest(f"customFieldOption/{option.id}"), "value": option.name, "id": option.id}

    def transition(self, step: Transition, with_fields: bool = False) -> Json:
        """Return a step of the workflow; `with_fields` adds what its screen asks for."""
        shape: Json = {"id": step.id, "name": step.name, "to": self.status(step.target)}
        shape |= {"hasScreen": step.resolves, "isGlobal": False, "isInitial": False}
        shape |= {"isAvailable": True, "isConditional": False, "isLooped": False}
        if with_fields:
            shape["fields"] = {"resolution": self._resolution_field()} if step.resolves else {}
        return shape

    def field(self, field: Field) -> Json:
        """Return a field as the list of fields shows it."""
        custom = field.custom_id is not None
        shape: Json = {"id": field.id, "name": field.name, "custom": custom, "orderable": field.edit}
        shape |= {"navigable": field.kind not in ("comments", "attachments"), "searchable": True}
        return {**shape, "key": field.id, "clauseNames": list(field.clauses), "schema": self.schema(field)}

    def schema(self, field: Field) -> Json:
        """Return the type of a field."""
        shape: Json = {"type": SCHEMA_TYPES.get(field.kind, field.kind)}
        if field.kind in SCHEMA_ITEMS:
            shape = {"type": "array", "items": SCHEMA_ITEMS[field.kind]}
        if field.custom_id is None:
            return {**shape, "system": field.id}
        return {**shape, "custom": CUSTOM_TYPES[field.kind], "customId": field.custom_id}

    def create_screen(self) -> Json:
        """Return what can be set when an issue is created, by field id."""
        return {field.id: self.screen_field(field) for field in FIELDS if field.create}

    def edit_screen(self) -> Json:
        """Return what can be set when an issue is edited."""
        shape = {field.id: self.screen_field(field) for field in FIELDS if field.edit}
        comment = {"required": False, "schema": {"type": "comments-page", "system": "comment"}}
        comment |= {"name": "Comment", "key": "comment", "operations": ["add"]}
        return {"fields": {**shape, "comment": comment}}

    def screen_field(self, field: Field) -> Json:
        """Return a field as a screen shows it."""
        shape: Json = {"required": field.required, "schema": self.schema(field), "name": field.name}
        shape |= {"key": field.id, "operations": field.operations}
        shape["hasDefaultValue"] = field.kind in ("priority", "user")
        allowed = self._allowed(field)
        return {**shape, "allowedValues": allowed} if allowed else shape

    def _allowed(self, field: Field) -> list[Json]:
        if field.kind == "priority":
            return [self.priority(each) for each in catalog.PRIORITIES]
        if field.kind == "issuetype":
            return [self.issue_type(each) for each in ISSUE_TYPES]
        if field.kind == "project":
            return [self.project(each) for each in catalog.PROJECTS]
        return [self.option(each.id) for each in catalog.OPTIONS] if field.kind == "option" else []

    def _resolution_field(self) -> Json:
        shape: Json = {"required": False, "schema": {"type": "resolution", "system": "resolution"}}
        shape |= {"name": "Resolution", "key": "resolution", "operations": ["set"], "hasDefaultValue": True}
        return {**shape, "allowedValues": [self.resolution(each) for each in catalog.RESOLUTIONS]}

"""Addresses of what is set up in this Jira: server, users, projects, fields, statuses, screens."""

from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response, route
from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.answers import actor_of, listed, page_of, refuse, rest, version_of
from endpoints.sandbox.jira.catalog import ISSUE_TYPES, PROJECTS, Project, User
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.shapes import Shapes

CLOUD_VERSION = (1001, 0, 0)
SERVER_VERSION = (9, 12, 0)


class CatalogApi:
    """Answers requests that read the set-up; nothing here changes anything."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/serverInfo")
    def server_info(self, request: Request, api: str) -> Response:
        """Return version and kind of deployment."""
        numbers = SERVER_VERSION if self.jira.server else CLOUD_VERSION
        version = ".".join(map(str, numbers))
        now = Shapes(self.jira, 2).time(self.tracker.clock())
        info: dict[str, Any] = {"baseUrl": self.jira.address(), "version": version}
        info |= {"versionNumbers": list(numbers), "deploymentType": self.jira.name, "buildNumber": 100_273}
        info |= {"serverTime": now, "serverTitle": "Jira", "scmInfo": "sandbox"}
        return json_response({**info, "serverTimeZone": str(catalog.TIME_ZONE)})

    @route("/rest/auth/1/session")
    def session(self, request: Request) -> Response:
        """Return who is logged in."""
        user = actor_of(request)
        address = f"{self.jira.address()}/rest/api/latest/user?accountId={user.id}"
        return json_response({"self": address, "name": user.login, "loginInfo": {"loginCount": 1}})

    @rest("/myself")
    def myself(self, request: Request, api: str) -> Response:
        """Return the user who asks."""
        return json_response(self._shapes(api).user(actor_of(request).id))

    @rest("/user")
    def user(self, request: Request, api: str) -> Response:
        """Return one user."""
        wanted = request.args.get("username" if self.jira.server else "accountId", "")
        found = next((each for each in catalog.USERS if wanted in (each.id, each.login)), None)
        if found is None:
            raise refuse(404, "Specified user does not exist or you do not have required permissions")
        return json_response(self._shapes(api).user(found.id))

    @rest("/user/search", "/user/assignable/search")
    def search_users(self, request: Request, api: str) -> Response:
        """Return people whose name or email begins with the query."""
        query = request.args.get("query") or request.args.get("username") or ""
        account_id = request.args.get("accountId")
        if not query and not account_id and request.path.endswith("/user/search"):
            raise refuse(400, "The query parameters 'accountId' or 'query' must be provided.")
        found = [user for user in catalog.PEOPLE_AND_INTEGRATION if _is_meant(user, query, account_id)]
        return json_response([self._shapes(api).user(user.id) for user in found])

    @rest("/users/search", "/users")
    def users(self, request: Request, api: str) -> Response:
        """Return all users, apps included."""
        return json_response([self._shapes(api).user(user.id) for user in catalog.USERS])

    @rest("/project")
    def projects(self, request: Request, api: str) -> Response:
        """Return all projects."""
        return json_response([self._shapes(api).project(project) for project in PROJECTS])

    @rest("/project/search")
    def search_projects(self, request: Request, api: str) -> Response:
        """Return a page of projects."""
        query = request.args.get("query", "").casefold()
        found = [each for each in PROJECTS if query in each.key.casefold() or query in each.name.casefold()]
        shapes = [self._shapes(api).project(project) for project in found]
        return json_response(page_of(shapes, request, "values"))

    @rest("/project/<key>")
    def project(self, request: Request, api: str, key: str) -> Response:
        """Return a project with its issue types."""
        return json_response(self._shapes(api).project(_project(key), detailed=True))

    @rest("/project/<key>/statuses")
    def project_statuses(self, request: Request, api: str, key: str) -> Response:
        """Return the statuses of each issue type of a project."""
        _project(key)
        shapes = self._shapes(api)
        statuses = [shapes.status(status) for status in catalog.STATUSES]
        types = [_only(shapes.issue_type(each), "self", "id", "name", "subtask") for each in ISSUE_TYPES]
        return json_response([{**each, "statuses": statuses} for each in types])

    @rest("/issuetype")
    def issue_types(self, request: Request, api: str) -> Response:
        """Return all issue types."""
        return json_response([self._shapes(api).issue_type(each) for each in ISSUE_TYPES])

    @rest("/issuetype/<issue_type_id>")
    def issue_type(self, request: Request, api: str, issue_type_id: str) -> Response:
        """Return one issue type."""
        found = catalog.by_id(ISSUE_TYPES, issue_type_id)
        if found is None:
            raise refuse(404, "The issue type does not exist.")
        return json_response(self._shapes(api).issue_type(found))

    @rest("/priority")
    def priorities(self, request: Request, api: str) -> Response:
        """Return all priorities."""
        return json_response([self._shapes(api).priority(each) for each in catalog.PRIORITIES])

    @rest("/priority/search")
    def search_priorities(self, request: Request, api: str) -> Response:
        """Return a page of priorities."""
        shapes = [self._shapes(api).priority(each) for each in catalog.PRIORITIES]
        return json_response(page_of(shapes, request, "values"))

    @rest("/priority/<priority_id>")
    def priority(self, request: Request, api: str, priority_id: str) -> Response:
        """Return one priority."""
        found = catalog.by_id(catalog.PRIORITIES, priority_id)
        if found is None:
            raise refuse(404, f"The priority with id '{priority_id}' does not exist.")
        return json_response(self._shapes(api).priority(found))

    @rest("/status")
    def statuses(self, request: Request, api: str) -> Response:
        """Return all statuses."""
        return json_response([self._shapes(api).status(each) for each in catalog.STATUSES])

    @rest("/status/<wanted>")
    def status(self, request: Request, api: str, wanted: str) -> Response:
        """Return a status by id or name."""
        found = catalog.by_id(catalog.STATUSES, wanted) or catalog.by_name(catalog.STATUSES, wanted)
        if found is None:
            raise refuse(404, f"The status with id or name '{wanted}' does not exist")
        return json_response(self._shapes(api).status(found))

    @rest("/resolution")
    def resolutions(self, request: Request, api: str) -> Response:
        """Return all resolutions."""
        return json_response([self._shapes(api).resolution(each) for each in catalog.RESOLUTIONS])

    @rest("/field")
    def fields(self, request: Request, api: str) -> Response:
        """Return all fields with their names in JQL."""
        return json_response([self._shapes(api).field(field) for field in catalog.FIELDS])

    @rest("/issue/createmeta")
    def create_meta(self, request: Request, api: str) -> Response:
        """Return projects, their issue types and, expanded, what can be set when creating."""
        keys, ids = listed(request, "projectKeys"), listed(request, "projectIds")
        chosen = [each for each in PROJECTS if not (keys or ids) or each.key in keys or each.id in ids]
        shapes = self._shapes(api)
        types = self._types(request, shapes)
        shown = [_only(shapes.project(project), "self", "id", "key", "name") for project in chosen]
        projects = [{**project, "issuetypes": types} for project in shown]
        return json_response({"expand": "projects", "projects": projects})

    @rest("/issue/createmeta/<key>/issuetypes")
    def create_meta_types(self, request: Request, api: str, key: str) -> Response:
        """Return a page of the issue types that can be created in a project."""
        _project(key)
        types = [self._shapes(api).issue_type(each) for each in ISSUE_TYPES]
        return json_response(self._page(types, request, "issueTypes"))

    @rest("/issue/createmeta/<key>/issuetypes/<issue_type_id>")
    def create_meta_fields(self, request: Request, api: str, key: str, issue_type_id: str) -> Response:
        """Return a page of what can be set when creating an issue of a type."""
        _project(key)
        if catalog.by_id(ISSUE_TYPES, issue_type_id) is None:
            raise refuse(404, "The issue type does not exist.")
        fields = [{**each, "fieldId": each["key"]} for each in self._shapes(api).create_screen().values()]
        return json_response(self._page(fields, request, "fields"))

    def _shapes(self, api: str) -> Shapes:
        return Shapes(self.jira, version_of(api))

    def _types(self, request: Request, shapes: Shapes) -> list[Any]:
        names, ids = listed(request, "issuetypeNames"), listed(request, "issuetypeIds")
        with_fields = "projects.issuetypes.fields" in listed(request, "expand")
        chosen = [each for each in ISSUE_TYPES if not (names or ids) or each.name in names or each.id in ids]
        types = [{**shapes.issue_type(each), "expand": "fields"} for each in chosen]
        return [{**each, "fields": shapes.create_screen()} for each in types] if with_fields else types

    def _page(self, items: list[Any], request: Request, cloud_name: str) -> dict[str, Any]:
        return page_of(items, request, "values" if self.jira.server else cloud_name)


def _only(shape: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: shape[name] for name in names}


def _project(key: str) -> Project:
    project = catalog.find_project(key)
    if project is None:
        raise refuse(404, f"No project could be found with key '{key}'.")
    return project


def _is_meant(user: User, query: str, account_id: str | None) -> bool:
    if account_id:
        return user.id == account_id
    words = [user.email, user.login, user.name, *user.name.split()]
    return any(word.casefold().startswith(query.casefold()) for word in words)

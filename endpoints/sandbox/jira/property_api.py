"""Addresses of what integrations keep with an issue: its properties and its links to other systems."""

import json
from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response
from endpoints.sandbox.jira.answers import (
    NO_ISSUE,
    json_of,
    no_content,
    object_of,
    refuse,
    rest,
    version_of,
)
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.jira.tracker import Tracker
from endpoints.sandbox.store import Record

PROPERTY_LIMIT = 32_768
LONGEST_NAME = 255
LINK_PARTS = ("globalId", "application", "relationship", "object")


def read_properties(entries: Any) -> dict[str, Any]:
    """Return the `properties` of a create or edit by key; raises Refused with 400."""
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("key"), str) for entry in entries
    ):
        raise refuse(400, "'properties' must be an array of objects with key and value.")
    properties = {entry["key"]: entry.get("value") for entry in entries}
    for name, value in properties.items():
        _check_size(name, value)
    return properties


def keep_properties(tracker: Tracker, issue: Record, properties: dict[str, Any]) -> None:
    """Keep checked properties with the issue."""
    for name, value in properties.items():
        _keep(tracker, issue, name, value)


def shown_properties(tracker: Tracker, issue: Record, names: list[str]) -> dict[str, Any]:
    """Return the named properties of an issue, all for `*all`."""
    rows = tracker.of("property", issue)
    return {row["key"]: row["value"] for row in rows if "*all" in names or row["key"] in names}


class PropertyApi:
    """Answers requests about issue properties and remote links."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/issue/<key>/properties")
    def list_properties(self, request: Request, api: str, key: str) -> Response:
        """Return the keys of an issue's properties."""
        issue = self._issue(key)
        address = Shapes(self.jira, version_of(api)).rest(f"issue/{issue['id']}/properties")
        names = [row["key"] for row in self.tracker.of("property", issue)]
        return json_response({"keys": [{"self": f"{address}/{name}", "key": name} for name in names]})

    @rest("/issue/<key>/properties/<name>")
    def show_property(self, request: Request, api: str, key: str, name: str) -> Response:
        """Return a property of an issue."""
        row = self._property(self._issue(key), name)
        return json_response({"key": name, "value": row["value"]})

    @rest("/issue/<key>/properties/<name>", methods=["PUT"])
    def set_property(self, request: Request, api: str, key: str, name: str) -> Response:
        """Set a property of an issue."""
        issue, value = self._issue(key), json_of(request)
        _check_size(name, value)
        new = _keep(self.tracker, issue, name, value)
        return Response(status=201 if new else 200)

    @rest("/issue/<key>/properties/<name>", methods=["DELETE"])
    def delete_property(self, request: Request, api: str, key: str, name: str) -> Response:
        """Remove a property of an issue."""
        row = self._property(self._issue(key), name)
        self.tracker.store.delete("property", row["id"])
        return no_content()

    @rest("/issue/<key>/remotelink")
    def list_links(self, request: Request, api: str, key: str) -> Response:
        """Return an issue's links to other systems, or the one with a `globalId`."""
        issue = self._issue(key)
        shapes = Shapes(self.jira, version_of(api))
        if global_id := request.args.get("globalId"):
            link = self._link_by_global_id(issue, global_id)
            if link is None:
                raise refuse(404, f"No remote issue link with the globalId '{global_id}' exists.")
            return json_response(_link_shape(link, shapes))
        return json_response([_link_shape(link, shapes) for link in self.tracker.of("remotelink", issue)])

    @rest("/issue/<key>/remotelink", methods=["POST"])
    def put_link(self, request: Request, api: str, key: str) -> Response:
        """Add a link, or replace the one with the same `globalId`."""
        issue = self._issue(key)
        parts = _link_parts(object_of(request))
        known = self._link_by_global_id(issue, parts["globalId"]) if parts.get("globalId") else None
        link_id = known["id"] if known else self.tracker.number("remotelink")
        link = {"id": link_id, "issue": issue["id"], **parts}
        self.tracker.store.put("remotelink", link_id, link)
        shape = _link_shape(link, Shapes(self.jira, version_of(api)))
        return json_response({"id": shape["id"], "self": shape["self"]}, 200 if known else 201)

    @rest("/issue/<key>/remotelink", methods=["DELETE"])
    def delete_link_by_global_id(self, request: Request, api: str, key: str) -> Response:
        """Remove the link with a `globalId`."""
        link = self._link_by_global_id(self._issue(key), request.args.get("globalId", ""))
        return self._delete(link)

    @rest("/issue/<key>/remotelink/<link_id>")
    def show_link(self, request: Request, api: str, key: str, link_id: str) -> Response:
        """Return a link."""
        return json_response(_link_shape(self._link(key, link_id), Shapes(self.jira, version_of(api))))

    @rest("/issue/<key>/remotelink/<link_id>", methods=["PUT"])
    def edit_link(self, request: Request, api: str, key: str, link_id: str) -> Response:
        """Replace a link."""
        link = self._link(key, link_id)
        kept = {"id": link["id"], "issue": link["issue"]}
        self.tracker.store.put("remotelink", link_id, kept | _link_parts(object_of(request)))
        return no_content()

    @rest("/issue/<key>/remotelink/<link_id>", methods=["DELETE"])
    def delete_link(self, request: Request, api: str, key: str, link_id: str) -> Response:
        """Remove a link."""
        return self._delete(self._link(key, link_id))

    def _issue(self, key: str) -> Record:
        issue = self.tracker.find(key)
        if issue is None:
            raise refuse(404, NO_ISSUE)
        return issue

    def _property(self, issue: Record, name: str) -> Record:
        row: Record | None = self.tracker.store.get("property", f"{issue['id']}/{name}")
        if row is None:
            raise refuse(404, f"The property with key '{name}' does not exist.")
        return row

    def _link(self, key: str, link_id: str) -> Record:
        issue = self._issue(key)
        link: Record | None = self.tracker.store.get("remotelink", link_id)
        if link is None or link["issue"] != issue["id"]:
            raise refuse(404, f"No remote issue link with the id '{link_id}' exists.")
        return link

    def _link_by_global_id(self, issue: Record, global_id: str) -> Record | None:
        links = self.tracker.of("remotelink", issue)
        return next((link for link in links if link.get("globalId") == global_id), None)

    def _delete(self, link: Record | None) -> Response:
        if link is None:
            raise refuse(404, "The remote issue link does not exist.")
        self.tracker.store.delete("remotelink", link["id"])
        return no_content()


def _check_size(name: str, value: Any) -> None:
    if len(json.dumps(value)) > PROPERTY_LIMIT or len(name) > LONGEST_NAME:
        raise refuse(400, f"The property '{name}' is too long.")


def _keep(tracker: Tracker, issue: Record, name: str, value: Any) -> bool:
    """Set a property; says whether it is new."""
    property_id = f"{issue['id']}/{name}"
    new = tracker.store.get("property", property_id) is None
    tracker.store.put(
        "property", property_id, {"id": property_id, "issue": issue["id"], "key": name, "value": value}
    )
    return new


def _link_parts(body: dict[str, Any]) -> dict[str, Any]:
    linked = body.get("object")
    linked = linked if isinstance(linked, dict) else {}
    errors = {name: f"'{name}' is required." for name in ("title", "url") if not linked.get(name)}
    if errors:
        raise refuse(400, **errors)
    return {name: body[name] for name in LINK_PARTS if body.get(name) is not None}


def _link_shape(link: Record, shapes: Shapes) -> dict[str, Any]:
    address = shapes.rest(f"issue/{link['issue']}/remotelink/{link['id']}")
    parts = {name: link[name] for name in LINK_PARTS if name in link}
    return {"id": int(link["id"]), "self": address, "application": {}, **parts}

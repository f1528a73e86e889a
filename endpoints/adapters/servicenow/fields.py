"""ServiceNow's standard tables: which column is which canonical attribute, and how its value is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from endpoints.adapters.base import FieldDescription
from endpoints.canonical import AttributeType, EntityKind

TEXT, CHOICE, REFERENCE = AttributeType.TEXT, AttributeType.CHOICE, AttributeType.REFERENCE
DATETIME, NUMBER, BOOLEAN = AttributeType.DATETIME, AttributeType.NUMBER, AttributeType.BOOLEAN
LIST = AttributeType.LIST

Choices = tuple[tuple[str, str], ...]


class Column(NamedTuple):
    """One column of a table, as its label and type stand in a system nobody has changed."""

    name: str
    label: str
    type: AttributeType = TEXT
    choices: Choices = ()


JOURNALS = frozenset({"comments", "work_notes"})
"""Columns that append an entry each time they are written."""

_HIDDEN = JOURNALS | {"comments_and_work_notes", "approval_history", "correlation_display", "number"}

_TASK_NAMES = {
    "short_description": "title",
    "description": "description",
    "state": "status",
    "priority": "priority",
    "category": "category",
    "opened_by": "reporter",
    "assigned_to": "assignee",
    "assignment_group": "assignment_group",
    "cmdb_ci": "configuration_item",
    "company": "company",
    "parent": "parent",
    "correlation_id": "partner_reference",
    "opened_at": "created_at",
    "sys_updated_on": "updated_at",
    "due_date": "due_at",
    "closed_at": "closed_at",
}
_SEVERITY_NAMES = {"impact": "impact", "urgency": "urgency"}


def _reported_by(column: str, names: Mapping[str, str]) -> dict[str, str]:
    """Task names with another column than opened_by for the person it was opened for."""
    rest = {native: name for native, name in _TASK_NAMES.items() if native != "opened_by"}
    return {**rest, column: "reporter", **names}


NAMES: Mapping[EntityKind, Mapping[str, str]] = {
    EntityKind.INCIDENT: _reported_by(
        "caller_id",
        {
            **_SEVERITY_NAMES,
            "close_code": "resolution",
            "close_notes": "resolution_notes",
            "resolved_at": "resolved_at",
        },
    ),
    EntityKind.PROBLEM: {
        **_TASK_NAMES,
        **_SEVERITY_NAMES,
        "resolution_code": "resolution",
        "fix_notes": "resolution_notes",
        "resolved_at": "resolved_at",
        "cause_notes": "cause",
        "workaround": "workaround",
    },
    EntityKind.REQUEST: _reported_by(
        "requested_for", {"cat_item": "item", "quantity": "quantity", "approval": "approval"}
    ),
    EntityKind.CHANGE: _reported_by(
        "requested_by",
        {
            **_SEVERITY_NAMES,
            "risk": "risk",
            "approval": "approval",
            "start_date": "starts_at",
            "end_date": "ends_at",
            "implementation_plan": "implementation_plan",
            "backout_plan": "backout_plan",
        },
    ),
    EntityKind.TASK: _TASK_NAMES,
    EntityKind.CONFIGURATION_ITEM: {
        "name": "name",
        "sys_class_name": "class",
        "install_status": "status",
        "serial_number": "serial_number",
        "location": "location",
        "owned_by": "owner",
    },
    EntityKind.EVENT: {
        "type": "title",
        "description": "description",
        "severity": "severity",
        "state": "status",
        "source": "source",
        "node": "node",
        "metric_name": "metric",
        "time_of_event": "starts_at",
    },
}

_LEVELS: Choices = (("1", "1 - High"), ("2", "2 - Medium"), ("3", "3 - Low"))
_PRIORITIES: Choices = (
    ("1", "1 - Critical"),
    ("2", "2 - High"),
    ("3", "3 - Moderate"),
    ("4", "4 - Low"),
    ("5", "5 - Planning"),
)
_INCIDENT_STATES: Choices = (
    ("1", "New"),
    ("2", "In Progress"),
    ("3", "On Hold"),
    ("6", "Resolved"),
    ("7", "Closed"),
    ("8", "Canceled"),
)
_CHANGE_STATES: Choices = (
    ("-5", "New"),
    ("-4", "Assess"),
    ("-3", "Authorize"),
    ("-2", "Scheduled"),
    ("-1", "Implement"),
    ("0", "Review"),
    ("3", "Closed"),
    ("4", "Canceled"),
)
_PROBLEM_STATES: Choices = (
    ("101", "New"),
    ("102", "Assess"),
    ("103", "Root Cause Analysis"),
    ("104", "Fix in Progress"),
    ("106", "Resolved"),
    ("107", "Closed"),
)
_TASK_STATES: Choices = (
    ("-5", "Pending"),
    ("1", "Open"),
    ("2", "Work in Progress"),
    ("3", "Closed Complete"),
    ("4", "Closed Incomplete"),
    ("7", "Closed Skipped"),
)

_TASK = (
    Column("short_description", "Short description"),
    Column("description", "Description"),
    Column("state", "State", CHOICE, _TASK_STATES),
    Column("priority", "Priority", CHOICE, _PRIORITIES),
    Column("impact", "Impact", CHOICE, _LEVELS),
    Column("urgency", "Urgency", CHOICE, _LEVELS),
    Column("assigned_to", "Assigned to", REFERENCE),
    Column("assignment_group", "Assignment group", REFERENCE),
    Column("cmdb_ci", "Configuration item", REFERENCE),
    Column("business_service", "Service", REFERENCE),
    Column("service_offering", "Service offering", REFERENCE),
    Column("company", "Company", REFERENCE),
    Column("location", "Location", REFERENCE),
    Column("parent", "Parent", REFERENCE),
    Column("opened_by", "Opened by", REFERENCE),
    Column("closed_by", "Closed by", REFERENCE),
    Column("correlation_id", "Correlation ID"),
    Column("contact_type", "Contact type", CHOICE),
    Column("approval", "Approval", CHOICE),
    Column("escalation", "Escalation", CHOICE),
    Column("close_notes", "Close notes"),
    Column("watch_list", "Watch list", LIST),
    Column("work_notes_list", "Work notes list", LIST),
    Column("opened_at", "Opened", DATETIME),
    Column("sys_created_on", "Created", DATETIME),
    Column("sys_updated_on", "Updated", DATETIME),
    Column("due_date", "Due date", DATETIME),
    Column("expected_start", "Expected start", DATETIME),
    Column("work_start", "Actual start", DATETIME),
    Column("work_end", "Actual end", DATETIME),
    Column("follow_up", "Follow up", DATETIME),
    Column("closed_at", "Closed", DATETIME),
    Column("activity_due", "Activity due", DATETIME),
    Column("sla_due", "SLA due", DATETIME),
    Column("active", "Active", BOOLEAN),
    Column("knowledge", "Knowledge", BOOLEAN),
    Column("made_sla", "Made SLA", BOOLEAN),
    Column("reassignment_count", "Reassignment count", NUMBER),
)
_INCIDENT = (
    Column("state", "State", CHOICE, _INCIDENT_STATES),
    Column("caller_id", "Caller", REFERENCE),
    Column("category", "Category", CHOICE),
    Column("subcategory", "Subcategory", CHOICE),
    Column("severity", "Severity", CHOICE, _LEVELS),
    Column("hold_reason", "On hold reason", CHOICE),
    Column("close_code", "Resolution code", CHOICE),
    Column("resolved_by", "Resolved by", REFERENCE),
    Column("resolved_at", "Resolved", DATETIME),
    Column("reopened_time", "Last reopened at", DATETIME),
    Column("reopen_count", "Reopen count", NUMBER),
    Column("problem_id", "Problem", REFERENCE),
    Column("rfc", "Change Request", REFERENCE),
    Column("caused_by", "Caused by Change", REFERENCE),
    Column("parent_incident", "Parent Incident", REFERENCE),
    Column("business_impact", "Business impact"),
    Column("cause", "Probable cause"),
)
_PROBLEM = (
    Column("state", "State", CHOICE, _PROBLEM_STATES),
    Column("category", "Category", CHOICE),
    Column("subcategory", "Subcategory", CHOICE),
    Column("cause_notes", "Cause notes"),
    Column("workaround", "Workaround"),
    Column("fix_notes", "Fix notes"),
    Column("resolution_code", "Resolution code", CHOICE),
    Column("resolved_by", "Resolved by", REFERENCE),
    Column("resolved_at", "Resolved", DATETIME),
    Column("confirmed_at", "Confirmed", DATETIME),
    Column("fix_at", "Fix", DATETIME),
    Column("first_reported_by_task", "Origin task", REFERENCE),
    Column("duplicate_of", "Duplicate of", REFERENCE),
    Column("known_error", "Known error", BOOLEAN),
    Column("major_problem", "Major problem", BOOLEAN),
    Column("related_incidents", "Related Incidents", NUMBER),
)
_CHANGE = (
    Column("state", "State", CHOICE, _CHANGE_STATES),
    Column("type", "Type", CHOICE),
    Column("category", "Category", CHOICE),
    Column("risk", "Risk", CHOICE),
    Column("scope", "Scope", CHOICE),
    Column("requested_by", "Requested by", REFERENCE),
    Column("start_date", "Planned start date", DATETIME),
    Column("end_date", "Planned end date", DATETIME),
    Column("requested_by_date", "Requested by date", DATETIME),
    Column("cab_date_time", "CAB date/time", DATETIME),
    Column("justification", "Justification"),
    Column("implementation_plan", "Implementation plan"),
    Column("backout_plan", "Backout plan"),
    Column("test_plan", "Test plan"),
    Column("risk_impact_analysis", "Risk and impact analysis"),
    Column("close_code", "Close code", CHOICE),
    Column("review_status", "Review status", CHOICE),
    Column("cab_required", "CAB required", BOOLEAN),
    Column("on_hold", "On hold", BOOLEAN),
    Column("on_hold_reason", "On hold reason"),
    Column("unauthorized", "Unauthorized", BOOLEAN),
)
_REQUEST_ITEM = (
    Column("cat_item", "Item", REFERENCE),
    Column("request", "Request", REFERENCE),
    Column("requested_for", "Requested for", REFERENCE),
    Column("quantity", "Quantity", NUMBER),
    Column("stage", "Stage", CHOICE),
    Column("price", "Price"),
    Column("estimated_delivery", "Estimated delivery", DATETIME),
    Column("backordered", "Backordered", BOOLEAN),
    Column("billable", "Billable", BOOLEAN),
)
_CONFIGURATION_ITEM = (
    Column("name", "Name"),
    Column("sys_class_name", "Class", CHOICE),
    Column("install_status", "Status", CHOICE),
    Column("operational_status", "Operational status", CHOICE),
    Column("serial_number", "Serial number"),
    Column("asset_tag", "Asset tag"),
    Column("location", "Location", REFERENCE),
    Column("owned_by", "Owned by", REFERENCE),
    Column("managed_by", "Managed by", REFERENCE),
    Column("support_group", "Support group", REFERENCE),
    Column("manufacturer", "Manufacturer", REFERENCE),
    Column("model_id", "Model ID", REFERENCE),
    Column("company", "Company", REFERENCE),
    Column("ip_address", "IP Address"),
    Column("fqdn", "Fully qualified domain name"),
    Column("correlation_id", "Correlation ID"),
    Column("sys_updated_on", "Updated", DATETIME),
)
_EVENT = (
    Column("type", "Type"),
    Column("description", "Description"),
    Column("severity", "Severity", CHOICE),
    Column("state", "State", CHOICE),
    Column("source", "Source"),
    Column("node", "Node"),
    Column("resource", "Resource"),
    Column("metric_name", "Metric name"),
    Column("message_key", "Message key"),
    Column("event_class", "Source instance"),
    Column("resolution_state", "Resolution state", CHOICE),
    Column("additional_info", "Additional information"),
    Column("time_of_event", "Time of event", DATETIME),
)

_COLUMNS: Mapping[EntityKind, tuple[Column, ...]] = {
    EntityKind.INCIDENT: (*_TASK, *_INCIDENT),
    EntityKind.PROBLEM: (*_TASK, *_PROBLEM),
    EntityKind.CHANGE: (*_TASK, *_CHANGE),
    EntityKind.REQUEST: (*_TASK, *_REQUEST_ITEM),
    EntityKind.TASK: _TASK,
    EntityKind.CONFIGURATION_ITEM: _CONFIGURATION_ITEM,
    EntityKind.EVENT: _EVENT,
}
COLUMNS: Mapping[EntityKind, Mapping[str, Column]] = {
    kind: {column.name: column for column in columns} for kind, columns in _COLUMNS.items()
}
"""Columns by name; where a table has its own version of a task's column, that one."""

_NATIVE = {kind: {name: native for native, name in names.items()} for kind, names in NAMES.items()}
_MANDATORY = frozenset({"title", "name"})


def attribute_of(kind: EntityKind, column: str) -> str | None:
    """The attribute that a column is read into; None for the system's own and journal columns.

    A column that happens to bear the name of another column's attribute (a requested item's own
    `configuration_item`) is None too: it stays reachable in the native message.
    """
    names = NAMES[kind]
    if column in names:
        return names[column]
    if column in _HIDDEN or column.startswith("sys_") or column in _NATIVE[kind]:
        return None
    return column


def common_attribute_of(column: str) -> str:
    """The attribute of a column where all standard tables that have it agree, else the column's own name."""
    names = {attribute_of(kind, column) or column for kind, columns in COLUMNS.items() if column in columns}
    return names.pop() if len(names) == 1 else column


def column_of(kind: EntityKind, attribute: str) -> str:
    """The column that an attribute is written to: its own name where it has no documented one."""
    return _NATIVE[kind].get(attribute, attribute)


def has_journal(kind: EntityKind) -> bool:
    """Whether its tables take comments and work notes, and carry our mark."""
    return kind not in (EntityKind.CONFIGURATION_ITEM, EntityKind.EVENT)


def describe(kind: EntityKind) -> Sequence[FieldDescription]:
    """The columns of a kind's standard table under their attribute names."""
    named = ((attribute_of(kind, column.name), column) for column in COLUMNS[kind].values())
    return tuple(
        FieldDescription(name, column.label, column.type, name in _MANDATORY, column.choices)
        for name, column in named
        if name
    )

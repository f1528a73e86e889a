"""Tables, fields, references and choices of the simulated ServiceNow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta, timezone
from typing import Any

# Display values of times are in the user's zone, so that nobody takes them for UTC by mistake.
DISPLAY_ZONE = timezone(timedelta(hours=-8))
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

JOURNAL_FIELDS = ("comments", "work_notes")
LEVELS = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
INCIDENT_STATES = {
    "1": "New",
    "2": "In Progress",
    "3": "On Hold",
    "6": "Resolved",
    "7": "Closed",
    "8": "Canceled",
}
PROBLEM_STATES = {
    "101": "New",
    "102": "Assess",
    "103": "Root Cause Analysis",
    "104": "Fix in Progress",
    "106": "Resolved",
    "107": "Closed",
}
CHANGE_STATES = {
    "-5": "New",
    "-4": "Assess",
    "-3": "Authorize",
    "-2": "Scheduled",
    "-1": "Implement",
    "0": "Review",
    "3": "Closed",
    "4": "Canceled",
}
TASK_STATES = {
    "-5": "Pending",
    "1": "Open",
    "2": "Work in Progress",
    "3": "Closed Complete",
    "4": "Closed Incomplete",
    "7": "Closed Skipped",
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SYSTEM_FIELDS = (
    "sys_id",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
    "sys_class_name",
    "sys_domain",
    "sys_tags",
)
TASK_FIELDS = _names(
    """
    number short_description description state priority impact urgency active assignment_group assigned_to
    opened_by opened_at closed_by closed_at close_code close_notes category subcategory cmdb_ci
    business_service company location contact_type correlation_id correlation_display parent due_date
    expected_start work_start work_end approval escalation severity follow_up knowledge made_sla
    reassignment_count reopen_count watch_list work_notes_list comments work_notes comments_and_work_notes
    """
)
TASK_REFERENCES = {
    "assignment_group": "sys_user_group",
    "assigned_to": "sys_user",
    "opened_by": "sys_user",
    "closed_by": "sys_user",
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci_service",
    "company": "core_company",
}
TIME_FIELDS = frozenset(
    _names(
        """
    sys_created_on sys_updated_on opened_at closed_at resolved_at due_date expected_start work_start
    work_end follow_up start_date end_date
    """
    )
)


@dataclass(frozen=True)
class Table:
    """One table: its own fields, where references lead, and what choices are called.

    `display` is the field shown for a reference to it, `prefix` starts its numbers, `closed_states` make a
    record inactive, `priority_lookup` says that priority follows from impact and urgency.
    """

    name: str
    own_fields: tuple[str, ...]
    display: str = "name"
    prefix: str = ""
    references: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    closed_states: frozenset[str] = frozenset()
    resolved_state: str = ""
    priority_lookup: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """All field names, the system's own last."""
        return (*self.own_fields, *SYSTEM_FIELDS)

    @property
    def is_task(self) -> bool:
        """Say whether it is a kind of ticket: numbered, with journal and state."""
        return bool(self.prefix)


def _task(name: str, prefix: str, states: Mapping[str, str], start: str, closed: frozenset[str]) -> Table:
    return Table(
        name=name,
        own_fields=TASK_FIELDS,
        display="number",
        prefix=prefix,
        references=TASK_REFERENCES | {"parent": name},
        choices={"state": states, "impact": LEVELS, "urgency": LEVELS, "priority": PRIORITIES},
        defaults={"state": start, "impact": "3", "urgency": "3", "priority": "4", "active": "true"},
        closed_states=closed,
    )


def _with(table: Table, fields: str, references: Mapping[str, str], **changes: Any) -> Table:
    more = (*table.own_fields, *_names(fields))
    return replace(table, own_fields=more, references={**table.references, **references}, **changes)


def _plain(name: str, fields: str, references: Mapping[str, str], display: str = "name") -> Table:
    return Table(name=name, own_fields=_names(fields), references=references, display=display)


_ENDED = frozenset({"3", "4", "7"})
_CI_FIELDS = (
    "name short_description operational_status install_status category company assigned_to support_group"
)
_CI_REFERENCES = {"company": "core_company", "assigned_to": "sys_user", "support_group": "sys_user_group"}

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _with(
            _task("incident", "INC", INCIDENT_STATES, "1", frozenset({"7", "8"})),
            "caller_id resolved_by resolved_at hold_reason incident_state problem_id rfc",
            {
                "caller_id": "sys_user",
                "resolved_by": "sys_user",
                "problem_id": "problem",
                "rfc": "change_request",
            },
            resolved_state="6",
            priority_lookup=True,
        ),
        _with(
            _task("problem", "PRB", PROBLEM_STATES, "101", frozenset({"107"})),
            "resolved_by resolved_at cause_notes fix_notes workaround known_error",
            {"resolved_by": "sys_user"},
            resolved_state="106",
            priority_lookup=True,
        ),
        _with(
            _task("change_request", "CHG", CHANGE_STATES, "-5", frozenset({"3", "4"})),
            "requested_by type risk start_date end_date justification implementation_plan backout_plan",
            {"requested_by": "sys_user"},
        ),
        _with(
            _task("sc_request", "REQ", TASK_STATES, "1", _ENDED),
            "requested_for request_state stage price",
            {"requested_for": "sys_user"},
        ),
        _with(
            _task("sc_req_item", "RITM", TASK_STATES, "1", _ENDED),
            "request requested_for cat_item stage quantity price",
            {"request": "sc_request", "requested_for": "sys_user"},
        ),
        _with(
            _task("sc_task", "SCTASK", TASK_STATES, "1", _ENDED),
            "request request_item",
            {"request": "sc_request", "request_item": "sc_req_item"},
        ),
        _plain(
            "sys_user",
            "user_name name first_name last_name email phone title active company department manager vip",
            {"company": "core_company", "manager": "sys_user"},
        ),
        _plain("sys_user_group", "name description email active manager parent", {"manager": "sys_user"}),
        _plain("core_company", "name customer vendor city country website", {}),
        _plain("cmdb_ci", _CI_FIELDS, _CI_REFERENCES),
        _plain("cmdb_ci_service", _CI_FIELDS + " busines_criticality used_for", _CI_REFERENCES),
        _plain("sys_journal_field", "element element_id name value", {}, display="element"),
        _plain(
            "sys_attachment",
            "file_name content_type size_bytes size_compressed compressed table_name table_sys_id hash state "
            "download_link",
            {},
            display="file_name",
        ),
    )
}

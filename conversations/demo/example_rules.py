"""The example's two rules and their translation tables: incidents to Jira, and Jira's answers back."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password

from endpoints.models import Endpoint
from oneio.models import Environment
from routing import versions
from routing.models import (
    Condition,
    Mapping,
    RoutingRule,
    RuleVersion,
    TranslationRow,
    TranslationTable,
    UnmappedPolicy,
)

TO_JIRA = "Incident → Jira"
TO_SERVICENOW = "Jira → Incident"
OWNER = "integration.team"
REASON = "The example as it is delivered."

TABLES: dict[str, dict[str, str]] = {
    "Priorities": {
        "1 - Critical": "Highest",
        "2 - High": "High",
        "3 - Moderate": "Medium",
        "4 - Low": "Low",
        "5 - Planning": "Lowest",
    },
    "Status out": {
        "New": "To Do",
        "In Progress": "In Progress",
        "On Hold": "In Progress",
        "Resolved": "Done",
        "Closed": "Done",
        "Canceled": "Done",
    },
    "Status back": {
        "To Do": "New",
        "In Progress": "In Progress",
        "In Review": "In Progress",
        "Done": "Resolved",
    },
    "Resolutions": {
        "Done": "Solution provided",
        "Won't Do": "No resolution provided",
        "Duplicate": "Duplicate",
        "Cannot Reproduce": "No resolution provided",
    },
}
OTHERWISE = {"Priorities": {"unmapped": UnmappedPolicy.DEFAULT, "default": "Medium"}}

DESCRIPTION = (
    "{{ attributes.description }}\n\n"
    "Reported by {{ variables.caller }} as ServiceNow incident {{ message.number }}\n{{ message.link }}"
)
COMMENT = "{{ comment.author.name }} ({{ message.entity_type }}): {{ comment.text }}"
RESOLVED = "{% if attributes.resolution %}{{ message.number }}: {{ attributes.resolution }}{% endif %}"

OUT: dict[str, Any] = {
    "slug": "incident-to-jira",
    "operations": ["create", "update", "comment"],
    "conditions": [{"path": "assignment_group", "operator": "exists"}],
    "mappings": [
        {
            "category": "variable",
            "kind": "template",
            "template": "{{ attributes.reporter | default: 'somebody' }}",
            "target": "caller",
        },
        {"kind": "copy", "source": "title", "target": "title"},
        {"kind": "template", "template": DESCRIPTION, "target": "description"},
        {"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"},
        {"kind": "translate", "source": "status", "table": "Status out", "target": "status"},
        {"kind": "constant", "constant": "servicenow", "target": "labels"},
        {"kind": "template", "template": COMMENT, "target": "comment"},
    ],
}
BACK: dict[str, Any] = {
    "slug": "jira-to-incident",
    "operations": ["update", "comment"],
    "conditions": [{"path": "project", "operator": "equals", "value": "OPS"}],
    "mappings": [
        {"kind": "translate", "source": "status", "table": "Status back", "target": "status"},
        {"kind": "translate", "source": "resolution", "table": "Resolutions", "target": "resolution"},
        {"kind": "template", "template": RESOLVED, "target": "resolution_notes"},
        {"kind": "template", "template": COMMENT, "target": "comment"},
    ],
}


def ensure_rules(servicenow: Endpoint, jira: Endpoint) -> None:
    """Publish the two rules where they are missing and switch them on; what people changed in them stays.

    Somebody must own a rule in Production: an account of the example that nobody can log in to.
    """
    account, _ = get_user_model()._default_manager.get_or_create(
        username=OWNER, defaults={"password": make_password(None), "is_active": False}
    )
    _ensure_rule(TO_JIRA, servicenow, jira, OUT, account)
    _ensure_rule(TO_SERVICENOW, jira, servicenow, BACK, account)


def _ensure_rule(name: str, source: Endpoint, target: Endpoint, content: dict[str, Any], owner: Any) -> None:
    rule, _ = RoutingRule.objects.update_or_create(
        environment=source.environment,
        slug=content["slug"],
        defaults={"enabled": True},
        create_defaults={"enabled": True, "name": name, "use_case": "Incidents", "owner": owner},
    )
    if rule.owner_id is None:
        rule.owner = owner
        rule.save(update_fields=["owner"])
    if rule.current_version_id is None:
        entities = source.entity_types.get(name="incident"), target.entity_types.get(name="incident")
        draft = versions.save_draft(rule, *entities, operations=content["operations"])
        _fill(draft, content)
        versions.publish(rule, None, REASON)


def _fill(draft: RuleVersion, content: dict[str, Any]) -> None:
    draft.conditions.all().delete()
    draft.mappings.all().delete()
    for position, row in enumerate(content["conditions"]):
        Condition.objects.create(version=draft, position=position, **row)
    for position, row in enumerate(content["mappings"]):
        table = _ensure_table(draft.environment, row["table"]) if "table" in row else None
        Mapping.objects.create(version=draft, position=position, **{**row, "table": table})


def _ensure_table(environment: Environment, name: str) -> TranslationTable:
    table, made = TranslationTable.objects.get_or_create(
        environment=environment, name=name, defaults=OTHERWISE.get(name, {})
    )
    if made:
        for position, (source, target) in enumerate(TABLES[name].items()):
            TranslationRow.objects.create(table=table, position=position, source=source, target=target)
    return table

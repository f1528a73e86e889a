"""The example organization: a REST source, a REST target (the sink), and one rule between them.

Usage: python -m benchmarks.organization SINK_URL [NAME]   (prints how to authenticate, as JSON)
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import transaction  # noqa: E402

from endpoints.models import Endpoint, EntityType  # noqa: E402
from endpoints.receiver_logins import generate_password, set_password  # noqa: E402
from oneio.models import Environment, EnvironmentKind, Organization  # noqa: E402
from routing import versions  # noqa: E402
from routing.models import (  # noqa: E402
    Condition,
    Mapping,
    RoutingRule,
    RuleVersion,
    TranslationRow,
    TranslationTable,
)

MAX_IN_FLIGHT = 128
SOURCE = """
attributes:
  title: title
  description: description
  status: {native: status, values: {new: New, in_progress: In Progress, resolved: Resolved}}
  priority: {native: priority, values: {1: 1 - Critical, 2: 2 - High, 3: 3 - Moderate}}
  category: category
  assignment_group: group
  reporter: caller.email
  configuration_item: item.name
inbound:
  record: ticket
  id: ticket.id
  number: ticket.number
  operation: {path: event.type, pattern: '[^.]*$', values: {created: create, updated: update}}
  actor: {id: event.actor.id, name: event.actor.name, email: event.actor.email}
  occurred_at: event.at
  event_id: event.id
"""
TARGET = """
auth: {kind: bearer}
attributes:
  title: summary
  description: description
  status: status
  priority: priority
  category: category
  assignment_group: team
  reporter: reporter
  configuration_item: component
inbound:
  id: id
operations:
  create:
    path: /tickets
    headers: {Idempotency-Key: "{{ effect_key }}"}
    body: {ticket: "{{ fields }}"}
    id: id
    number: number
    success: [201]
  update:
    method: PUT
    path: /tickets/{{ target.id }}
    body: {ticket: "{{ fields }}"}
"""
CONDITIONS: list[dict[str, Any]] = [
    {"path": "category", "operator": "in", "values": ["network", "server", "storage"]},
    {"path": "priority", "operator": "starts_with", "value": "1"},
]
TABLES: dict[str, dict[str, str]] = {
    "Priorities": {"1 - Critical": "Highest", "2 - High": "High", "3 - Moderate": "Medium"},
    "States": {"New": "To Do", "In Progress": "In Progress", "Resolved": "Done"},
}
MAPPINGS: list[dict[str, Any]] = [
    {"kind": "copy", "source": "title", "target": "title"},
    {"kind": "copy", "source": "description", "target": "description"},
    {"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"},
    {"kind": "translate", "source": "status", "table": "States", "target": "status"},
    {"kind": "copy", "source": "category", "target": "category"},
    {
        "kind": "template",
        "template": "{{ attributes.assignment_group }} ({{ attributes.category | upcase }})",
        "target": "assignment_group",
    },
    {"kind": "copy", "source": "reporter", "target": "reporter"},
    {"kind": "constant", "constant": "oneio", "target": "source_system"},
    {
        "kind": "template",
        "template": "{{ message.number }}, opened for {{ attributes.reporter }}",
        "target": "origin",
    },
    {"kind": "copy", "source": "native.ticket.mark", "target": "reference"},
]


@transaction.atomic
def make(sink_url: str, name: str) -> str:
    """Make everything; the password of the source's receiver login, whose user name is `name`."""
    organization = Organization.objects.create(name=name.capitalize(), slug=name)
    environment = Environment.objects.get_or_create(
        organization=organization, kind=EnvironmentKind.PRODUCTION
    )[0]
    source = _endpoint(environment, "source", SOURCE, "http://127.0.0.1")
    target = _endpoint(environment, "target", TARGET, sink_url)
    make_rule(source, target, "Benchmark rule")
    password = generate_password()
    set_password(source, name, password)
    return password


def make_rule(source: Endpoint, target: Endpoint, name: str) -> RoutingRule:
    """A published rule with 2 conditions and 10 mappings."""
    rule = RoutingRule.objects.create(
        environment=source.environment,
        name=name,
        slug=name.lower().replace(" ", "-"),
        owner=User.objects.get_or_create(username="benchmark")[0],
    )
    draft = versions.save_draft(rule, source.entity_types.get(), target.entity_types.get(), write_back=False)
    _fill(draft)
    versions.publish(rule, None, "Benchmark")
    return rule


def _endpoint(environment: Environment, name: str, declaration: str, base_url: str) -> Endpoint:
    endpoint = Endpoint.objects.create(
        environment=environment,
        name=name.capitalize(),
        slug=name,
        kind="rest",
        base_url=base_url,
        settings={"declaration": declaration},
        max_in_flight=MAX_IN_FLIGHT,
    )
    EntityType.objects.create(
        endpoint=endpoint, environment=environment, name="incident", kind="incident", remote_name="incident"
    )
    endpoint.credentials.secrets = {"api_key": "benchmark"}
    endpoint.credentials.save()
    return endpoint


def _fill(draft: RuleVersion) -> None:
    tables = {name: _table(draft.environment, name, rows) for name, rows in TABLES.items()}
    for position, row in enumerate(CONDITIONS):
        Condition.objects.create(version=draft, position=position, **row)
    for position, row in enumerate(MAPPINGS):
        table = tables[row["table"]] if "table" in row else None
        Mapping.objects.create(version=draft, position=position, **{**row, "table": table})


def _table(environment: Environment, name: str, rows: dict[str, str]) -> TranslationTable:
    table = TranslationTable.objects.create(environment=environment, name=name)
    for position, (source, target) in enumerate(rows.items()):
        TranslationRow.objects.create(table=table, position=position, source=source, target=target)
    return table


if __name__ == "__main__":
    name = sys.argv[2] if len(sys.argv) > 2 else "benchmark"
    secret = base64.b64encode(f"{name}:{make(sys.argv[1], name)}".encode()).decode()
    json.dump({"authorization": f"Basic {secret}"}, sys.stdout)

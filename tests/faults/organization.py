"""Runs inside an installation: makes an organization whose source sends to a fault run's targets.

Usage: python -m tests.faults.organization '{"name": …, "targets": [{"url": …, "askable": …, …}]}'
(prints the source's Authorization header as JSON)
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from endpoints.models import Endpoint, EntityType  # noqa: E402
from endpoints.receiver_logins import generate_password, set_password  # noqa: E402
from oneio.models import Environment, EnvironmentKind, Organization  # noqa: E402
from routing import versions  # noqa: E402
from routing.models import Condition, Mapping, RoutingRule, RuleVersion  # noqa: E402
from tests.faults import messages, target  # noqa: E402

OPERATIONS = ["create", "update", "comment"]
SOURCE = """
attributes:
  title: title
  description: description
  category: category
inbound:
  record: ticket
  id: ticket.id
  number: ticket.number
  operation: {path: event.type, values: {created: create, updated: update, commented: comment}}
  event_id: event.id
  comments: [{path: comment, id: id, text: text, visibility: public}]
"""


@transaction.atomic
def make(name: str, targets: list[dict[str, Any]]) -> str:
    """Make the organization; what authenticates its source."""
    organization = Organization.objects.create(name=name, slug=name)
    environment = Environment.objects.get_or_create(
        organization=organization, kind=EnvironmentKind.PRODUCTION
    )[0]
    source = _endpoint(environment, "source", SOURCE, "http://127.0.0.1")
    for number, wanted in enumerate(targets):
        _join(source, number, **wanted)
    password = generate_password()
    set_password(source, name, password)
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _join(source: Endpoint, number: int, *, url: str, askable: bool, max_in_flight: int, policy: str) -> None:
    declaration = target.ASKABLE if askable else target.MUTE
    fields = {"max_in_flight": max_in_flight, "unknown_policy": policy}
    endpoint = _endpoint(source.environment, f"target-{number}", declaration, url, **fields)
    rule = RoutingRule.objects.create(
        environment=source.environment, name=f"Rule {number}", slug=f"rule-{number}"
    )
    draft = versions.save_draft(
        rule,
        source.entity_types.get(),
        endpoint.entity_types.get(),
        write_back=False,
        operations=OPERATIONS,
    )
    _fill(draft, messages.ASKABLE if askable else messages.MUTE)
    versions.publish(rule, None, "Fault run")


def _fill(draft: RuleVersion, category: str) -> None:
    Condition.objects.create(version=draft, position=0, path="category", operator="equals", value=category)
    for position, name in enumerate(("title", "description", "category")):
        Mapping.objects.create(version=draft, position=position, kind="copy", source=name, target=name)


def _endpoint(environment: Environment, slug: str, declaration: str, url: str, **fields: Any) -> Endpoint:
    settings = {"declaration": declaration}
    endpoint = Endpoint.objects.create(
        environment=environment,
        name=slug,
        slug=slug,
        kind="rest",
        base_url=url,
        settings=settings,
        **fields,
    )
    EntityType.objects.create(
        endpoint=endpoint, environment=environment, name="incident", kind="incident", remote_name="incident"
    )
    return endpoint


if __name__ == "__main__":
    json.dump(make(**json.loads(sys.argv[1])), sys.stdout)

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

from django.contrib.auth.models import User  # noqa: E402
from django.db import transaction  # noqa: E402

from endpoints.models import Endpoint, EntityType  # noqa: E402
from endpoints.receiver_logins import generate_password, set_password  # noqa: E402
from oneio.models import Environment, EnvironmentKind, Organization  # noqa: E402
from routing import versions  # noqa: E402
from routing.models import Condition, Mapping, RoutingRule, RuleVersion  # noqa: E402
from tests.faults import messages, systems, target  # noqa: E402

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


def _join(
    source: Endpoint, number: int, *, url: str, askable: bool, policy: str, system: str, **limits: Any
) -> None:
    endpoint = _target(source.environment, f"target-{number}", url, askable, system)
    Endpoint.objects.filter(pk=endpoint.pk).update(unknown_policy=policy, **limits)
    rule = RoutingRule.objects.create(
        environment=source.environment,
        name=f"Rule {number}",
        slug=f"rule-{number}",
        owner=User.objects.get_or_create(username="faults")[0],
    )
    draft = versions.save_draft(
        rule,
        source.entity_types.get(),
        endpoint.entity_types.get(),
        write_back=False,
        operations=OPERATIONS,
    )
    category = messages.ASKABLE if askable else messages.MUTE
    _fill(draft, "" if system else category)
    versions.publish(rule, None, "Fault run")


def _fill(draft: RuleVersion, category: str) -> None:
    if category:
        Condition.objects.create(
            version=draft, position=0, path="category", operator="equals", value=category
        )
    for position, name in enumerate(("title", "description", "category") if category else ("title",)):
        Mapping.objects.create(version=draft, position=position, kind="copy", source=name, target=name)


def _target(environment: Environment, slug: str, url: str, askable: bool, system: str) -> Endpoint:
    if not system:
        return _endpoint(environment, slug, target.ASKABLE if askable else target.MUTE, url)
    access = systems.ACCESS[system]
    endpoint = Endpoint.objects.create(
        environment=environment,
        name=slug,
        slug=slug,
        kind=access.kind,
        base_url=url,
        settings=access.settings,
    )
    endpoint.credentials.secrets = dict(access.secrets)
    endpoint.credentials.save()
    EntityType.objects.create(endpoint=endpoint, environment=environment, kind="incident", **access.entity)
    return endpoint


def _endpoint(environment: Environment, slug: str, declaration: str, url: str) -> Endpoint:
    settings = {"declaration": declaration}
    endpoint = Endpoint.objects.create(
        environment=environment, name=slug, slug=slug, kind="rest", base_url=url, settings=settings
    )
    EntityType.objects.create(
        endpoint=endpoint, environment=environment, name="incident", kind="incident", remote_name="incident"
    )
    return endpoint


if __name__ == "__main__":
    json.dump(make(**json.loads(sys.argv[1])), sys.stdout)

"""The example organization: Example Ltd, its ServiceNow and Jira, and who may post and log in where.

Made at the first start; at each later one put right where addresses and passwords have changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from conversations.demo.example_rules import ensure_rules
from conversations.demo.passwords import Passwords
from conversations.demo.programs import RECEIVERS, Places
from endpoints import gates
from endpoints.canonical import EntityKind
from endpoints.models import Endpoint, EndpointStatus, EntityType
from endpoints.receiver_logins import identify, set_password
from oneio.models import Environment, EnvironmentKind, Organization

ORGANIZATION = "Example Ltd"
JIRA_EMAIL = "integration@example.com"
PROJECT = "OPS"


@dataclass(frozen=True, slots=True)
class Example:
    """The two connected systems."""

    servicenow: Endpoint
    jira: Endpoint


@transaction.atomic
def ensure_example(places: Places, passwords: Passwords) -> Example:
    """Make or put right everything that the demo needs in the database."""
    organization, _ = Organization.objects.get_or_create(slug="example", defaults={"name": ORGANIZATION})
    for kind in EnvironmentKind.values:
        Environment.objects.get_or_create(organization=organization, kind=kind)
    production = Environment.objects.get(organization=organization, kind=EnvironmentKind.PRODUCTION)
    example = Example(
        _servicenow(production, places.servicenow, passwords), _jira(production, places.jira, passwords)
    )
    ensure_rules(example.servicenow, example.jira)
    return example


def _servicenow(environment: Environment, url: str, passwords: Passwords) -> Endpoint:
    endpoint = _endpoint(
        environment,
        kind="servicenow",
        slug="servicenow-prod",
        name="ServiceNow PROD",
        base_url=url,
        # The integration user of the simulated instance lives in this zone.
        timezone="Etc/GMT+8",
        settings={"auth": "oauth", "username": "oneio", "client_id": "oneio-client"},
    )
    _log_in_with(endpoint, password=passwords.servicenow, client_secret=passwords.servicenow_client)
    _let_post(endpoint, RECEIVERS["servicenow"], passwords.receiver_servicenow)
    _entity(endpoint, "incident", EntityKind.INCIDENT, "incident")
    return endpoint


def _jira(environment: Environment, url: str, passwords: Passwords) -> Endpoint:
    endpoint = _endpoint(
        environment,
        kind="jira",
        slug="jira-cloud",
        name="Jira Cloud",
        base_url=url,
        timezone="Europe/Berlin",
        settings={
            "deployment": "cloud",
            "api_version": "3",
            "auth": "basic",
            "email": JIRA_EMAIL,
            "project": PROJECT,
            "internal_comments": "jsm",
        },
    )
    _log_in_with(endpoint, api_token=passwords.jira)
    _let_post(endpoint, RECEIVERS["jira"], passwords.receiver_jira)
    _entity(endpoint, "incident", EntityKind.INCIDENT, "Incident")
    return endpoint


def _endpoint(environment: Environment, slug: str, name: str, **fields: Any) -> Endpoint:
    fields["status"] = EndpointStatus.ACTIVE
    endpoint, _ = Endpoint.objects.update_or_create(
        environment=environment, slug=slug, defaults=fields, create_defaults={"name": name, **fields}
    )
    gates.unpause(endpoint)
    return endpoint


def _log_in_with(endpoint: Endpoint, **secrets: str) -> None:
    if endpoint.credentials.secrets != secrets:
        endpoint.credentials.secrets = secrets
        endpoint.credentials.token_expires_at = None
        endpoint.credentials.save()


def _let_post(endpoint: Endpoint, username: str, password: str) -> None:
    if identify(username, password) != endpoint:
        set_password(endpoint, username, password, grace=timedelta(0))


def _entity(endpoint: Endpoint, name: str, kind: EntityKind, remote_name: str) -> None:
    EntityType.objects.get_or_create(
        endpoint=endpoint,
        name=name,
        defaults={"environment": endpoint.environment, "kind": kind, "remote_name": remote_name},
    )

"""Recorded payloads, endpoint configurations and running sandboxes for adapter tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from endpoints.adapters.base import EndpointConfig, EntityConfig, Received
from endpoints.canonical import EntityKind
from endpoints.http import HttpClient, NetworkPolicy
from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.servicenow.application import ServiceNowApp
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options

PAYLOADS = Path(__file__).parent / "payloads"
RECEIVED_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INCIDENT = EntityConfig("incident", EntityKind.INCIDENT, "incident")
ISSUE = EntityConfig("incident", EntityKind.INCIDENT, "Incident")


def payload(name: str) -> dict[str, Any]:
    """A recorded payload by its file name without .json."""
    body: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return body


def received(body: dict[str, Any], **parameters: str) -> Received:
    """A message as the inbound API hands it over; underscores in parameter names stand for dots."""
    return Received(body, {k.replace("__", "."): v for k, v in parameters.items()}, {}, RECEIVED_AT)


def servicenow_config(base_url: str = "https://acme.service-now.example", **changes: Any) -> EndpointConfig:
    """A ServiceNow endpoint with basic authentication and the sandbox's password."""
    values: dict[str, Any] = {
        "id": 1,
        "name": "ServiceNow",
        "base_url": base_url,
        "timezone": ZoneInfo("Etc/GMT+8"),
        "settings": {"auth": "basic", "username": "oneio"},
        "secrets": {"password": "oneio", "client_secret": "oneio-secret"},
        "entities": (
            INCIDENT,
            EntityConfig("change", EntityKind.CHANGE, "change_request"),
            EntityConfig("item", EntityKind.REQUEST, "sc_req_item"),
            EntityConfig("ci", EntityKind.CONFIGURATION_ITEM, "cmdb_ci"),
        ),
    }
    return EndpointConfig(**{**values, **changes})


def jira_config(base_url: str = "https://acme.atlassian.example", **changes: Any) -> EndpointConfig:
    """A Jira Cloud endpoint with an API token; `settings` are added to the usual ones."""
    settings = {"auth": "basic", "email": "integration@example.com", "project": "OPS"}
    values: dict[str, Any] = {
        "id": 2,
        "name": "Jira",
        "base_url": base_url,
        "timezone": ZoneInfo("Europe/Berlin"),
        "secrets": {"api_token": "jira-sandbox-token"},
        "entities": (ISSUE, EntityConfig("task", EntityKind.TASK, "Task")),
    }
    return EndpointConfig(**{**values, **changes, "settings": {**settings, **changes.get("settings", {})}})


@pytest.fixture
def http() -> Iterator[HttpClient]:
    """The product's own client, allowed to reach this machine."""
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    yield client
    client.close()


@pytest.fixture
def servicenow() -> Iterator[ServiceNowApp]:
    """A running sandbox ServiceNow; `base_url` is its address."""
    app = ServiceNowApp(Store(), Options())
    with SandboxServer(app):
        yield app


@pytest.fixture
def jira() -> Iterator[JiraSandbox]:
    """A running sandbox Jira Cloud; `base_url` is its address."""
    app = JiraSandbox(Store())
    with SandboxServer(app):
        yield app

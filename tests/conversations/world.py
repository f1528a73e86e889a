"""A small world for engine tests: simulated ServiceNow and Jira, rules between them, a pump to turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import requests
from django.conf import settings
from django.db.models.functions import Now

from conversations import queue
from conversations.models import Delivery, Message
from conversations.pump import Pump
from endpoints.models import Endpoint
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options, create_app
from oneio import runtime
from oneio.heartbeat import Heartbeat
from routing.models import (
    AttachmentMapping,
    Condition,
    Lookup,
    Mapping,
    RoutingRule,
    RuleVersion,
    TranslationRow,
    TranslationTable,
)
from tests.endpoints.sandbox.conftest import Receiver
from tests.factories import make_endpoint, make_entity_type, make_environment, make_message, make_rule
from tests.patience import PATIENCE, wait_for


def publish(
    source: Endpoint,
    target: Endpoint | None,
    mappings: list[dict[str, Any]] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    attachments: dict[str, Any] | None = None,
    lookups: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> RoutingRule:
    """A published rule between the first entity types of two endpoints."""
    rule = make_rule(source.environment, **fields.pop("rule", {}))
    version = RuleVersion.objects.create(
        rule=rule,
        environment=source.environment,
        number=1,
        source_endpoint=source,
        source_entity=source.entity_types.first(),
        target_endpoint=target,
        target_entity=target.entity_types.first() if target else None,
        **fields,
    )
    for position, row in enumerate(mappings or []):
        fields = {name: value for name, value in row.items() if name != "conditions"}
        mapping = Mapping.objects.create(version=version, position=position, **fields)
        for condition in row.get("conditions", []):
            Condition.objects.create(version=version, mapping=mapping, **condition)
    for position, row in enumerate(conditions or []):
        Condition.objects.create(version=version, position=position, **row)
    for position, row in enumerate(lookups or []):
        Lookup.objects.create(version=version, position=position, **row)
    if attachments is not None:
        AttachmentMapping.objects.create(version=version, **attachments)
    RuleVersion.objects.filter(pk=version.pk).update(published_at=Now(), reason="test")
    rule.current_version = version
    rule.save()
    return rule


def make_table(source: Endpoint, rows: dict[str, str], **fields: Any) -> TranslationTable:
    """A translation table with rows in the order given."""
    table = TranslationTable.objects.create(
        environment=source.environment, **({"name": uuid4().hex} | fields)
    )
    for position, (one, other) in enumerate(rows.items()):
        TranslationRow.objects.create(table=table, position=position, source=one, target=other)
    return table


class Remote:
    """A simulated system under its address."""

    def __init__(self, server: SandboxServer, auth: tuple[str, str]) -> None:
        self.url, self.auth = server.url, auth

    def call(self, method: str, path: str, **options: Any) -> Any:
        """One request as the integration-independent person; JSON or None."""
        options = {"auth": self.auth, "timeout": 10} | options
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, self.url + path, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def records(self, table: str) -> list[dict[str, Any]]:
        """Raw rows, as the system holds them."""
        rows: list[dict[str, Any]] = self.call("GET", f"/_sandbox/records?table={table}")
        return rows

    def fault(self, **fault: Any) -> None:
        """Make the system misbehave; see endpoints.sandbox.faults."""
        self.call("PUT", "/_sandbox/faults", json=[fault])


@contextmanager
def system(kind: str, auth: tuple[str, str]) -> Iterator[Remote]:
    """A simulated system on a free port."""
    with SandboxServer(create_app(kind, Store(None), Options()), "127.0.0.1") as server:
        yield Remote(server, auth)


class Line:
    """ServiceNow and Jira, joined by two rules, with a pump that tests turn by hand."""

    def __init__(self, servicenow: Remote, jira: Remote, ears: Receiver) -> None:
        self.servicenow, self.jira, self.ears = servicenow, jira, ears
        self._heard = 0
        jira.call("PUT", "/_sandbox/receiver", json={"url": f"{ears.base_url}/api"})
        environment = make_environment()
        self.snow = make_endpoint(
            "servicenow",
            environment,
            base_url=servicenow.url,
            settings={"auth": "basic", "username": "oneio"},
            secrets={"password": "oneio"},
        )
        self.jira_endpoint = make_endpoint(
            "jira",
            environment,
            entities=(),
            base_url=jira.url,
            settings={
                "auth": "basic",
                "email": "integration@example.com",
                "project": "OPS",
                "internal_comments": "jsm",
            },
            secrets={"api_token": "jira-sandbox-token"},
        )
        make_entity_type(
            self.jira_endpoint, "incident", name="issue", remote_name="Incident", resolving_value="*"
        )

    def join(self, out: list[dict[str, Any]] | None = None, back: list[dict[str, Any]] | None = None) -> None:
        """Publish the rule out and the rule back."""
        self.out = publish(
            self.snow,
            self.jira_endpoint,
            out or [{"source": "title", "target": "title"}],
        )
        self.back = publish(
            self.jira_endpoint,
            self.snow,
            back or [{"source": "status", "target": "resolution_notes"}],
            operations=["update", "comment"],
        )

    def hear_jira(self) -> list[Message]:
        """Receive what Jira's webhooks have said since the last call, once it has sent them all."""
        wait_for(lambda: all(post["state"] != "waiting" for post in self.jira.records("_outbox")))
        fresh, self._heard = self.ears.bodies[self._heard :], len(self.ears.bodies)
        return [make_message(self.jira_endpoint, json.dumps(body).encode()) for body in fresh]

    @property
    def issue(self) -> dict[str, Any]:
        """The one issue there is, as Jira's version 2 API tells it."""
        [row] = self.jira.records("issue")
        issue: dict[str, Any] = self.jira.call("GET", f"/rest/api/2/issue/{row['id']}")
        return issue

    def comments(self) -> list[str]:
        """The texts of the one issue's comments."""
        found = self.jira.call("GET", f"/rest/api/2/issue/{self.issue['id']}/comment")
        return [comment["body"] for comment in found["comments"]]

    def record(self, sys_id: str) -> dict[str, Any]:
        """An incident as ServiceNow's Table API tells it, values only."""
        found: dict[str, Any] = self.servicenow.call("GET", f"/api/now/table/incident/{sys_id}")["result"]
        return found

    def incident(self, sys_id: str | None = None, operation: str = "insert", **changes: Any) -> Message:
        """A message as ServiceNow's business rule posts it."""
        sys_id = sys_id or uuid4().hex
        comments = changes.pop("comments", [])
        record = {"number": "INC0010001", "short_description": "Core switch drops uplink"} | changes
        if operation == "insert":
            self.servicenow.call("POST", "/api/now/table/incident", json={"sys_id": sys_id, **record})
        body = {
            "entity_type": "incident",
            "operation": operation,
            "sys_id": sys_id,
            "number": record["number"],
            "record": {name: {"value": value, "display_value": value} for name, value in record.items()},
            "changes": list(changes),
            "comments": comments,
        }
        return make_message(self.snow, json.dumps(body).encode())


@contextmanager
def pumping() -> Iterator[Callable[..., None]]:
    """A pump in this process; call it to work until a look begun `patience` seconds after the last work
    finds nothing due."""
    runtime.stop_descriptor = None
    pump = Pump(Heartbeat(str(uuid4())))

    def work(patience: float = 0.3, limit: float = PATIENCE) -> None:
        looked_at = worked_at = began = time.monotonic()
        while looked_at - worked_at < patience and looked_at - began < limit:
            time.sleep(0.002)
            looked_at = time.monotonic()
            if pump._turn() or pump.in_hand or pump.fetching or pump.asker.under_way.total():
                worked_at = time.monotonic()

    try:
        yield work
    finally:
        pump.threads.shutdown(wait=True)
        pump.close()


def states(**filters: Any) -> list[str]:
    """The states of deliveries, oldest first."""
    return list(Delivery.objects.filter(**filters).order_by("id").values_list("state", flat=True))


__all__ = ["Line", "Remote", "make_table", "publish", "pumping", "queue", "settings", "states", "system"]

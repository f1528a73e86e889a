"""One row of every model, for tests that look at all of them."""

from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone

from conversations.models import (
    Attachment,
    AttachmentChunk,
    Attempt,
    Conflict,
    GoldenTicket,
    HourlyCount,
    LookupAnswer,
    Message,
    PayloadView,
    RemoteItem,
    Replay,
    ReplayItem,
)
from endpoints.canonical import CanonicalMessage, EntityKind, Operation, to_json
from endpoints.models import Alert, Endpoint, Reference
from oneio.models import Environment
from routing.models import (
    AttachmentMapping,
    Condition,
    Counter,
    DelayCondition,
    DraftTest,
    Lookup,
    Mapping,
    RoutingRule,
    RuleInForce,
    RuleVersion,
    TranslationRow,
    TranslationTable,
)
from tests.factories import (
    make_delivery,
    make_endpoint,
    make_message,
    make_participant,
    make_receiver_login,
    make_rule,
    unique,
)

HOUSE = ("oneio", "endpoints", "routing", "conversations")
MODELS = [model for app in HOUSE for model in apps.get_app_config(app).get_models()]
TOLD = CanonicalMessage("incident", EntityKind.INCIDENT, Operation.CREATE, "1")
GIVEN = {
    "endpoint": 0, "received_at": "2026-01-01T00:00:00+00:00", "canonical": to_json(TOLD), "trace": {},
    "taken": {}, "next": {}, "tickets": {},
}  # fmt: skip
World = dict[type[models.Model], models.Model]


def build(environment: Environment) -> World:
    """One row of every model that lives in an environment, all linked to each other."""
    endpoint, target = make_endpoint(environment=environment), make_endpoint(environment=environment)
    make_receiver_login(endpoint)
    rule = make_rule(environment)
    version = make_version(rule, endpoint, target)
    table = TranslationTable.objects.create(environment=environment, name=unique("table"))
    counter = Counter.objects.create(environment=environment, name=unique("counter"))
    mapping = Mapping.objects.create(
        version=version, kind="counter", counter=counter, table=table, target="number"
    )
    group = Condition.objects.create(version=version, group="any", mapping=mapping)
    message = make_message(endpoint, conversation=None)
    participant = make_participant(endpoint=endpoint)
    Message.objects.filter(pk=message.pk).update(conversation=participant.conversation)
    message.refresh_from_db()
    delivery = make_delivery(message, target, rule=rule, state="superseded")
    tenant: dict[str, Any] = {"organization_id": environment.organization_id}
    rows: list[models.Model] = [
        endpoint, rule, version, table, message, message.body, participant, participant.conversation,
        delivery, delivery.lane, delivery.content, endpoint.gate, endpoint.credentials, endpoint.inbox,
        endpoint.entity_types.get(), endpoint.receiver_logins.get(), environment,
        GoldenTicket.objects.create(
            environment=environment, rule=rule, name=unique("case"), given=GIVEN, expected={}
        ),
        DraftTest.objects.create(version=version, environment=environment, tested=1, failed=0),
        mapping, counter, RuleInForce.objects.get(rule=rule),
        Condition.objects.create(
            version=version, path="title", operator="exists", parent=group, mapping=mapping
        ),
        DelayCondition.objects.create(version=version, kind="time", seconds=60),
        Lookup.objects.create(
            version=version, name="caller", endpoint=endpoint, entity_type=endpoint.entity_types.get()
        ),
        AttachmentMapping.objects.create(version=version),
        TranslationRow.objects.create(table=table, source="1", target="2"),
        RemoteItem.objects.create(participant=participant, kind="comment", remote_id="1", **tenant),
        Attempt.objects.create(delivery=delivery, rule_version=version, token=1, **tenant),
        Alert.objects.create(environment=environment, endpoint=endpoint, kind="held", what_to_do="Look."),
        file := Attachment.objects.create(
            environment=environment, endpoint=endpoint, message=message,
            conversation=participant.conversation, file_name="log.txt",
        ),
        PayloadView.objects.create(
            environment=environment, person=unique("person"), subject="message", key="1",
            hour=message.received_at,
        ),
        replay := Replay.objects.create(environment=environment, state="planned", planned_at=timezone.now()),
        ReplayItem.objects.create(
            replay=replay, environment=environment, message=message, rule=rule, rule_version=version,
            endpoint=target, part="record", state="queued", finding="send", delivery=delivery,
        ),
        LookupAnswer.objects.create(environment=environment, endpoint=endpoint, fingerprint=b"x", **tenant),
        HourlyCount.objects.create(endpoint=endpoint, environment=environment, hour=timezone.now()),
        AttachmentChunk.objects.create(attachment=file, index=0, last=True, data=b""),
        Conflict.objects.create(
            environment=environment, conversation=participant.conversation, delivery=delivery,
            attribute="title", kept="ours",
        ),
        Reference.objects.create(
            environment=environment, endpoint=endpoint, path="vendor_ticket",
            referenced_endpoint=target, referenced_entity=target.entity_types.get(),
        ),
    ]  # fmt: skip
    return {type(row): row for row in rows}


def make_version(rule: RoutingRule, source: Endpoint, target: Endpoint, **fields: Any) -> RuleVersion:
    """A draft between the entity types of two endpoints."""
    return RuleVersion.objects.create(
        rule=rule,
        environment=rule.environment,
        source_endpoint=source,
        source_entity=source.entity_types.get(),
        target_endpoint=target,
        target_entity=target.entity_types.get(),
        **({"number": 1} | fields),
    )

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
    Delivery,
    GoldenTicket,
    HourlyCount,
    LookupAnswer,
    Message,
    ObservedEntity,
    Participant,
    PayloadView,
    RemoteItem,
    ReplacedTicket,
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
Rows = list[models.Model]


def build(environment: Environment) -> World:
    """One row of every model that lives in an environment, all linked to each other."""
    source = make_endpoint("servicenow", environment)  # which has every page that an endpoint can have
    target = make_endpoint(environment=environment)
    rule = make_rule(environment)
    version = make_version(rule, source, target)
    message = make_message(source, conversation=None)
    participant = make_participant(endpoint=source)
    Message.objects.filter(pk=message.pk).update(conversation=participant.conversation)
    message.refresh_from_db()
    delivery = make_delivery(message, target, rule=rule, state="superseded")
    rows = [
        environment,
        *endpoint_rows(source, target),
        *rule_rows(rule, version),
        *ticket_rows(message, participant, delivery),
        *work_rows(rule, version, message, delivery),
    ]
    return {type(row): row for row in rows}


def endpoint_rows(source: Endpoint, target: Endpoint) -> Rows:
    """What belongs to an endpoint."""
    make_receiver_login(source)
    environment = source.environment
    reference = Reference.objects.create(
        environment=environment, endpoint=source, path="vendor_ticket",
        referenced_endpoint=target, referenced_entity=target.entity_types.get(),
    )  # fmt: skip
    return [
        source, source.gate, source.credentials, source.inbox, source.entity_types.get(),
        source.receiver_logins.get(), reference,
        Alert.objects.create(environment=environment, endpoint=source, kind="held", what_to_do="Look."),
        HourlyCount.objects.create(endpoint=source, environment=environment, hour=timezone.now()),
        LookupAnswer.objects.create(
            environment=environment, organization_id=environment.organization_id, endpoint=source,
            fingerprint=b"x",
        ),
    ]  # fmt: skip


def rule_rows(rule: RoutingRule, version: RuleVersion) -> Rows:
    """What belongs to a rule."""
    environment, source = version.environment, version.source_endpoint
    table = TranslationTable.objects.create(environment=environment, name=unique("table"))
    counter = Counter.objects.create(environment=environment, name=unique("counter"))
    mapping = Mapping.objects.create(
        version=version, kind="counter", counter=counter, table=table, target="number"
    )
    group = Condition.objects.create(version=version, group="any", mapping=mapping)
    return [
        rule, version, table, counter, mapping, RuleInForce.objects.get(rule=rule),
        TranslationRow.objects.create(table=table, source="1", target="2"),
        Condition.objects.create(
            version=version, path="title", operator="exists", parent=group, mapping=mapping
        ),
        DelayCondition.objects.create(version=version, kind="time", seconds=60),
        Lookup.objects.create(
            version=version, name="caller", endpoint=source, entity_type=source.entity_types.get()
        ),
        AttachmentMapping.objects.create(version=version),
    ]  # fmt: skip


def ticket_rows(message: Message, participant: Participant, delivery: Delivery) -> Rows:
    """What belongs to a ticket's life."""
    environment, conversation = message.endpoint.environment, participant.conversation
    tenant: dict[str, Any] = {"organization_id": environment.organization_id}
    file = Attachment.objects.create(
        environment=environment, endpoint=message.endpoint, message=message, conversation=conversation,
        file_name="log.txt",
    )  # fmt: skip
    return [
        message, message.body, participant, conversation, delivery, delivery.lane, delivery.content, file,
        AttachmentChunk.objects.create(attachment=file, index=0, last=True, data=b""),
        RemoteItem.objects.create(participant=participant, kind="comment", remote_id="1", **tenant),
        ReplacedTicket.objects.create(
            environment=environment, conversation=conversation, endpoint=delivery.endpoint,
            entity_type=delivery.entity_type, external_id=unique("old"), delivery=delivery,
        ),
        Conflict.objects.create(
            environment=environment, conversation=conversation, delivery=delivery, attribute="title",
            kept="ours",
        ),
    ]  # fmt: skip


def work_rows(rule: RoutingRule, version: RuleVersion, message: Message, delivery: Delivery) -> Rows:
    """What people and workers leave when they try, prove, repeat and look."""
    environment = rule.environment
    replay = Replay.objects.create(environment=environment, state="planned", planned_at=timezone.now())
    return [
        Attempt.objects.create(
            delivery=delivery, rule_version=version, token=1, organization_id=environment.organization_id
        ),
        GoldenTicket.objects.create(
            environment=environment, rule=rule, name=unique("case"), given=GIVEN, expected={}
        ),
        ObservedEntity.objects.create(
            environment=environment, endpoint=delivery.endpoint, entity_type=delivery.entity_type
        ),
        DraftTest.objects.create(version=version, environment=environment, tested=1, failed=0),
        PayloadView.objects.create(
            environment=environment, person=unique("person"), subject="message", key="1",
            hour=message.received_at,
        ),
        replay,
        ReplayItem.objects.create(
            replay=replay, environment=environment, message=message, rule=rule, rule_version=version,
            endpoint=delivery.endpoint, part="record", state="queued", finding="send", delivery=delivery,
        ),
    ]  # fmt: skip


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

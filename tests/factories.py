"""Rows for tests, with dull defaults: every argument is optional, and names are unique by themselves."""

from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User

from conversations.models import (
    Conversation,
    Delivery,
    DeliveryContent,
    DeliveryState,
    Lane,
    Message,
    MessageBody,
    MessageState,
    Participant,
)
from endpoints.canonical import EntityKind
from endpoints.models import Endpoint, EntityType, ReceiverLogin
from oneio.crypto import keyed_hash
from oneio.models import Environment, EnvironmentKind, Organization
from routing.models import RoutingRule

_number = count(1)


def unique(word: str) -> str:
    """`word` with a number that no other row of this test run has."""
    return f"{word}-{next(_number)}"


def make_organization(name: str = "") -> Organization:
    """An organization with its data key."""
    slug = unique("organization")
    return Organization.objects.create(name=name or slug, slug=slug)


def make_environment(
    organization: Organization | None = None, kind: str = EnvironmentKind.PRODUCTION
) -> Environment:
    """The organization's environment of that kind, made if need be."""
    organization = organization or make_organization()
    return Environment.objects.get_or_create(organization=organization, kind=kind)[0]


def make_endpoint(
    kind: str = "rest",
    environment: Environment | None = None,
    entities: tuple[str, ...] = ("incident",),
    secrets: dict[str, str] | None = None,
    **fields: Any,
) -> Endpoint:
    """An active endpoint with its gate, inbox, credentials and one entity type per kind in `entities`."""
    environment = environment or make_environment()
    slug = fields.pop("slug", None) or unique(kind)
    fields = {"name": slug, "base_url": "https://tickets.example.com"} | fields
    endpoint = Endpoint.objects.create(environment=environment, slug=slug, kind=kind, **fields)
    endpoint.credentials.secrets = secrets or {}
    endpoint.credentials.save()
    for entity in entities:
        make_entity_type(endpoint, entity)
    return endpoint


def make_entity_type(
    endpoint: Endpoint | None = None, kind: str = EntityKind.INCIDENT, **fields: Any
) -> EntityType:
    """An entity type, called as its kind in rules and in the remote system."""
    endpoint = endpoint or make_endpoint(entities=())
    fields = {"name": str(kind), "remote_name": str(kind)} | fields
    return EntityType.objects.create(
        endpoint=endpoint, environment_id=endpoint.environment_id, kind=kind, **fields
    )


def make_receiver_login(
    endpoint: Endpoint | None = None,
    username: str = "",
    password: str = "",
    valid_until: datetime | None = None,
) -> tuple[ReceiverLogin, str]:
    """A receiver login and the password that opens it."""
    endpoint = endpoint or make_endpoint()
    username, password = username or unique("receiver"), password or uuid4().hex
    login = ReceiverLogin.objects.create(
        endpoint=endpoint,
        organization_id=endpoint.organization_id,
        username=username,
        password_hash=keyed_hash("receiver password", username, password),
        token_hash=keyed_hash("receiver token", password),
        valid_until=valid_until,
    )
    return login, password


def make_message(
    endpoint: Endpoint | None = None,
    raw: bytes = b"{}",
    state: str = MessageState.RECEIVED,
    body: dict[str, Any] | None = None,
    **fields: Any,
) -> Message:
    """A received message with its encrypted body; `body` sets more fields of the body row."""
    endpoint = endpoint or make_endpoint()
    if state == MessageState.ROUTED and "conversation" not in fields:
        fields["conversation"] = make_conversation(endpoint.environment)
    content = MessageBody.objects.create(
        organization_id=endpoint.organization_id,
        raw=raw,
        **({"content_type": "application/json"} | (body or {})),
    )
    fields = {"size": len(raw)} | fields
    return Message.objects.create(
        body=content, endpoint=endpoint, environment_id=endpoint.environment_id, state=state, **fields
    )


def make_conversation(environment: Environment | None = None, **fields: Any) -> Conversation:
    """An empty conversation."""
    return Conversation.objects.create(environment=environment or make_environment(), **fields)


def make_participant(
    conversation: Conversation | None = None, endpoint: Endpoint | None = None, **fields: Any
) -> Participant:
    """The ticket of a conversation at an endpoint, with that endpoint's first entity type."""
    conversation = conversation or make_conversation(endpoint.environment if endpoint else None)
    endpoint = endpoint or make_endpoint(environment=conversation.environment)
    fields = {"entity_type": endpoint.entity_types.first(), "external_id": unique("ticket")} | fields
    return Participant.objects.create(
        conversation=conversation, endpoint=endpoint, environment_id=endpoint.environment_id, **fields
    )


def make_rule(environment: Environment | None = None, **fields: Any) -> RoutingRule:
    """A rule without any version; somebody owns it."""
    if "owner" not in fields:
        fields["owner"] = User.objects.get_or_create(username="owner")[0]
    slug = fields.pop("slug", None) or unique("rule")
    return RoutingRule.objects.create(
        environment=environment or make_environment(), slug=slug, **({"name": slug} | fields)
    )


def make_lane(
    conversation: Conversation | None = None, endpoint: Endpoint | None = None, **fields: Any
) -> Lane:
    """A lane of a conversation to an endpoint."""
    conversation = conversation or make_conversation(endpoint.environment if endpoint else None)
    endpoint = endpoint or make_endpoint(environment=conversation.environment)
    return Lane.objects.create(
        conversation=conversation, endpoint=endpoint, environment_id=endpoint.environment_id, **fields
    )


def make_delivery(
    message: Message | None = None,
    endpoint: Endpoint | None = None,
    state: str = DeliveryState.QUEUED,
    snapshot: dict[str, Any] | None = None,
    **fields: Any,
) -> Delivery:
    """A delivery of a routed message to another endpoint, with lane, rule and content."""
    message = message or make_message(state=MessageState.ROUTED)
    conversation = message.conversation or make_conversation(message.environment)
    endpoint = endpoint or make_endpoint(environment=message.environment)
    lane = fields.pop("lane", None) or (
        Lane.objects.filter(conversation=conversation, endpoint=endpoint).first()
        or make_lane(conversation, endpoint)
    )
    content = DeliveryContent.objects.create(organization_id=message.organization_id, snapshot=snapshot or {})
    fields = {"effect_key": uuid4().hex, "entity_type": endpoint.entity_types.first()} | fields
    return Delivery.objects.create(
        message=message,
        conversation=conversation,
        environment_id=message.environment_id,
        endpoint=endpoint,
        lane=lane,
        content=content,
        state=state,
        rule=fields.pop("rule", None) or make_rule(message.environment),
        **fields,
    )

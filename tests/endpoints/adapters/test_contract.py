"""What every registered adapter promises, whatever it speaks to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from endpoints.adapters import ADAPTERS, adapter_for
from endpoints.adapters.base import (
    Action,
    Adapter,
    Capability,
    Command,
    EndpointConfig,
    EntityConfig,
    OutgoingFile,
    Plan,
    Question,
    Reference,
    Unreadable,
)
from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Visibility, from_json, to_json
from endpoints.http import HttpClient
from endpoints.outcomes import Outcome, Result
from tests.endpoints.adapters.conftest import PAYLOADS, payload, received

SECRET = "hunter2-secret"
OPTIONAL_VERBS = {
    Capability.VERIFY: "verify",
    Capability.TOKEN: "acquire_token",
    Capability.FETCH: "fetch",
    Capability.DOWNLOAD: "download",
    Capability.LOOKUP: "find",
}
DECLARATION = """
auth: {kind: oauth2, token_url: /oauth/token}
attributes: {title: subject, description: body, created_at: created}
inbound:
  id: ticket.id
  record: ticket
  occurred_at: ticket.created
operations:
  create: {path: /tickets, body: {ticket: "{{ fields }}", mark: "{{ effect_key }}"}, id: ticket.id}
  update: {path: "/tickets/{{ target.id }}", method: PUT, body: {ticket: "{{ fields }}"}}
  comment: {path: "/tickets/{{ target.id }}/comments", body: {text: "{{ comment.text }}"}}
  write_back: {path: "/tickets/{{ target.id }}", method: PUT, body: {partner: "{{ partner.number }}"}}
  attach: {path: "/tickets/{{ target.id }}/files"}
  find: {path: /tickets, query: {number: "{{ criteria.number }}"}}
  check: {path: /me}
"""
SETTINGS: dict[str, dict[str, str]] = {"rest": {"declaration": DECLARATION}, "servicenow": {"auth": "oauth"}}
PARTNER = Reference("p-1", "P-1", "https://partner.example/P-1")
FILE = OutgoingFile("log.txt", "text/plain", 5, lambda: iter([b"12", b"345"]))
TARGET = Reference("t-1", "T-1", "")

every_adapter = pytest.mark.parametrize("adapter_class", ADAPTERS.values(), ids=ADAPTERS.keys())


def config_for(adapter_class: type[Adapter], base_url: str = "http://127.0.0.1:9") -> EndpointConfig:
    """An endpoint filled in the way a person would: defaults, something in required fields, a secret."""
    plain = {s.name: s.default or "OPS" for s in adapter_class.settings if not s.secret and not s.multiline}
    return EndpointConfig(
        id=1,
        name="Endpoint",
        base_url=base_url,
        timezone=ZoneInfo("UTC"),
        settings={**plain, **SETTINGS.get(adapter_class.kind, {})},
        secrets={setting.name: SECRET for setting in adapter_class.settings if setting.secret},
        entities=entities_of(adapter_class),
        token=SECRET,
    )


def entities_of(adapter_class: type[Adapter]) -> tuple[EntityConfig, ...]:
    return adapter_class.default_entities or (EntityConfig("incident", EntityKind.INCIDENT, "incident"),)


def plans(adapter: Adapter) -> Iterator[Plan]:
    """A plan for every action that the adapter can render."""
    entity = entities_of(type(adapter))[0]
    attributes: dict[str, Any] = {"title": "Mail is down", "description": "Since 09:40\nnobody"}
    comment = Comment("c-1", "Hello", Visibility.PUBLIC)
    yield adapter.render(Command(Action.CREATE, entity, "5f0c9a", None, attributes, partner=PARTNER))
    yield adapter.render(Command(Action.UPDATE, entity, "5f0c9a", TARGET, attributes, partner=PARTNER))
    yield adapter.render(Command(Action.COMMENT, entity, "5f0c9a", TARGET, {}, comment, PARTNER))
    if Capability.WRITE_BACK in adapter.capabilities:
        yield adapter.render(Command(Action.WRITE_BACK, entity, "5f0c9a", TARGET, {}, None, PARTNER))
    if Capability.ATTACH in adapter.capabilities:
        yield adapter.render(Command(Action.ATTACH, entity, "5f0c9a", TARGET, file=FILE))


def recorded(kind: str) -> list[str]:
    return sorted(path.stem for path in PAYLOADS.glob(f"{kind}-*.json"))


RECORDED = [(kind, name) for kind in ADAPTERS for name in recorded(kind)]


@every_adapter
def test_adapter_declares_itself_for_people(adapter_class: type[Adapter]) -> None:
    names = [setting.name for setting in adapter_class.settings]

    assert ADAPTERS[adapter_class.kind] is adapter_class
    assert adapter_class.label
    assert len(names) == len(set(names))
    assert all(setting.label and setting.help for setting in adapter_class.settings)
    assert len({entity.name for entity in adapter_class.default_entities}) == len(
        adapter_class.default_entities
    )


@every_adapter
def test_settings_refer_to_what_exists(adapter_class: type[Adapter]) -> None:
    by_name = {setting.name: setting for setting in adapter_class.settings}

    for setting in adapter_class.settings:
        values = [value for value, _ in setting.choices]
        assert not setting.choices or setting.default in values
        if setting.only_if:
            other, value = setting.only_if
            assert value in [choice for choice, _ in by_name[other].choices]


@every_adapter
def test_capabilities_are_those_it_implements(adapter_class: type[Adapter]) -> None:
    for capability, verb in OPTIONAL_VERBS.items():
        implemented = getattr(adapter_class, verb) is not getattr(Adapter, verb)

        assert implemented == (capability in adapter_class.capabilities), verb


@every_adapter
def test_rendering_twice_gives_the_same_plan(adapter_class: type[Adapter]) -> None:
    adapter = adapter_for(adapter_class.kind, config_for(adapter_class))

    assert list(plans(adapter)) == list(plans(adapter))


@every_adapter
def test_plans_are_json_without_secrets(adapter_class: type[Adapter]) -> None:
    for plan in plans(adapter_for(adapter_class.kind, config_for(adapter_class))):
        for step in plan.steps:
            shown = json.dumps([step.method, step.path, dict(step.query), dict(step.headers), step.body])

            assert SECRET not in shown
            assert step.path.startswith("/")


@every_adapter
def test_creates_and_comments_are_not_repeatable(adapter_class: type[Adapter]) -> None:
    for plan in plans(adapter_for(adapter_class.kind, config_for(adapter_class))):
        assert plan.repeatable == (plan.command.action in (Action.UPDATE, Action.WRITE_BACK))


@every_adapter
def test_unreachable_system_is_an_outcome_without_secrets(
    adapter_class: type[Adapter], http: HttpClient
) -> None:
    adapter = adapter_for(adapter_class.kind, config_for(adapter_class))

    outcomes = [adapter.send(plan, http) for plan in plans(adapter)] + [adapter.check_credentials(http)]

    assert {outcome.result for outcome in outcomes} == {Result.NOT_SENT}
    assert all(SECRET not in repr(outcome) for outcome in outcomes)
    assert all({"method", "path", "query", "body"} <= outcome.request.keys() for outcome in outcomes)


@every_adapter
def test_unanswered_question_is_an_outcome(adapter_class: type[Adapter], http: HttpClient) -> None:
    adapter = adapter_for(adapter_class.kind, config_for(adapter_class))
    question = Question(entities_of(adapter_class)[0], "", {"number": "T-1"})

    answer = adapter.find(question, http)

    assert isinstance(answer, Outcome)
    assert answer.result is Result.NOT_SENT
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(
    "kind", [kind for kind in ADAPTERS if Capability.TOKEN in ADAPTERS[kind].capabilities]
)
def test_unreachable_token_address_is_an_outcome(kind: str, http: HttpClient) -> None:
    adapter = adapter_for(kind, config_for(ADAPTERS[kind]))

    outcome = adapter.acquire_token(http)

    assert adapter.uses_token()
    assert isinstance(outcome, Outcome)
    assert SECRET not in repr(outcome)


@every_adapter
def test_foreign_message_says_what_to_do(adapter_class: type[Adapter]) -> None:
    adapter = adapter_for(adapter_class.kind, config_for(adapter_class))

    with pytest.raises(Unreadable) as caught:
        adapter.read(received({"hello": "world"}))

    assert len(str(caught.value).split()) > 8


@pytest.mark.parametrize(("kind", "name"), RECORDED, ids=[name for _, name in RECORDED])
def test_recorded_payload_survives_storage(kind: str, name: str) -> None:
    message = read_recorded(kind, name)

    stored = json.loads(json.dumps(to_json(message)))

    assert from_json(stored) == message


@pytest.mark.parametrize(("kind", "name"), RECORDED, ids=[name for _, name in RECORDED])
def test_recorded_payload_is_understood(kind: str, name: str) -> None:
    message = read_recorded(kind, name)

    assert message.external_id
    assert message.occurred_at
    assert message.occurred_at.tzinfo
    assert message.native == payload(name)


def read_recorded(kind: str, name: str) -> CanonicalMessage:
    """Read a recorded payload; the parameters are what its sender's address template adds."""
    adapter = adapter_for(kind, config_for(ADAPTERS[kind]))
    selector = entities_of(ADAPTERS[kind])[0].selector
    return adapter.read(received(payload(name), entity_type=selector, issue__id="10007"))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        adapter_for("fax", config_for(next(iter(ADAPTERS.values()))))

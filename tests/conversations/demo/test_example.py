"""The example organization: complete after the first start, and put right at each later one."""

import pytest

from conversations.demo.example import ensure_example
from conversations.demo.example_rules import TO_JIRA, TO_SERVICENOW
from conversations.demo.passwords import Passwords
from conversations.demo.programs import RECEIVERS, Places
from endpoints import gates
from endpoints.models import Endpoint, EntityType, ReceiverLogin
from endpoints.receiver_logins import identify
from oneio.models import Environment, Organization
from routing.models import Mapping, RoutingRule, RuleVersion, TranslationRow
from routing.rules import RuleBook

pytestmark = pytest.mark.django_db

PLACES = Places("http://127.0.0.1:8000", "http://127.0.0.1:8081", "http://127.0.0.1:8082")
MOVED = Places("http://127.0.0.1:8000", "http://127.0.0.1:9081", "http://127.0.0.1:9082")
FIRST = Passwords("a" * 16, "b" * 16, "c" * 16, "d" * 16, "e" * 16, "f" * 16)
SECOND = Passwords("1" * 16, "2" * 16, "3" * 16, "4" * 16, "5" * 16, "6" * 16)
TABLES = (Organization, Environment, Endpoint, EntityType, RoutingRule, RuleVersion, Mapping, TranslationRow)


def counts() -> list[int]:
    """How many rows each table has."""
    return [model._default_manager.count() for model in (*TABLES, ReceiverLogin)]


def test_both_rules_are_in_force() -> None:
    example = ensure_example(PLACES, FIRST)

    rules = RuleBook().of(example.jira.environment_id).routing
    assert [rule.name for rule in rules.candidates(example.servicenow.pk, "incident")] == [TO_JIRA]
    assert [rule.name for rule in rules.candidates(example.jira.pk, "incident")] == [TO_SERVICENOW]


def test_second_start_adds_nothing() -> None:
    ensure_example(PLACES, FIRST)
    before = counts()

    ensure_example(PLACES, FIRST)

    assert counts() == before


def test_moved_systems_are_found_again() -> None:
    ensure_example(PLACES, FIRST)

    example = ensure_example(MOVED, SECOND)

    example.jira.refresh_from_db()
    example.jira.credentials.refresh_from_db()
    assert example.jira.base_url == MOVED.jira
    assert example.jira.credentials.secrets == {"api_token": SECOND.jira}


def test_only_new_receiver_password_opens() -> None:
    ensure_example(PLACES, FIRST)

    example = ensure_example(PLACES, SECOND)

    assert identify(RECEIVERS["jira"], SECOND.receiver_jira) == example.jira
    assert identify(RECEIVERS["jira"], FIRST.receiver_jira) is None


def test_suspended_and_paused_endpoint_works_again() -> None:
    example = ensure_example(PLACES, FIRST)
    gates.suspend(example.jira)
    gates.pause_for_credentials(example.jira.pk)

    ensure_example(PLACES, FIRST)

    example.jira.refresh_from_db()
    example.jira.gate.refresh_from_db()
    assert not example.jira.suspended
    assert example.jira.gate.paused_at is None


def test_disabled_rule_is_switched_on() -> None:
    ensure_example(PLACES, FIRST)
    RoutingRule.objects.update(enabled=False)

    ensure_example(PLACES, FIRST)

    assert not RoutingRule.objects.filter(enabled=False).exists()

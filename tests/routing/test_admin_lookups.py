"""Lookups as rows on a rule's page."""

from __future__ import annotations

from typing import Any

import pytest

from routing.models import Lookup, RoutingRule
from tests.routing.test_admin import change, entered, make_drafted, text_of
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
CRITERIA = '[{"attribute": "email", "template": "{{ reporter }}"}]'


def lookups(rule: RoutingRule, *rows: dict[str, Any]) -> dict[str, Any]:
    """The rule's form with these lookups as new rows."""
    posted: dict[str, Any] = {"routing-lookup-TOTAL_FORMS": len(rows)}
    for number, row in enumerate(rows):
        usual = {
            "name": "caller",
            "endpoint": rule.versions.get().source_endpoint_id,
            "record": "sys_user",
            "mode": "record",
            "criteria": CRITERIA,
            "attributes": "[]",
            "limit": 10,
            "cache_seconds": 300,
            "timeout_seconds": 10,
            "position": number,
        }
        posted |= {f"routing-lookup-{number}-{name}": value for name, value in (usual | row).items()}
    return entered(rule, **posted)


def test_lookup_is_saved_with_the_draft() -> None:
    rule = make_drafted()

    answer = signed_in().post(change(rule), lookups(rule, {}))

    assert answer.status_code == 302
    [lookup] = Lookup.objects.all()
    assert (lookup.version, lookup.name, lookup.record) == (rule.versions.get(), "caller", "sys_user")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"record": ""}, "Choose an entity type or name a record"),
        ({"criteria": '["email"]'}, "Write a list such as"),
        ({"criteria": '[{"attribute": "a", "template": "{{ variables.x }}"}]'}, "before that is known"),
        ({"attributes": '{"a": 1}'}, "Write a list of names"),
        ({"timeout_seconds": 600}, "less than or equal to 60"),
    ],
)
def test_lookup_that_cannot_be_asked_is_refused(wrong: dict[str, Any], said: str) -> None:
    rule = make_drafted()

    answer = signed_in().post(change(rule), lookups(rule, wrong))

    assert said in text_of(answer)
    assert not Lookup.objects.exists()


def test_two_lookups_need_two_names() -> None:
    rule = make_drafted()

    answer = signed_in().post(change(rule), lookups(rule, {}, {"name": "Caller"}))

    assert "Another lookup of this rule has this name" in text_of(answer)
    assert not Lookup.objects.exists()

"""Rules as rows: a published version is frozen by the database, a draft is not, and there is one of it."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from endpoints.models import Endpoint
from routing.models import (
    AttachmentMapping,
    Condition,
    DelayCondition,
    Lookup,
    Mapping,
    RoutingRule,
    RuleVersion,
    TranslationTable,
)
from tests.conversations.world import publish
from tests.factories import make_endpoint, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> Endpoint:
    return make_endpoint()


@pytest.fixture
def published(source: Endpoint) -> RuleVersion:
    """A published version with one condition and one mapping."""
    rule = publish(
        source,
        make_endpoint(environment=source.environment),
        [{"source": "title", "target": "title"}],
        [{"path": "title", "operator": "exists"}],
    )
    assert rule.current_version is not None
    return rule.current_version


def make_draft(rule: RoutingRule, source: Endpoint, **fields: Any) -> RuleVersion:
    """The rule's next version, a draft that drops."""
    own = {"number": 2, "action": "drop"} | fields
    return RuleVersion.objects.create(
        rule=rule,
        environment=rule.environment,
        source_endpoint=source,
        source_entity=source.entity_types.get(),
        **own,
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE routing_ruleversion SET priority = 7 WHERE id = {0}",
        "UPDATE routing_ruleversion SET published_at = NULL WHERE id = {0}",
        "UPDATE routing_ruleversion SET reason = 'another' WHERE id = {0}",
        "DELETE FROM routing_ruleversion WHERE id = {0}",
        "UPDATE routing_condition SET path = 'priority' WHERE version_id = {0}",
        "DELETE FROM routing_condition WHERE version_id = {0}",
        "UPDATE routing_mapping SET target = 'description' WHERE version_id = {0}",
        "DELETE FROM routing_mapping WHERE version_id = {0}",
    ],
)
def test_published_version_cannot_be_changed_by_sql(published: RuleVersion, change: str) -> None:
    with (
        pytest.raises(IntegrityError, match=r"is published and cannot be changed\. Make a new draft"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change.format(published.pk))


@pytest.mark.parametrize(
    "row",
    [
        lambda version: Condition(version=version, path="status", operator="exists"),
        lambda version: Mapping(version=version, source="status", target="status"),
        lambda version: DelayCondition(version=version, kind="time", seconds=60),
        lambda version: AttachmentMapping(version=version),
        lambda version: Lookup(
            version=version, name="caller", endpoint=version.source_endpoint, record="sys_user"
        ),
    ],
)
def test_published_version_gets_no_further_rows(published: RuleVersion, row: Any) -> None:
    with pytest.raises(IntegrityError, match="is published"), transaction.atomic():
        row(published).save()


def test_row_of_a_draft_cannot_move_into_a_published_version(
    published: RuleVersion, source: Endpoint
) -> None:
    draft = make_draft(published.rule, source)
    condition = Condition.objects.create(version=draft, path="status", operator="exists")

    with pytest.raises(IntegrityError, match="is published"), transaction.atomic():
        Condition.objects.filter(pk=condition.pk).update(version=published)


@pytest.mark.parametrize(
    "row",
    [
        lambda version: Condition(version=version, path="status"),
        lambda version: Condition(version=version, group="any", path="status", operator="exists"),
        lambda version: DelayCondition(version=version, kind="time"),
        lambda version: DelayCondition(version=version, kind="variable", path="state"),
        lambda version: Mapping(version=version, kind="counter", target="number"),
        lambda version: Lookup(version=version, name="caller", endpoint=version.source_endpoint),
    ],
)
def test_row_that_says_too_little_is_refused(source: Endpoint, row: Any) -> None:
    draft = make_draft(make_rule(source.environment), source)

    with pytest.raises(IntegrityError, match="check constraint"), transaction.atomic():
        row(draft).save()


def test_account_of_the_publisher_can_be_deleted(source: Endpoint) -> None:
    person = get_user_model().objects.create_user("ada")
    draft = make_draft(make_rule(source.environment), source)
    RuleVersion.objects.filter(pk=draft.pk).update(published_at=Now(), published_by=person, reason="first")

    person.delete()

    draft.refresh_from_db()
    assert draft.published_by is None
    assert draft.reason == "first"


def test_draft_and_its_rows_can_be_changed_and_deleted(published: RuleVersion, source: Endpoint) -> None:
    draft = make_draft(published.rule, source)
    condition = Condition.objects.create(version=draft, path="status", operator="exists")
    Mapping.objects.create(version=draft, category="variable", source="status", target="state")

    draft.priority = 7
    draft.save()
    condition.path = "priority"
    condition.save()

    assert Condition.objects.get(version=draft).path == "priority"
    draft.delete()
    assert list(published.rule.versions.all()) == [published]


def test_rule_has_at_most_one_draft(source: Endpoint) -> None:
    rule = make_rule(source.environment)
    make_draft(rule, source, number=1)

    with pytest.raises(IntegrityError, match="one_draft_per_rule"), transaction.atomic():
        make_draft(rule, source, number=2)


def test_publishing_without_a_reason_is_refused(source: Endpoint) -> None:
    draft = make_draft(make_rule(source.environment), source)

    with pytest.raises(IntegrityError, match="published_version_has_a_reason"), transaction.atomic():
        RuleVersion.objects.filter(pk=draft.pk).update(published_at=Now())


def test_current_version_of_another_rule_is_refused(published: RuleVersion, source: Endpoint) -> None:
    other = make_rule(source.environment)
    RoutingRule.objects.filter(pk=published.rule_id).update(current_version=None)

    with pytest.raises(IntegrityError, match="rule_current_version_is_its_own"), transaction.atomic():
        RoutingRule.objects.filter(pk=other.pk).update(current_version=published)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"action": "route"}, "rule_routes_to_a_target"),
        ({"action": "copy"}, "rule_version_action_is_known"),
        ({"operations": ["create", "explode"]}, "rule_version_operations_are_known"),
    ],
)
def test_version_that_could_not_work_is_refused(
    source: Endpoint, fields: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make_draft(make_rule(source.environment), source, **fields)


def test_rule_back_to_its_own_source_is_refused(source: Endpoint) -> None:
    target = {"target_endpoint": source, "target_entity": source.entity_types.get(), "action": "route"}

    with pytest.raises(IntegrityError, match="rule_target_is_another_endpoint"), transaction.atomic():
        make_draft(make_rule(source.environment), source, **target)


def test_translation_without_a_table_is_refused(source: Endpoint) -> None:
    draft = make_draft(make_rule(source.environment), source)

    with pytest.raises(IntegrityError, match="translation_has_a_table"), transaction.atomic():
        Mapping.objects.create(version=draft, kind="translate", source="priority", target="priority")


def test_rows_take_their_organization_from_what_they_hang_on(source: Endpoint) -> None:
    draft = make_draft(make_rule(source.environment), source)
    table = TranslationTable.objects.create(environment=source.environment, name="Priorities")

    rows = [
        Condition.objects.create(version=draft, path="status", operator="exists"),
        Mapping.objects.create(version=draft, source="status", target="status"),
        table.rows.create(source="1", target="High"),
    ]

    assert {row.organization_id for row in rows} == {source.organization_id}

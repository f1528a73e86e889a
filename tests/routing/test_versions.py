import pytest
from django.db import IntegrityError, transaction

from routing import versions
from routing.compiled import RuleError
from routing.models import (
    AttachmentMapping,
    Condition,
    DelayCondition,
    Lookup,
    Mapping,
    RoutingRule,
    RuleVersion,
)
from tests.factories import make_endpoint, make_environment, make_rule
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db


def make_drafted_rule() -> tuple[RoutingRule, RuleVersion]:
    environment = make_environment()
    source, target = make_endpoint(environment=environment), make_endpoint(environment=environment)
    rule = make_rule(environment)
    draft = versions.save_draft(rule, source.entity_types.get(), target.entity_types.get())
    Mapping.objects.create(version=draft, source="title", target="title")
    return rule, draft


def test_publishing_makes_the_draft_current():
    rule, draft = make_drafted_rule()
    user = make_user()

    version = versions.publish(rule, user, "First one")

    rule.refresh_from_db()
    assert rule.current_version == version == draft
    assert (version.number, version.reason, version.published_by) == (1, "First one", user)
    assert version.published_at is not None


def test_published_version_refuses_changes():
    rule, _ = make_drafted_rule()
    version = versions.publish(rule, make_user(), "First one")

    with pytest.raises(IntegrityError), transaction.atomic():
        Mapping.objects.create(version=version, source="priority", target="priority")


def test_publishing_needs_a_reason():
    rule, _ = make_drafted_rule()

    with pytest.raises(versions.TransitionRefused, match="why"):
        versions.publish(rule, make_user(), "  ")

    assert rule.versions.get().published_at is None


def test_draft_that_cannot_run_stays_draft():
    rule, draft = make_drafted_rule()
    Mapping.objects.create(version=draft, kind="template", template="{{ broken", target="description")

    with pytest.raises(RuleError) as caught:
        versions.publish(rule, make_user(), "First one")

    assert caught.value.field == "template"
    rule.refresh_from_db()
    assert rule.current_version is None


def test_new_draft_copies_the_current_version():
    rule, _ = make_drafted_rule()
    current = versions.publish(rule, make_user(), "First one")

    draft = versions.draft_of(rule)

    assert draft.number == 2
    assert draft.source_entity == current.source_entity
    assert [row.target for row in draft.mappings.all()] == ["title"]
    assert current.mappings.count() == 1


def test_copy_keeps_groups_and_whose_conditions_they_are():
    rule, first = make_drafted_rule()
    mapping = first.mappings.get()
    group = Condition.objects.create(version=first, group="any")
    Condition.objects.create(version=first, parent=group, path="priority", operator="exists")
    Condition.objects.create(version=first, mapping=mapping, path="title", operator="exists")

    draft = versions.copy(rule, "Twin", "twin").versions.get()

    below, own = (draft.conditions.get(path=path) for path in ("priority", "title"))
    assert below.parent == draft.conditions.get(group="any") != group
    assert own.mapping == draft.mappings.get() != mapping


def test_copy_keeps_delays_lookups_and_files():
    rule, first = make_drafted_rule()
    DelayCondition.objects.create(version=first, kind="time", seconds=60)
    criteria = [{"attribute": "email", "template": "{{ message.attributes.caller }}"}]
    source = first.source_endpoint
    Lookup.objects.create(version=first, name="caller", endpoint=source, record="sys_user", criteria=criteria)
    AttachmentMapping.objects.create(version=first, max_bytes=1024)
    versions.publish(rule, make_user(), "First one")

    draft = versions.draft_of(rule)

    assert (draft.delays.get().seconds, draft.lookups.get().record) == (60, "sys_user")
    assert draft.attachment_mapping.max_bytes == 1024
    assert first.delays.count() == first.lookups.count() == 1


def test_second_draft_is_the_first():
    rule, draft = make_drafted_rule()

    assert versions.draft_of(rule) == draft


def test_rule_without_content_has_nothing_to_copy():
    with pytest.raises(versions.TransitionRefused, match="no version"):
        versions.draft_of(make_rule())


def test_earlier_version_can_count_again():
    rule, _ = make_drafted_rule()
    user = make_user()
    first = versions.publish(rule, user, "First one")
    versions.draft_of(rule)
    versions.publish(rule, user, "Second one")

    versions.set_current(rule, first)

    rule.refresh_from_db()
    assert rule.current_version == first


@pytest.mark.parametrize("whose", ["draft", "other rule"])
def test_only_own_published_versions_count(whose):
    rule, draft = make_drafted_rule()
    other, _ = make_drafted_rule()
    foreign = versions.publish(other, make_user(), "Theirs")

    with pytest.raises(versions.TransitionRefused):
        versions.set_current(rule, draft if whose == "draft" else foreign)


def test_discarding_keeps_the_current_version():
    rule, _ = make_drafted_rule()
    version = versions.publish(rule, make_user(), "First one")
    versions.draft_of(rule)

    assert versions.discard(rule)

    assert list(rule.versions.all()) == [version]
    assert not versions.discard(rule)


def test_only_version_cannot_be_discarded():
    rule, draft = make_drafted_rule()

    with pytest.raises(versions.TransitionRefused, match="all there is"):
        versions.discard(rule)

    assert rule.versions.get() == draft


def test_copy_is_switched_off_and_complete():
    rule, _ = make_drafted_rule()

    twin = versions.copy(rule, "Another", "another")

    assert (twin.enabled, twin.environment_id) == (False, rule.environment_id)
    assert [row.target for row in twin.versions.get().mappings.all()] == ["title"]


def test_saving_a_draft_twice_keeps_one():
    rule, draft = make_drafted_rule()

    again = versions.save_draft(rule, draft.source_entity, draft.target_entity, priority=7)

    assert (again.pk, again.priority) == (draft.pk, 7)


def test_publishing_without_draft_is_refused():
    rule, _ = make_drafted_rule()
    versions.publish(rule, make_user(), "First one")

    with pytest.raises(versions.TransitionRefused, match="no draft"):
        versions.publish(rule, make_user(), "Again")


def test_rule_without_version_cannot_be_copied():
    with pytest.raises(versions.TransitionRefused, match="no version"):
        versions.copy(make_rule(), "Another", "another")


def test_rule_without_owner_is_not_published_in_production() -> None:
    rule = make_rule(make_environment(kind="production"), owner=None)
    source, target = make_endpoint(environment=rule.environment), make_endpoint(environment=rule.environment)
    versions.save_draft(rule, source.entity_types.get(), target.entity_types.get())

    with pytest.raises(versions.TransitionRefused, match="needs an owner"):
        versions.publish(rule, None, "First")


def test_rule_without_owner_may_be_tried_in_qa() -> None:
    rule = make_rule(make_environment(kind="qa"), owner=None)
    source, target = make_endpoint(environment=rule.environment), make_endpoint(environment=rule.environment)
    draft = versions.save_draft(rule, source.entity_types.get(), target.entity_types.get())

    assert versions.publish(rule, None, "First") == draft

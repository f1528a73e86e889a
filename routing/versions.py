"""Owns every transition of a rule: draft, publish, which version is current, copy."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from endpoints.models import EntityType
from oneio.models import EnvironmentKind
from routing import proof, rules
from routing.models import (
    AttachmentMapping,
    Condition,
    DelayCondition,
    Lookup,
    Mapping,
    RoutingRule,
    RuleVersion,
)

Row = TypeVar("Row", Condition, Mapping, DelayCondition, Lookup, AttachmentMapping)

CONTENT = (
    "source_endpoint_id",
    "source_entity_id",
    "target_endpoint_id",
    "target_entity_id",
    "message_type",
    "operations",
    "action",
    "priority",
    "write_back",
    "supersede",
)


class TransitionRefused(Exception):
    """This cannot be done with the rule as it is; the text says why and what to do."""


def find_draft(rule: RoutingRule) -> RuleVersion | None:
    """The rule's draft, if it has one."""
    return RuleVersion.objects.filter(rule=rule, published_at=None).first()


def files_of_draft(rule: RoutingRule) -> QuerySet[AttachmentMapping]:
    """The draft's attachment mapping, if it has one."""
    return AttachmentMapping.objects.filter(version__rule=rule, version__published_at=None)


def draft_of(rule: RoutingRule) -> RuleVersion:
    """The rule's draft; a new one, copied from the current version, if there is none.

    Raises TransitionRefused for a rule that has no version to copy.
    """
    with transaction.atomic():
        _lock(rule)
        draft = find_draft(rule)
        if draft is not None:
            return draft
        latest = rule.current_version or rule.versions.order_by("-number").first()
        if latest is None:
            raise TransitionRefused("The rule has no version yet. Say what it takes and where it goes first.")
        return _copied(latest, rule)


def save_draft(
    rule: RoutingRule, source: EntityType, target: EntityType | None, **content: Any
) -> RuleVersion:
    """Write what the draft takes, where it goes and how; makes the rule's first draft if it has none."""
    with transaction.atomic():
        _lock(rule)
        draft = find_draft(rule) or _empty(rule)
        draft.source_entity, draft.source_endpoint = source, source.endpoint
        draft.target_entity, draft.target_endpoint = target, target.endpoint if target else None
        for name, value in content.items():
            setattr(draft, name, value)
        draft.save()
        return draft


def publish(rule: RoutingRule, by: Any, reason: str) -> RuleVersion:
    """Freeze the draft and make it the version that counts, from the next message on.

    Raises TransitionRefused without draft or reason, without the owner that Production asks for, or the test
    that the rule asks for, and compiled.RuleError where the draft cannot run.
    """
    if not reason.strip():
        raise TransitionRefused("Say why: the reason is kept with the version.")
    with transaction.atomic():
        _lock(rule)
        draft = find_draft(rule)
        if draft is None:
            raise TransitionRefused("There is no draft to publish. Make one from the current version first.")
        check_owner(rule)
        rules.load(draft)
        _check_proof(rule, draft)
        RuleVersion.objects.filter(pk=draft.pk).update(
            published_at=Now(), published_by=by, reason=reason.strip()
        )
        draft.refresh_from_db()
        _point(rule, draft)
        return draft


def set_current(rule: RoutingRule, version: RuleVersion) -> None:
    """Let an earlier published version count again. Raises TransitionRefused if it is none of this rule's."""
    if version.rule_id != rule.pk or version.published_at is None:
        raise TransitionRefused("Only a published version of this rule can be the current one.")
    with transaction.atomic():
        _lock(rule)
        _point(rule, version)


def discard(rule: RoutingRule) -> bool:
    """Throw the draft away; the current version stays. True if there was one."""
    with transaction.atomic():
        _lock(rule)
        draft = find_draft(rule)
        if draft is None:
            return False
        if rule.current_version_id is None:
            raise TransitionRefused("This draft is all there is of the rule. Delete the rule instead.")
        draft.delete()
        return True


def copy(rule: RoutingRule, name: str, slug: str) -> RoutingRule:
    """A new, disabled rule of that name, its draft copied from the rule's draft or current version."""
    with transaction.atomic():
        origin = find_draft(rule) or rule.current_version
        if origin is None:
            raise TransitionRefused("The rule has no version to copy.")
        twin = RoutingRule.objects.create(
            environment_id=rule.environment_id,
            organization_id=rule.organization_id,
            name=name,
            slug=slug,
            use_case=rule.use_case,
            owner_id=rule.owner_id,
            enabled=False,
        )
        _copied(origin, twin)
        return twin


def check_owner(rule: RoutingRule) -> None:
    """Raises TransitionRefused if the rule may not work in its environment because nobody answers for it."""
    if rule.owner_id is None and rule.environment.kind == EnvironmentKind.PRODUCTION:
        raise TransitionRefused(
            "In Production a rule needs an owner: the person to ask when it does something wrong. Name one on"
            " the rule's page first."
        )


def _check_proof(rule: RoutingRule, draft: RuleVersion) -> None:
    if rule.test_before_publish and proof.test_of(draft) is None:
        raise TransitionRefused(
            "This rule asks for a test before it is published, and its draft was not tested as it is now."
            " Test it on real messages, look at what would change, then publish."
        )


def _lock(rule: RoutingRule) -> None:
    """One transition of a rule at a time; what others did meanwhile is seen."""
    rule.refresh_from_db(
        fields=["current_version", "owner", "test_before_publish"],
        from_queryset=RoutingRule.objects.select_for_update(of=("self",)),
    )


def _point(rule: RoutingRule, version: RuleVersion) -> None:
    rule.current_version = version
    rule.save(update_fields=["current_version"])


def _empty(rule: RoutingRule) -> RuleVersion:
    return RuleVersion(
        rule=rule,
        number=_next_number(rule),
        environment_id=rule.environment_id,
        organization_id=rule.organization_id,
    )


def _copied(origin: RuleVersion, rule: RoutingRule) -> RuleVersion:
    draft = _empty(rule)
    for name in CONTENT:
        setattr(draft, name, getattr(origin, name))
    draft.save()
    mappings = {row.pk: _copy_row(row, draft) for row in origin.mappings.all()}
    _copy_conditions(origin, draft, mappings)
    for delay in origin.delays.all():
        _copy_row(delay, draft)
    for lookup in origin.lookups.all():
        _copy_row(lookup, draft)
    for files in AttachmentMapping.objects.filter(version=origin):
        _copy_row(files, draft)
    return draft


def _copy_conditions(origin: RuleVersion, draft: RuleVersion, mappings: dict[int, Mapping]) -> None:
    """The conditions with their groups, each below the copy of its parent."""
    copied: dict[int | None, Condition | None] = {None: None}
    waiting = list(origin.conditions.all())
    while ready := [row for row in waiting if row.parent_id in copied]:
        waiting = [row for row in waiting if row.parent_id not in copied]
        for row in ready:
            old = row.pk
            row.parent = copied[row.parent_id]
            row.mapping = mappings[row.mapping_id] if row.mapping_id else None
            copied[old] = _copy_row(row, draft)


def _copy_row(row: Row, draft: RuleVersion) -> Row:
    row.pk = None
    row._state.adding = True
    row.version = draft
    row.save()
    return row


def _next_number(rule: RoutingRule) -> int:
    highest: int | None = rule.versions.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1

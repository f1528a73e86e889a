"""Loads an environment's rules with what is known of their endpoints, and has them checked."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Q

from endpoints.adapters.base import Unreadable, Unrenderable
from endpoints.configs import EndpointConfigs
from endpoints.models import EntityType
from oneio.models import EnvironmentKind
from routing import checks, compiled, rules
from routing.checks import Finding, Observed, Severity, Side, Subject
from routing.models import RoutingRule, RuleVersion

OBSERVERS: list[Callable[[EntityType], Observed]] = []
"""Who can say what messages have shown of an entity type; apps that keep messages add themselves."""


def check_environment(environment_id: int) -> list[Finding]:
    """What is found about the rules in force of an environment: current versions of enabled rules."""
    subjects, broken = _load(environment_id, None)
    return [*broken, *checks.check(subjects)]


def check_draft(rule: RoutingRule) -> list[Finding]:
    """What is found about a rule's draft, or its current version, beside the other rules in force."""
    subjects, broken = _load(rule.environment_id, rule)
    own = [finding for finding in broken if finding.rule_id == rule.pk]
    return [*own, *checks.check(subjects, only=rule.pk)]


def _load(environment_id: int, rule: RoutingRule | None) -> tuple[list[Subject], list[Finding]]:
    wanted = Q(current_of__isnull=False, rule__enabled=True)
    if rule is not None:
        draft = RuleVersion.objects.filter(rule=rule, published_at=None).first()
        wanted = (wanted & ~Q(rule=rule)) | Q(pk=draft.pk if draft else rule.current_version_id)
    sides = _Sides()
    subjects, broken = [], []
    for version in _versions(environment_id, wanted):
        try:
            subjects.append(_subject(version, sides))
        except compiled.RuleError as error:
            broken.append(
                Finding(Severity.ERROR, version.rule_id, version.rule.name, error.field, str(error))
            )
    return subjects, broken


def _versions(environment_id: int, wanted: Q) -> list[RuleVersion]:
    rows = RuleVersion.objects.filter(wanted, environment_id=environment_id).select_related(
        "rule", "environment", "source_entity", "target_entity"
    )
    return list(
        rows.prefetch_related("conditions", "mappings__table__rows", "mappings__counter").order_by(
            "rule__name"
        )
    )


def _subject(version: RuleVersion, sides: _Sides) -> Subject:
    target = version.target_entity
    return Subject(
        rule=rules.load(version),
        source=sides.of(version.source_entity),
        target=sides.of(target) if target else None,
        owned=version.rule.owner_id is not None,
        production=version.environment.kind == EnvironmentKind.PRODUCTION,
    )


class _Sides:
    """What endpoints say of their entity types, asked once each."""

    def __init__(self) -> None:
        self._configs = EndpointConfigs()
        self._known: dict[int, Side] = {}

    def of(self, entity: EntityType) -> Side:
        """The attributes of one entity type, under the names that rules use."""
        if entity.pk not in self._known:
            self._known[entity.pk] = self._describe(entity)
        return self._known[entity.pk]

    def _describe(self, entity: EntityType) -> Side:
        endpoint = self._configs.get(entity.endpoint_id)
        adapter = endpoint.adapter
        configured = next(one for one in endpoint.config.entities if one.name == entity.name)
        try:
            fields = adapter.describe(configured)
        except (Unreadable, Unrenderable):  # a faulty declaration; the endpoint's own page says so
            fields = ()
        named = {field.name: field.choices for field in fields}
        named |= {adapter.attribute_name(field.name): field.choices for field in fields}
        observed = next((observe(entity) for observe in OBSERVERS), Observed())
        return Side(f"{endpoint.name} {entity.name}", named or None, observed)

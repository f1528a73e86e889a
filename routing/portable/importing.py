"""Brings a configuration document into an environment: all of it or nothing, and first as a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction

from endpoints.adapters import ADAPTERS
from endpoints.models import Endpoint, EntityType
from oneio.models import Environment
from routing import rules, versions
from routing.compiled import RuleError
from routing.models import (
    AttachmentMapping,
    Condition,
    Counter,
    DelayCondition,
    Lookup,
    RoutingRule,
    RuleVersion,
    TranslationRow,
    TranslationTable,
)
from routing.models import Mapping as MappingRow
from routing.portable import reading, writing
from routing.portable.companions import COMPANIONS
from routing.portable.differences import Difference, differences
from routing.portable.reading import Document, Problem, Unimportable
from routing.portable.shape import RULE


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one thing of the document: new, changed, same, or kept as it is here."""

    kind: str
    name: str
    fate: str
    differences: tuple[Difference, ...] = ()
    note: str = ""


@dataclass
class Report:
    """What an import does, or would do."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """The same for two reports that say the same: whether what was confirmed is still what happens."""
        return str([(one.kind, one.name, one.fate, list(map(str, one.differences))) for one in self.changes])


@dataclass(frozen=True, slots=True)
class Options:
    """`overwrite_endpoints`: endpoints that exist take over what the document says; otherwise they stay as
    they are here, since addresses differ between QA and Production. `publish`: publish each changed rule."""

    overwrite_endpoints: bool = False
    publish: bool = False
    reason: str = ""
    by: Any = None


def import_document(
    environment: Environment, document: Document, options: Options | None = None, *, trial: bool = False
) -> Report:
    """Write the document's content into the environment and say what changed.

    `trial` writes, looks and takes everything back: its report is what an import finds, database included.
    Raises Unimportable, with nothing written, if anything cannot be brought in; a trial reports it instead.
    """
    work = _Import(environment, options or Options())
    with transaction.atomic():
        work.run(document)
        if trial or work.report.problems:
            transaction.set_rollback(True)
    if work.report.problems and not trial:
        raise Unimportable(work.report.problems)
    return work.report


def write_draft(rule: RoutingRule, node: reading.RuleNode) -> RuleVersion:
    """Make the rule and its draft what the node says, in one transaction. Raises Unimportable."""
    work = _Import(rule.environment, Options())
    with transaction.atomic():
        with work.at(node.place):
            work.identify(rule, node)
            draft = work.draft(rule, node)
        if work.report.problems:
            raise Unimportable(work.report.problems)
    return draft


@dataclass
class _Import:
    environment: Environment
    options: Options
    report: Report = field(default_factory=Report)

    def run(self, document: Document) -> None:
        for endpoint in document.endpoints:
            with self.at(endpoint.place):
                self._endpoint(endpoint)
        for table in document.tables:
            with self.at(table.place):
                self._table(table)
        for rule in document.rules:
            with self.at(rule.place):
                self._rule(rule)
        for section, content in document.beside.items():
            with self.at(section):
                self._beside(section, content)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """What goes wrong inside becomes a problem at this place; the rest is still looked at."""
        try:
            with transaction.atomic():
                yield
        except _Refused as refused:
            self.report.problems += refused.problems
        except ValidationError as error:
            self.report.problems.append(Problem(place, " ".join(error.messages)))
        except RuleError as error:
            self.report.problems.append(Problem(f"{place} ({error.field})", str(error)))
        except versions.TransitionRefused as error:
            self.report.problems.append(Problem(place, str(error)))
        except DatabaseError:
            self.report.problems.append(
                Problem(place, "The database refuses this combination. Compare it with an exported one.")
            )

    def _beside(self, section: str, content: Any) -> None:
        for found in COMPANIONS[section].bring_in(self.environment, content, self.options.by):
            if isinstance(found, Problem):
                self.report.problems.append(found)
            else:
                self.report.changes.append(found)

    def _endpoint(self, node: reading.EndpointNode) -> None:
        _refuse_secrets(node)
        existing = self._all(Endpoint).filter(slug=node.slug).first()
        if existing is None:
            made = self._saved(Endpoint(environment=self.environment, slug=node.slug, **node.fields))
            self._entities(made, node)
            note = "Enter its secrets and give it a receiver password: neither is part of a document."
            self._record("Endpoint", node.slug, {}, writing.endpoint_document(made), note)
            return
        before = writing.endpoint_document(existing)
        if self.options.overwrite_endpoints:
            for name, value in node.fields.items():
                setattr(existing, name, value)
            self._saved(existing)
            self._entities(existing, node)
            self._record("Endpoint", node.slug, before, writing.endpoint_document(_again(existing)))
        else:
            note = "It stays as it is here. Overwrite endpoints to take over what the document says."
            self.report.changes.append(Change("Endpoint", node.slug, "kept", note=note))

    def _entities(self, endpoint: Endpoint, node: reading.EndpointNode) -> None:
        for name, fields in node.entities.items():
            found = EntityType.objects.filter(endpoint=endpoint, name=name).first()
            entity = found or EntityType(endpoint=endpoint, environment=self.environment, name=name)
            for field_name, value in fields.items():
                setattr(entity, field_name, value)
            self._saved(entity)

    def _table(self, node: reading.TableNode) -> None:
        table = self._all(TranslationTable).filter(name=node.name).first()
        before = writing.table_document(table) if table else {}
        table = table or TranslationTable(environment=self.environment, name=node.name)
        for name, value in node.fields.items():
            setattr(table, name, value)
        self._saved(table)
        if before.get("rows") != _rows(node):
            table.rows.all().delete()
            for position, (sources, targets) in enumerate(node.rows):
                self._saved(_row(table, position, sources, targets))
        self._record("Table", node.name, before, writing.table_document(_again(table)))

    def _rule(self, node: reading.RuleNode) -> None:
        existing = self._all(RoutingRule).filter(slug=node.slug).first()
        rule = existing or RoutingRule(environment=self.environment, slug=node.slug)
        before = self._as_it_is(rule)
        was_draft = versions.find_draft(rule) if existing else None
        self.identify(rule, node)
        with transaction.atomic():
            draft = self.draft(rule, node)
            after = writing.rule_document(rule, draft)
            same = bool(before) and not differences(_content(before), _content(after))
            if same:
                transaction.set_rollback(True)
        note = "" if same or was_draft is None else "It replaces the draft that this rule has now."
        if self.options.publish and not same:
            versions.publish(rule, self.options.by, self.options.reason or "Imported")
            note = "It is published."
        self._record("Rule", node.slug, before, after, note)

    def identify(self, rule: RoutingRule, node: reading.RuleNode) -> None:
        """Give the rule the name, label, owner and switch of the document."""
        asked = rule.test_before_publish
        for name, value in node.rule.items():
            setattr(rule, name, value)
        if self.options.publish:  # what counts at once cannot free itself from the test asked for here
            rule.test_before_publish |= asked
        rule.owner = self._owner(node) or rule.owner or self.options.by
        self._saved(rule)

    def draft(self, rule: RoutingRule, node: reading.RuleNode) -> RuleVersion:
        """Give the rule's draft the content of the document, and see that it can run."""
        source = self._entity(node.source, f"{node.place}.from")
        target = self._entity(node.target, f"{node.place}.to") if node.target else None
        draft = versions.save_draft(rule, source, target, **node.version)
        for rows in (draft.conditions, draft.mappings, draft.delays, draft.lookups):
            rows.all().delete()
        AttachmentMapping.objects.filter(version=draft).delete()
        self._conditions(draft, node.conditions)
        for position, mapping in enumerate(node.mappings):
            self._mapping(draft, position, mapping)
        for position, fields in enumerate(node.delays):
            self._saved(DelayCondition(version=draft, position=position, **_of(draft), **fields))
        for position, lookup in enumerate(node.lookups):
            self._lookup(draft, position, lookup)
        if node.attachments is not None:
            self._saved(AttachmentMapping(version=draft, **_of(draft), **node.attachments))
        draft = RuleVersion.objects.get(pk=draft.pk)
        rules.load(draft)
        return draft

    def _conditions(
        self,
        draft: RuleVersion,
        nodes: Sequence[reading.ConditionNode],
        mapping: MappingRow | None = None,
        parent: Condition | None = None,
    ) -> None:
        for position, node in enumerate(nodes):
            place = {"version": draft, "mapping": mapping, "parent": parent, "position": position}
            row = self._saved(Condition(**place, **_of(draft), group=node.group, **node.fields))
            self._conditions(draft, node.below, mapping, row)

    def _mapping(self, draft: RuleVersion, position: int, node: reading.MappingNode) -> None:
        row = MappingRow(
            version=draft,
            position=position,
            table=self._named_table(node),
            counter=self._counter(node),
            environment=self.environment,
            **_of(draft),
            **node.fields,
        )
        self._saved(row)
        self._conditions(draft, node.conditions, row)

    def _lookup(self, draft: RuleVersion, position: int, node: reading.LookupNode) -> None:
        slug, _, name = node.source.partition("/")
        place = f"{node.place}.from"
        entity = self._entity(node.source, place) if name else None
        endpoint = entity.endpoint if entity else self._named_endpoint(slug, place)
        asked = {"version": draft, "endpoint": endpoint, "entity_type": entity, "position": position}
        self._saved(Lookup(**asked, environment=self.environment, **_of(draft), **node.fields))

    def _entity(self, text: str, place: str) -> EntityType:
        slug, _, name = text.partition("/")
        endpoint = self._named_endpoint(slug, place)
        entity = EntityType.objects.filter(endpoint=endpoint, name=name).select_related("endpoint").first()
        if entity is None:
            known = ", ".join(endpoint.entity_types.values_list("name", flat=True)) or "none"
            raise _Refused(
                place,
                f"Endpoint '{slug}' has no entity type '{name}'. Write one that it has: {known}.",
            )
        return entity

    def _named_endpoint(self, slug: str, place: str) -> Endpoint:
        endpoint: Endpoint | None = self._all(Endpoint).filter(slug=slug).first()
        if endpoint is None:
            raise _Refused(
                place,
                f"There is no endpoint '{slug}' in this environment. Create it, or put it into the document.",
            )
        return endpoint

    def _named_table(self, node: reading.MappingNode) -> TranslationTable | None:
        if not node.table:
            return None
        table: TranslationTable | None = self._all(TranslationTable).filter(name=node.table).first()
        if table is None:
            raise _Refused(
                f"{node.place}.table",
                f"There is no table '{node.table}' in this environment. Put it into the document.",
            )
        return table

    def _counter(self, node: reading.MappingNode) -> Counter | None:
        """Counters begin at nothing in each environment: how far one has counted is no configuration."""
        if not node.counter:
            return None
        found: Counter | None = self._all(Counter).filter(name=node.counter).first()
        if found is None:
            found = Counter.objects.create(environment=self.environment, name=node.counter)
        return found

    def _owner(self, node: reading.RuleNode) -> Any:
        if not node.owner:
            return None
        accounts = get_user_model()
        owner = accounts._default_manager.filter(**{accounts.USERNAME_FIELD: node.owner}).first()
        if owner is None:
            self.report.notes.append(
                f"{node.place}.owner: There is no account '{node.owner}' here. Its owner stays, or is whoever"
                " imports it."
            )
        return owner

    def _as_it_is(self, rule: RoutingRule) -> dict[str, Any]:
        if rule.pk is None:
            return {}
        version = rule.current_version or versions.find_draft(rule)
        return writing.rule_document(rule, version) if version else RULE.write(rule)

    def _all(self, model: type[Any]) -> Any:
        return model._default_manager.filter(environment=self.environment)

    def _saved(self, row: Any) -> Any:
        """The row, checked in words and stored."""
        if row.organization_id is None:
            row.organization_id = self.environment.organization_id
        row.full_clean(validate_unique=False)
        row.save()
        return row

    def _record(
        self, kind: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any], note: str = ""
    ) -> None:
        found = tuple(differences(before, after)) if before else ()
        fate = "new" if not before else "changed" if found else "same"
        self.report.changes.append(Change(kind, name, fate, found, note))


class _Refused(Exception):
    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(sentence)
        self.problems = [Problem(place, sentence)]


def _refuse_secrets(node: reading.EndpointNode) -> None:
    """Secrets are kept encrypted, and settings are not."""
    adapter = ADAPTERS.get(node.fields["kind"])
    declared = {setting.name for setting in adapter.settings if setting.secret} if adapter else set()
    if named := sorted(declared & node.fields["settings"].keys()):
        raise _Refused(
            f"{node.place}.settings.{named[0]}",
            "This is a secret, and no document holds one. Take it out, and enter it at the endpoint.",
        )


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a rule's document belongs to its version."""
    return {key: value for key, value in document.items() if key not in (*RULE.fields, "owner")}


def _of(version: RuleVersion) -> dict[str, Any]:
    return {"organization_id": version.organization_id}


def _rows(node: reading.TableNode) -> list[Any]:
    if node.fields["inputs"]:
        return [{"from": list(sources), "to": list(targets)} for sources, targets in node.rows]
    return [[*sources, *targets] for sources, targets in node.rows]


def _row(
    table: TranslationTable, position: int, sources: tuple[str, ...], targets: tuple[str, ...]
) -> TranslationRow:
    row = TranslationRow(table=table, position=position, organization_id=table.organization_id)
    if table.inputs:
        row.sources, row.targets = list(sources), list(targets)
    else:
        row.source, row.target = sources[0], targets[0]
    return row


def _again(row: Any) -> Any:
    """The row as it is stored, without what was loaded with it before."""
    model: type[models.Model] = type(row)
    return model._default_manager.get(pk=row.pk)

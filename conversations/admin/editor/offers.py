"""What the editor offers to choose from: kinds, formatters, operators, tables, counters, people."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Q
from guardian.conf import settings as guardian

from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import Capability
from endpoints.canonical import Operation
from endpoints.models import Endpoint
from oneio import access
from oneio.admin.page import url_of
from routing.admin.condition_forms import operator_choices
from routing.checking import check_draft
from routing.context import ROOTS
from routing.formatters import FORMATTERS
from routing.formatters.documents import DOCUMENTS
from routing.formatters.encodings import ENCODINGS
from routing.formatters.lists import LISTS
from routing.formatters.numbers import NUMBERS
from routing.formatters.patterns import PATTERNS
from routing.formatters.text import TEXT
from routing.formatters.times import TIMES
from routing.models import (
    Counter,
    DelayKind,
    LookupMode,
    MappingKind,
    MissingPolicy,
    OnlyOn,
    Ownership,
    RoutingRule,
    RuleAction,
    TranslationTable,
)
from routing.operators import OPERATORS
from routing.portable import shape, writing

USES = {
    MappingKind.COPY: ["source"],
    MappingKind.CONSTANT: ["constant"],
    MappingKind.TEMPLATE: ["template"],
    MappingKind.APPEND: ["source", "template"],
    MappingKind.TRANSLATE: ["source", "table", "further_sources", "further_targets"],
    MappingKind.MULTI_TO_SINGLE: ["source", "further_sources", "separator"],
    MappingKind.SPLIT: ["source", "further_targets", "separator"],
    MappingKind.COUNTER: ["counter"],
}
"""What each kind of mapping asks for besides its target."""
FAMILIES = (
    ("Text", TEXT),
    ("Patterns", PATTERNS),
    ("Lists", LISTS),
    ("Numbers", NUMBERS),
    ("Times", TIMES),
    ("Documents", DOCUMENTS),
    ("Encodings", ENCODINGS),
)
"""The formatters as they are offered."""
WORDS = {
    MappingKind.COPY: "copy",
    MappingKind.TRANSLATE: "table",
    MappingKind.MULTI_TO_SINGLE: "join",
}
"""Short words for kinds, where a row has no room for the long ones."""


def lists(rule: RoutingRule, user: Any) -> dict[str, Any]:
    """What the page's choices offer."""
    counters = access.beside(rule, Counter)
    return {
        "kinds": [(kind.value, WORDS.get(kind, kind.label.split()[0].lower())) for kind in MappingKind],
        "only_on": [("", "Create and update"), *OnlyOn.choices],
        "missing": MissingPolicy.choices,
        "ownership": Ownership.choices,
        "actions": RuleAction.choices,
        "operations": [(one.value, one.value.capitalize()) for one in Operation],
        "operators": [(title, found) for title, found in operator_choices() if title != "Groups"],
        "delays": DelayKind.choices,
        "formatters": [(family, [(one.name, one.label) for one in found]) for family, found in FAMILIES],
        "counters": list(counters.values_list("name", flat=True)),
        "owners": owners(rule, user),
        "askable": _askable(rule),
        "modes": LookupMode.choices,
        "roots": [f"{root}." for root in ROOTS if root not in ("attributes", "counters", "target")],
        "files": _files(),
    }


def owners(rule: RoutingRule, user: Any) -> list[str]:
    """Whom a person may name as owner: superusers everybody, others themselves; and who it is now."""
    now = [rule.owner.get_username()] if rule.owner else []
    if not user.is_superuser:
        return sorted({user.get_username(), *now})
    active = get_user_model()._default_manager.filter(is_active=True)
    nobody = {guardian.ANONYMOUS_USER_NAME}
    return sorted({*active.values_list(get_user_model().USERNAME_FIELD, flat=True), *now} - nobody)


def _askable(rule: RoutingRule) -> list[tuple[str, list[tuple[str, str]]]]:
    """Whom lookups may ask for what: by endpoint, what is written as `from` and its word."""
    rows = access.beside(rule, Endpoint).prefetch_related("entity_types").order_by("name")
    can = [row for row in rows if Capability.LOOKUP in ADAPTERS[row.kind].capabilities]
    return [
        (
            row.name,
            [(f"{row.slug}/{one.name}", one.name) for one in row.entity_types.all()]
            + [(row.slug, "another record")],
        )
        for row in can
    ]


def _files() -> list[dict[str, Any]]:
    """The fields of an attachment mapping, as the page asks for them."""
    found = []
    for key in shape.FILES.fields:
        field = shape.FILES.field(key)
        kind = {"BooleanField": "flag", "ArrayField": "list"}.get(field.get_internal_type(), "number")
        label = str(field.verbose_name)
        label = label[:1].upper() + label[1:]
        found.append({"key": key, "label": label, "kind": kind, "help": field.help_text})
    return found


def defaults() -> dict[str, Any]:
    """What each sort of row says when it says nothing."""
    kinds = {
        "rule": shape.RULE,
        "version": shape.VERSION,
        "mapping": shape.MAPPING,
        "condition": shape.CONDITION,
        "delay": shape.DELAY,
        "lookup": shape.LOOKUP,
        "files": shape.FILES,
        "table": shape.TABLE,
    }
    found = {name: {key: kind.default(key) for key in kind.fields} for name, kind in kinds.items()}
    found["mapping"] |= {"table": "", "counter": "", "when": []}
    return found


def formatters() -> dict[str, Any]:
    """Every formatter with its arguments, by name."""
    return {
        one.name: {
            "label": one.label,
            "help": one.help,
            "arguments": [
                {"name": a.name, "label": a.label, "type": a.type, "default": a.default, "choices": a.choices}
                for a in one.arguments
            ],
        }
        for one in FORMATTERS.values()
    }


def operators() -> dict[str, Any]:
    """Every operator by name: what stands to its right."""
    return {
        one.name: {"label": one.label, "help": one.help, "takes": one.takes} for one in OPERATORS.values()
    }


def kinds() -> dict[str, Any]:
    """Every kind of mapping: its label and what it asks for."""
    return {kind.value: {"label": kind.label, "uses": USES[kind]} for kind in MappingKind}


def tables(rule: RoutingRule) -> dict[str, Any]:
    """The environment's translation tables as documents, each with how many rules use it now."""
    rows = access.beside(rule, TranslationTable).prefetch_related("rows")
    living = Q(mappings__version__published_at=None) | Q(mappings__version__current_of__isnull=False)
    counted = rows.annotate(rules=Count("mappings__version__rule", filter=living, distinct=True))
    empty = defaults()["table"]
    return {
        row.name: {**empty, **writing.table_document(row), "used": row.rules, "url": url_of(row)}
        for row in counted
    }


def findings(rule: RoutingRule) -> list[dict[str, str]]:
    """What the checks say about the rule as it is saved, errors first."""
    return [
        {"severity": one.severity.value, "field": one.field, "sentence": one.sentence}
        for one in check_draft(rule)
    ]

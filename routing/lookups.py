"""Lookups as data: what a rule wants to know of other systems before it decides; nobody is asked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from endpoints.canonical import Value
from oneio.templating import Template, TemplateError, compile_template
from routing.condition_tree import Node, leaves
from routing.conditions import hold
from routing.context import View, locate
from routing.errors import RuleError

KNOWN_AHEAD = frozenset({"attributes", "codes", "native", "parameters", "message"})
"""The parts of the document that are known before the conversation is: what a question is made of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: records of an entity type, or of what the endpoint calls `record`, in which every
    criterion, (name, text), equals."""

    endpoint_id: int
    entity: str
    record: str
    criteria: tuple[tuple[str, str], ...]
    attributes: tuple[str, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a rule asks an endpoint; `criteria` are (name, template). Raises RuleError."""

    name: str
    endpoint_id: int
    entity: str = ""
    record: str = ""
    many: bool = False
    criteria: tuple[tuple[str, str], ...] = ()
    attributes: tuple[str, ...] = ()
    limit: int = 10
    cache: timedelta = timedelta(seconds=300)
    timeout: timedelta = timedelta(seconds=10)
    templates: tuple[Template, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if not self.criteria:
            raise RuleError("criteria", f"The lookup {self.name} has no criteria. Say what must equal what.")
        object.__setattr__(self, "templates", tuple(_template(*each) for each in self.criteria))

    @property
    def nothing(self) -> Value:
        """What the rule reads where there is no answer."""
        return [] if self.many else {}

    def question(self, seen: View) -> Asked | None:
        """What to ask about this message; None where the message lacks what a criterion needs."""
        try:
            texts = [template.render(seen).strip() for template in self.templates]
        except TemplateError:
            return None
        if not all(texts):
            return None
        criteria = tuple((name, text) for (name, _), text in zip(self.criteria, texts, strict=True))
        limit = self.limit if self.many else 1
        return Asked(self.endpoint_id, self.entity, self.record, criteria, self.attributes, limit)

    def read(self, records: list[Value]) -> Value:
        """The answer as the rule reads it."""
        return records if self.many else (records[0] if records else {})


def may_hold(conditions: Iterable[Node], seen: View) -> bool:
    """Whether conditions can still hold, by those of them that need nothing but the message."""
    return hold(tuple(node for node in conditions if _is_known(node)), seen)


def _is_known(node: Node) -> bool:
    return all(
        leaf.located.root in KNOWN_AHEAD and leaf.compares.kind != "change" for leaf in leaves((node,))
    )


def check_names(lookups: Iterable[Lookup], read: Iterable[str]) -> None:
    """Raises RuleError for a path that reads what no lookup gives."""
    given = {lookup.name.casefold() for lookup in lookups}
    for name in sorted(names_read(read)):
        if name.casefold() not in given:
            raise RuleError(
                "source", f"No lookup is called {name}. Add it to the rule's lookups, or rename it."
            )


def names_read(paths: Iterable[str]) -> set[str]:
    """The names of lookups that paths from the document's top read."""
    steps = (locate(path).steps for path in paths if path.startswith("lookups"))
    return {str(place[1]) for place in steps if place[0] == "lookups" and len(place) > 1}


def answers(lookups: Iterable[Lookup], found: Mapping[str, list[Value]]) -> dict[str, Value]:
    """By name what every lookup of a rule found, nothing for those without an answer."""
    return {one.name: one.read(found[one.name]) if one.name in found else one.nothing for one in lookups}


def _template(name: str, text: str) -> Template:
    try:
        template = compile_template(text)
        roots = {str(locate(path).root) for path in template.names()}
    except (TemplateError, ValueError) as error:
        raise RuleError("criteria", f"{name}: {error}") from None
    if late := sorted(roots - KNOWN_AHEAD):
        raise RuleError(
            "criteria",
            f"{name} reads {', '.join(late)}, but lookups are asked before that is known. Use the message.",
        )
    return template

"""One mapping as a frozen value: what can be built here can be evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from oneio.paths import Path, PathError, compile_path
from oneio.templating import Template, TemplateError, compile_template
from routing.context import locate
from routing.errors import RuleError, choice, readable_path
from routing.short_form import to_liquid
from routing.translation import TranslationTable

MappingKind: TypeAlias = Literal["copy", "constant", "template", "append", "translate"]

MAPPING_KINDS = frozenset({"copy", "constant", "template", "append", "translate"})


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One mapping. Raises RuleError if its kind lacks what it needs, or a path or template is wrong."""

    id: int
    position: int
    kind: MappingKind
    target: str
    source: str = ""
    template: str = ""
    constant: str = ""
    table: TranslationTable | None = None
    located: Path | None = field(init=False, repr=False, compare=False, default=None)
    compiled: Template | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        choice("kind", self.kind, MAPPING_KINDS)
        _check_target(self.target)
        if self.kind == "translate" and self.table is None:
            raise RuleError("table", "A translation needs a table. Choose one.")
        if self.kind == "template" or (self.kind == "append" and not self.source):
            object.__setattr__(self, "compiled", _template(self.template))
        elif self.kind != "constant":
            object.__setattr__(self, "located", readable_path("source", self.source))


def _check_target(target: str) -> None:
    if not target.strip():
        raise RuleError("target", "The mapping has no target. Name the attribute that gets the value.")
    try:
        steps = compile_path(target).steps
    except PathError as error:
        raise RuleError("target", str(error)) from None
    if not steps or not all(isinstance(step, str) for step in steps):
        raise RuleError("target", f"The target '{target}' is not a name. Write title or fields.summary.")


def _template(source: str) -> Template:
    if not source:
        raise RuleError("template", "The mapping has no template. Write one, such as {{ attributes.title }}.")
    try:
        template = compile_template(to_liquid(source))
        for name in template.names():
            locate(name)
        return template
    except (TemplateError, PathError) as error:
        raise RuleError("template", str(error)) from None

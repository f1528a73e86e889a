"""What rules see of a message: one document of named parts, in which attribute names ignore case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from oneio.paths import MAX_CACHED, Path, compile_path

ROOTS: Mapping[str, str] = {
    "attributes": "The ticket's attributes, as people see them",
    "codes": "The values that a system keeps behind what people see, by attribute",
    "native": "The message as it was sent",
    "parameters": "The query parameters of the message's address",
    "message": "operation, external_id, number, entity_type, link, actor and times of the message",
    "comment": "The comment that the message carries; absent without one",
    "conversation": "The conversation variables",
    "participants": "The conversation's tickets, by their endpoint's short name",
    "conversation_state": "is_new, started_at and tickets of the conversation; when routing only",
    "variables": "The runtime variables of this rule",
    "changed": "The attributes that this message changes, with their previous values",
    "target": "The attributes known at the target",
    "lookups": "What the rule's lookups found, by name",
    "counters": "The numbers that this rule took, by counter; when routing only",
}
"""What a path may begin with, and what it means. A path that begins otherwise names an attribute."""
_EXACT_ROOTS = frozenset({"native"})


class FoldedNames(Mapping[str, Any]):
    """A mapping whose names are found whatever their case; a name written exactly comes first."""

    __slots__ = ("_by_folded", "_named")

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._by_folded: dict[str, str] | None = None

    def __getitem__(self, name: str) -> Any:
        if name in self._named:
            return self._named[name]
        if self._by_folded is None:
            self._by_folded = {str(known).casefold(): known for known in self._named}
        return self._named[self._by_folded[str(name).casefold()]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


class View(Mapping[str, Any]):
    """A context document as paths and templates read it: a name that is no part of it is an attribute."""

    __slots__ = ("__weakref__", "_document", "_parts", "found")

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.found: dict[Path, Any] = {}
        self._document = document
        self._parts: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._parts:
            return self._parts[name]
        if name in ROOTS or name in self._document:
            part = self._parts[name] = _folded(name, self._document[name])
            return part
        return self.part("attributes")[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def part(self, name: str) -> Mapping[str, Any]:
        """One named part; empty if the document has none."""
        found = self[name] if name in self._document else None
        return found if isinstance(found, Mapping) else {}


def view(document: Mapping[str, Any]) -> View:
    """The document as a `View`; one that is a view already is given back. Make it once per message."""
    return document if isinstance(document, View) else View(document)


@lru_cache(maxsize=MAX_CACHED)
def locate(text: str) -> Path:
    """The path, from the document's top: `priority` becomes `attributes.priority`. Raises PathError."""
    path = compile_path(text)
    root = (path.root or "").lower()
    return Path((root, *path.steps[1:])) if root in ROOTS else path.under("attributes")


def attribute_of(path: Path) -> str | None:
    """The name of the attribute that a located path reads, or reads from; None if it reads elsewhere."""
    if path.root != "attributes" or len(path.steps) < 2:
        return None
    return path.steps[1] if isinstance(path.steps[1], str) else None


def code_behind(path: Path, context: View) -> str | None:
    """The code that the system keeps behind the attribute at this path, if it told one."""
    name = attribute_of(path)
    if name is None or len(path.steps) != 2:
        return None
    code = context.part("codes").get(name)
    return None if code is None else str(code)


def _folded(name: str, part: Any) -> Any:
    return FoldedNames(part) if isinstance(part, Mapping) and name not in _EXACT_ROOTS else part

"""YAML as people mean it: no aliases, no key twice, and only true, false, null and whole numbers are no text.

So `no` stays a word, `1.10` keeps its zero, and a few lines cannot stand for billions of values.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

MAX_LENGTH = 8 * 1024 * 1024
MAX_NODES = 500_000
"""Values and keys of a document, about ten seconds' reading."""
MAX_DEPTH = 40
"""Each level more makes the reader slower at every step."""


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_OURS = ("is there twice.", "; write it out.", "; divide it.", "; make it flatter.", "; take it out.")


class PlainYamlError(ValueError):
    """The text cannot be read; the sentence says where and why."""


def load(text: str, what: str = "file", longest: int = MAX_LENGTH) -> Any:
    """The document in the text. `what` names it in errors. Raises PlainYamlError."""
    if len(text) > longest:
        raise PlainYamlError(f"The {what} has {len(text)} characters. Shorten it to {longest}.")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader that knows less)
    except yaml.YAMLError as error:
        raise PlainYamlError(f"The {what} is not valid YAML{_place(error)}.{_reason(error)}") from None
    except (ArithmeticError, LookupError, ValueError):
        raise PlainYamlError(f"The {what} is not valid YAML.") from None


def can_be_stored(text: str) -> bool:
    """Whether the database can hold the text: NUL and half characters are in no encoding of it."""
    return _UNSTORABLE.search(text) is None


def dump(document: Any) -> str:
    """The document as text that `load` reads back to the same."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}

    _nodes = 0
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        if self.check_event(yaml.AliasEvent):
            raise self._refused("Aliases are not allowed; write it out.")
        if self._nodes > MAX_NODES:
            raise self._refused(f"There are more than {MAX_NODES} values and keys; divide it.")
        if self._depth == MAX_DEPTH:
            raise self._refused(f"It is nested deeper than {MAX_DEPTH} levels; make it flatter.")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and not can_be_stored(node.value):
            raise self._refused("A text holds a character that cannot be stored; take it out.")
        return node

    def _refused(self, problem: str) -> yaml.composer.ComposerError:
        events: Any = self
        mark = events.peek_event().start_mark if events.check_event() else None
        return yaml.composer.ComposerError(problem=problem, problem_mark=mark)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' is there twice.", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> Any:
    style = "|" if "\n" in text and not re.search(r"[^\S\n]+(\n|$)|\t", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark else ""


def _reason(error: yaml.YAMLError) -> str:
    """Only what this module says itself: the library's own words may quote the text."""
    problem = str(getattr(error, "problem", "") or "")
    return f" {problem}" if problem.endswith(_OURS) else ""


_Dumper.add_representer(str, _text)
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"0|-?[1-9][0-9]*", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))

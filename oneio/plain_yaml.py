"""YAML as people mean it: no aliases, no key twice, and only true, false, null and whole numbers are no text.

So `no` stays a word, `1.10` keeps its zero, and a few lines cannot stand for billions of values.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

MAX_LENGTH = 8 * 1024 * 1024


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
    except (RecursionError, ValueError):
        raise PlainYamlError(f"The {what} is not valid YAML.") from None


def dump(document: Any) -> str:
    """The document as text that `load` reads back to the same."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(problem="Aliases are not allowed; write it out.")
        return super().compose_node(parent, index)

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
    ours = problem.endswith(("is there twice.", "write it out."))
    return f" {problem}" if ours else ""


_Dumper.add_representer(str, _text)
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"0|-?[1-9][0-9]*", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))

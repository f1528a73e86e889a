"""Templates of requests: JSON structures, query values and URL paths filled in from a command's values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from endpoints.adapters.values import text_of
from oneio.paths import MISSING, Path, PathError, compile_path
from oneio.templating import TemplateError, compile_template

_ONE_PATH = re.compile(r"\{\{\s*([^|{}]+?)\s*\}\}")
_OUTPUT = re.compile(r"(\{\{.*?\}\})")


class MissingValue(ValueError):
    """A URL needs a value that there is not."""


def fill(tree: Any, values: Mapping[str, Any]) -> Any:
    """The structure with its templates rendered; MISSING for a lone `{{ path }}` that leads nowhere.

    Keys and list items that are missing are left out. Raises TemplateError.
    """
    if isinstance(tree, Mapping):
        filled = {key: fill(item, values) for key, item in tree.items()}
        return {key: item for key, item in filled.items() if item is not MISSING}
    if isinstance(tree, list):
        return [item for part in tree if (item := fill(part, values)) is not MISSING]
    if not isinstance(tree, str):
        return tree
    if path := _lone_path(tree):
        return path.first(values)
    return compile_template(tree).render(values)


def fill_texts(templates: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """The same for a mapping of texts, such as query parameters: every value as text, nothing left out."""
    return {name: text_of(value) for name, value in fill(templates, values).items() if value is not None}


def fill_url(template: str, values: Mapping[str, Any]) -> str:
    """The path with each `{{ … }}` quoted as one segment or less. Raises MissingValue and TemplateError."""
    parts = _OUTPUT.split(template)
    parts[1::2] = [_segment(part, values) for part in parts[1::2]]
    url = "".join(parts)
    if any(segment in (".", "..") for segment in url.split("/")):
        raise MissingValue(f"The address {template} would lead elsewhere with this ticket's id.")
    return url


def paths_read(*trees: Any) -> Iterator[Path]:
    """Every path that the templates of these structures read."""
    for tree in trees:
        if isinstance(tree, Mapping):
            yield from paths_read(*tree.values())
        elif isinstance(tree, list):
            yield from paths_read(*tree)
        elif isinstance(tree, str):
            path = _lone_path(tree)
            yield from [path] if path else map(compile_path, compile_template(tree).names())


def check_url(template: str) -> None:
    """Raises ValueError with a sentence unless `fill_url` can work with this template."""
    if not template.startswith("/"):
        raise ValueError("must begin with a slash; the host stands in the base URL.")
    literal, outputs = "".join(_OUTPUT.split(template)[::2]), _OUTPUT.findall(template)
    if "{%" in literal or "{{" in literal or "?" in literal or "#" in literal:
        raise ValueError("may hold {{ … }} only; parameters go into query.")
    for output in outputs:
        compile_template(output)


def check_body(tree: Any) -> None:
    """Raises ValueError with a sentence when a template inside the structure cannot be read."""
    for _ in paths_read(tree):
        pass


def _segment(template: str, values: Mapping[str, Any]) -> str:
    text = compile_template(template).render(values)
    if not text:
        raise MissingValue(f"The address needs {template}, which this ticket does not have yet.")
    return quote(text, safe="")


def _lone_path(template: str) -> Path | None:
    match = _ONE_PATH.fullmatch(template)
    try:
        return compile_path(match[1]) if match else None
    except PathError:
        return None


__all__ = [
    "MissingValue",
    "TemplateError",
    "check_body",
    "check_url",
    "fill",
    "fill_texts",
    "fill_url",
    "paths_read",
]

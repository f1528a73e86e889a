"""The short form `${name}` of templates: the value of an attribute, turned into Liquid."""

from __future__ import annotations

import re

from oneio.paths import PathError
from routing.context import locate

_SHORT = re.compile(r"\$\{([^{}\n]{1,200})\}")


def to_liquid(source: str) -> str:
    """The template with every `${name}` as `{{ attributes["name"] }}`. Raises PathError on a wrong name."""
    return _SHORT.sub(lambda found: _expression(found[1].strip()), source)


def _expression(name: str) -> str:
    root, *steps = locate(name).steps
    return "{{ " + str(root) + "".join(f"[{_literal(step, name)}]" for step in steps) + " }}"


def _literal(step: object, name: str) -> str:
    if isinstance(step, int):
        return str(step)
    # Liquid has no escapes, so a name can hold one kind of quote only.
    if isinstance(step, str) and not {'"', "'"} <= set(step):
        return f"'{step}'" if '"' in step else f'"{step}"'
    raise PathError(f"'${{{name}}}' cannot be used in a template. Name a single attribute.")

"""Says conditions in words: 'priority is 1 or 2, and (assignee has a value or status changed)'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from routing.condition_tree import Condition, Group, Node
from routing.operators import OPERATORS

Style = Callable[[str], str]
"""How a path or a value is shown; escapes it where it must be."""

_BETWEEN = {"all": " and ", "any": " or ", "none": " or "}


def in_words(nodes: Sequence[Node], path: Style = str, value: Style = str) -> str:
    """All conditions of a rule as one sentence; 'always' without any."""
    return ", and ".join(node_in_words(node, path, value) for node in nodes) or "always"


def node_in_words(node: Node, path: Style = str, value: Style = str) -> str:
    """One condition, or a group of them in brackets."""
    if isinstance(node, Group):
        return _group(node, path, value)
    return f"{path(node.path)} {_comparison(node, value)}"


def delay_in_words(delay: Mapping[str, Any]) -> str:
    """What a message waits for, of a delay as documents write it."""
    match delay["kind"]:
        case "time":
            return f"{_span(delay['seconds'])} after it was received"
        case "target":
            return "the target's ticket is known"
    values = delay.get("values") or [delay.get("value", "")]
    told = [delay["variable"], OPERATORS[delay["operator"]].label, " or ".join(filter(None, values))]
    return " ".join(filter(None, told))


def _span(seconds: int) -> str:
    sizes = ((86400, 10**9, "d"), (3600, 24, "h"), (60, 60, "min"), (1, 60, "s"))
    numbers = ((seconds // size % whole, unit) for size, whole, unit in sizes)
    return " ".join(f"{number} {unit}" for number, unit in numbers if number)


def _group(group: Group, path: Style, value: Style) -> str:
    members = _BETWEEN[group.kind].join(node_in_words(member, path, value) for member in group.members)
    return f"not ({members})" if group.kind == "none" else f"({members})"


def _comparison(condition: Condition, value: Style) -> str:
    label = condition.compares.label
    match condition.compares.takes:
        case "value":
            return f"{label} {value(condition.value)}"
        case "values":
            return f"{label} {_listed(condition, value)}"
        case "pair":
            first, second = (value(one) if one.strip() else "anything" for one in condition.values)
            return (
                f"{label.replace('…', first)} {second}" if "…" in label else f"{label} {first} and {second}"
            )
    return label


def _listed(condition: Condition, value: Style) -> str:
    word = " and " if condition.operator.endswith("_all") else " or "
    return word.join(value(one) for one in condition.values)

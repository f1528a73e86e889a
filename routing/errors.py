"""What makes a rule impossible to run, said beside the field to correct; and the checks that parts share."""

from __future__ import annotations

from collections.abc import Collection

from oneio.paths import Path, PathError
from routing.context import locate


class RuleError(ValueError):
    """A rule that cannot be run. `field` names what to correct; the message is a sentence for its author."""

    def __init__(self, field_name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field_name


def choice(field_name: str, value: str, known: Collection[str]) -> None:
    """Raises RuleError if the value is not among those known."""
    if value not in known:
        raise RuleError(field_name, f"'{value}' is not a choice. Choose one of {', '.join(sorted(known))}.")


def readable_path(field_name: str, text: str) -> Path:
    """The path, from the document's top. Raises RuleError if it cannot be read."""
    try:
        return locate(text)
    except PathError as error:
        raise RuleError(field_name, str(error)) from None

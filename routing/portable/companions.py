"""What other apps add to a configuration document: each a section of its own, written only when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from oneio.models import Environment
from routing.models import RoutingRule

if TYPE_CHECKING:
    from routing.portable.importing import Change
    from routing.portable.reading import Problem

GOLDEN = "golden"
"""The section of golden tickets. It holds what real tickets said: only for those who may read that."""


class Companion(Protocol):
    """Writes and reads one section."""

    def write(self, rules: Iterable[RoutingRule]) -> dict[str, Any]:
        """What goes with these rules of one environment, by the rule's slug."""

    def bring_in(self, environment: Environment, content: Any, by: Any) -> Iterator[Change | Problem]:
        """Write the section's content into the environment, whose rules are there by now. In a transaction,
        which is taken back if anything cannot be brought in."""


COMPANIONS: dict[str, Companion] = {}
"""Section → who writes and reads it; apps add themselves when they are ready."""


def with_golden(document: dict[str, Any], rules: Iterable[RoutingRule]) -> dict[str, Any]:
    """The document with the golden tickets of these rules."""
    return {**document, GOLDEN: COMPANIONS[GOLDEN].write(rules)}

"""What a person may do to deliveries, with the words that are read before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from conversations import deliveries as verbs
from conversations.models import Delivery, DeliveryState


@dataclass(frozen=True, slots=True)
class Verb:
    """Something a person does to deliveries that are in one of `states`.

    `consequence` is read before it is done, `done` after.
    """

    name: str
    label: str
    do: Callable[[Iterable[Delivery]], int]
    states: frozenset[str]
    consequence: str
    done: str


_STOPPABLE = frozenset(
    {DeliveryState.DELAYED, DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.VERIFYING}
)
VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "retry",
            "Retry",
            verbs.retry,
            frozenset({DeliveryState.HELD, DeliveryState.QUEUED}),
            "Each is sent again with the rule's current version as soon as its ticket's turn comes. One of "
            "which nobody can say whether it arrived may then exist twice at its target, and is marked so.",
            "will be sent again",
        ),
        Verb(
            "repeat",
            "Retry as it was",
            verbs.repeat,
            frozenset({DeliveryState.HELD, DeliveryState.QUEUED}),
            "Each is sent again with the version of the rule that its last try used, not the current one. "
            "One of which nobody can say whether it arrived may then exist twice at its target, and is "
            "marked so.",
            "will be sent again as it was",
        ),
        Verb(
            "skip",
            "Skip",
            verbs.skip,
            _STOPPABLE,
            "They will never be sent. Later messages of the same tickets go on without them. "
            "This cannot be undone.",
            "skipped",
        ),
        Verb(
            "cancel",
            "Cancel",
            verbs.cancel,
            _STOPPABLE,
            "They will never be sent, and are marked as cancelled. Later messages of the same tickets go on. "
            "This cannot be undone.",
            "cancelled",
        ),
    )
}

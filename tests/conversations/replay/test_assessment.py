"""What sending something once more would do is judged without a database."""

import pytest

from conversations.models import DeliveryState, HoldReason, ReplayFinding
from conversations.replay.assessment import (
    SENT,
    Change,
    Earlier,
    Later,
    Wishes,
    changes_of,
    everything_in,
    standing,
)
from endpoints.canonical import CanonicalMessage, EntityKind, Operation, Value
from routing.changes import Shadow


def told(**attributes: Value) -> CanonicalMessage:
    return CanonicalMessage(
        "incident", EntityKind.INCIDENT, Operation.UPDATE, "a", attributes=attributes, codes={}
    )


@pytest.mark.parametrize("state", ["delayed", "queued", "sending", "verifying"])
def test_what_is_on_its_way_stays_alone(state: str) -> None:
    earlier = [Earlier(DeliveryState.DELIVERED), Earlier(state)]

    assert standing(earlier) == ReplayFinding.UNDER_WAY


@pytest.mark.parametrize(
    "earlier",
    [
        Earlier(DeliveryState.DELIVERED),
        Earlier(DeliveryState.CANCELLED, unsure=True),
        Earlier(DeliveryState.HELD, HoldReason.UNKNOWN),
    ],
)
def test_what_may_have_arrived_is_a_duplicate(earlier: Earlier) -> None:
    assert standing([Earlier(DeliveryState.SKIPPED), earlier]) == ReplayFinding.DUPLICATE


@pytest.mark.parametrize(
    "earlier",
    [
        Earlier(DeliveryState.SKIPPED),
        Earlier(DeliveryState.CANCELLED),
        Earlier(DeliveryState.SUPERSEDED),
        Earlier(DeliveryState.HELD, HoldReason.REFUSED),
        Earlier(DeliveryState.HELD, HoldReason.CRASHED, unsure=True),  # it is looked up first
    ],
)
def test_what_never_arrived_is_sent(earlier: Earlier) -> None:
    assert standing([earlier]) == ReplayFinding.SEND


def test_what_was_never_tried_is_sent() -> None:
    assert standing([]) == ReplayFinding.SEND


def test_value_told_since_is_newer() -> None:
    shadow = Shadow(known={"title": "Corrected"})

    assert changes_of(shadow, {"title": "Old"}, Later(told={"title"})) == [
        Change("title", "Corrected", "Old", newer_there=True)
    ]


def test_value_written_from_later_message_is_newer() -> None:
    shadow = Shadow(known={"title": "B", "priority": "1"}, written={"title": "B"})

    found = changes_of(shadow, {"title": "A", "priority": "2"}, Later(written=True))

    assert [one.newer_there for one in found] == [True, False]


def test_value_known_before_is_not_newer() -> None:
    shadow = Shadow(known={"title": "B"}, written={"title": "B"})

    assert not changes_of(shadow, {"title": "A"}, Later())[0].newer_there


def test_same_value_is_never_newer() -> None:
    shadow = Shadow(known={"title": "A"})

    assert not changes_of(shadow, {"title": "A "}, Later(told={"title"}))[0].newer_there


@pytest.mark.parametrize(
    ("finding", "overwrites", "anew", "overwrite", "sent"),
    [
        (ReplayFinding.SEND, False, False, False, True),
        (ReplayFinding.SEND, True, False, False, False),
        (ReplayFinding.SEND, True, True, False, False),
        (ReplayFinding.SEND, True, False, True, True),
        (ReplayFinding.DUPLICATE, False, False, True, False),
        (ReplayFinding.DUPLICATE, False, True, False, True),
        (ReplayFinding.DUPLICATE, True, True, False, False),
        (ReplayFinding.DUPLICATE, True, True, True, True),
    ],
)
def test_only_what_was_chosen_is_sent(
    finding: str, overwrites: bool, anew: bool, overwrite: bool, sent: bool
) -> None:
    assert Wishes(anew, overwrite).include(finding, overwrites=overwrites) is sent


@pytest.mark.parametrize("finding", sorted(set(ReplayFinding) - SENT))
def test_what_cannot_be_sent_is_left_out(finding: str) -> None:
    assert not Wishes(create_anew=True, overwrite_newer=True).include(finding, overwrites=False)


def test_everything_may_count_as_new() -> None:
    assert everything_in(told(title="Down", priority="")) == {"title": None}

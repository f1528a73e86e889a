"""Both sides changed the same attribute: the mapping decides, a person sees it and may decide otherwise."""

from collections.abc import Iterator

import pytest
from django.urls import reverse

from conversations import queue
from conversations.deliveries import take
from conversations.models import Conflict, ConflictSide, Conversation, Delivery
from tests.conversations.desk import BAD_DATA, Office, office
from tests.conversations.workers import other_worker, wait_for_waiting
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def both_change(place: Office, ownership: str = "source", back: bool = False) -> Delivery:
    """A title that is First on both sides, then Theirs at the target, then Ours at the source."""
    place.rule({"source": "title", "target": "title", "ownership": ownership})
    place.first(title="First")
    place.deliver()
    place.say("1", endpoint=place.target, operation="update", title="Theirs")
    place.route()
    place.desk.tickets["1"]["title"] = "Theirs"
    delivery = place.first(operation="update", title="Theirs" if back else "Ours")
    if back:
        place.deliver()
        delivery = place.first(operation="update", title="Ours")
    place.deliver()
    delivery.refresh_from_db()
    return delivery


def title(place: Office) -> str:
    return str(place.desk.tickets["1"]["title"])


@pytest.mark.parametrize(
    ("ownership", "expected", "state", "kept"),
    [
        ("source", "Ours", "delivered", ["ours"]),
        ("target", "Theirs", "skipped", []),
        ("newest", "Theirs", "skipped", ["theirs"]),
        ("append", "Theirs\nOurs", "delivered", []),
    ],
)
def test_mapping_decides_whose_value_counts(
    place: Office, ownership: str, expected: str, state: str, kept: list[str]
) -> None:
    delivery = both_change(place, ownership)

    assert (title(place), delivery.state) == (expected, state)
    assert list(Conflict.objects.values_list("kept", flat=True)) == kept


def test_value_that_the_source_got_is_no_conflict(place: Office) -> None:
    both_change(place, back=True)

    assert title(place) == "Ours"
    assert not Conflict.objects.exists()


def test_refused_delivery_records_no_conflict(place: Office) -> None:
    place.rule({"source": "title", "target": "title"})
    place.first(title="First")
    place.deliver()
    place.say("1", endpoint=place.target, operation="update", title="Theirs")
    place.route()
    place.desk.answers.append(BAD_DATA)
    place.first(operation="update", title="Ours")

    place.deliver()

    assert not Conflict.objects.exists()


@pytest.mark.parametrize(("side", "expected"), [("theirs", "Theirs"), ("ours", "Ours")])
def test_person_may_choose_either_value(place: Office, side: str, expected: str) -> None:
    both_change(place)
    conflict = Conflict.objects.get()

    client = signed_in()
    client.post(reverse("admin:conversations_conflict_choose", args=[conflict.pk, side]))
    place.deliver()

    conflict.refresh_from_db()
    assert title(place) == expected
    assert (conflict.resolution, conflict.resolved_by is not None) == (side, True)


def test_conflict_is_decided_once(place: Office) -> None:
    both_change(place)
    conflict = Conflict.objects.get()

    first, second = (take(conflict, ConflictSide.THEIRS, None) for _ in range(2))

    assert (first is not None, second) == (True, None)
    assert Delivery.objects.filter(anew__gt=0).count() == 1


def test_page_shows_both_values(place: Office) -> None:
    delivery = both_change(place)

    address = reverse("admin:conversations_conversation_change", args=[delivery.conversation_id])
    page = signed_in().get(f"{address}?tab=conflicts")

    html = page.content.decode()
    assert "Theirs" in html
    assert f"Take that of {place.target.name}" in html


def test_values_that_were_deleted_cannot_be_chosen(place: Office) -> None:
    delivery = both_change(place)
    delivery.content.contested = None
    delivery.content.save()

    assert take(Conflict.objects.get(), ConflictSide.OURS, None) is None


def test_choice_locks_the_conversation_before_its_lane(place: Office) -> None:
    delivery = both_change(place)
    conflict = Conflict.objects.get()

    with other_worker() as retention, other_worker() as person:
        retention.begin()
        whole = Conversation.objects.select_for_update().filter(pk=delivery.conversation_id)
        retention.do(lambda: whole.get())
        taken = person.start(lambda: take(conflict, ConflictSide.THEIRS, None))
        wait_for_waiting()
        retention.do(lambda: queue.lock_lanes([delivery.lane_id]))  # a deadlock if it had the lane
        retention.commit()
        assert taken.result(10) is not None

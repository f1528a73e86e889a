"""Files that rules had sent to a ticket follow once to the one that a replay makes in its place."""

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from conversations import deliveries
from conversations.attachments import IncomingFile, take_in
from conversations.ingest import Arrival
from conversations.models import Attachment, Delivery, DeliveryState, Message, ReplayFinding
from conversations.replay import lifecycle
from conversations.replay.assessment import Wishes
from endpoints.adapters.base import Action
from routing.models import RoutingRule
from tests.conversations.desk import BAD_DATA, Office, office
from tests.conversations.replay.rehearsals import change_rule, findings, item_states, make_plan, run
from tests.conversations.replay.test_running import delivered, dies_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


def with_file(place: Office) -> Message:
    """A ticket that has arrived, and after it a file."""
    message = delivered(place, attachments={"from_conversation": True})
    attach(place)
    return message


def attach(place: Office, name: str = "trace.log") -> Message:
    """A file of the ticket comes in and is sent on."""
    entity = place.source.entity_types.get().name
    file = IncomingFile(entity, "a", name, "text/plain", iter([b"content"]))
    told = take_in(place.source, Arrival(b"", "application/json"), file).message
    place.route()
    place.deliver()
    assert told is not None
    return told


def deliver_all(place: Office) -> None:
    """Deliver until nothing waits for the target."""
    while Delivery.objects.filter(endpoint=place.target, state=DeliveryState.QUEUED).exists():
        place.deliver()


def test_files_of_the_old_ticket_follow_without_their_messages(place: Office) -> None:
    message = with_file(place)

    replay = run(make_plan(place, message, tickets="new"))
    deliver_all(place)

    assert [finding for _, finding in findings(replay)] == ["anew", "send"]
    assert place.desk.files == [("1", "trace.log"), ("2", "trace.log")]
    assert place.desk.requests[-2:] == [Action.CREATE, Action.ATTACH]


def test_file_that_follows_stands_with_the_message_that_brought_it(place: Office) -> None:
    message = delivered(place, attachments={})
    told = attach(place)

    run(make_plan(place, message, tickets="new"))

    first, again = Delivery.objects.filter(message=told).order_by("pk")
    assert (first.anew, again.anew, again.part) == (0, 1, first.part)
    assert first.effect_key != again.effect_key


def test_file_whose_message_is_chosen_too_follows_once(place: Office) -> None:
    message = delivered(place, attachments={"from_conversation": True})
    told = attach(place)

    replay = run(make_plan(place, message, told, tickets="new"))
    deliver_all(place)

    found = [finding for part, finding in findings(replay) if part != "record"]
    assert found == ["send", "under_way"]
    assert place.desk.files == [("1", "trace.log"), ("2", "trace.log")]


def test_file_follows_to_each_further_new_ticket(place: Office) -> None:
    message = with_file(place)

    for _ in range(2):
        run(make_plan(place, message, tickets="new"))
        deliver_all(place)

    assert [ticket for ticket, _ in place.desk.files] == ["1", "2", "3"]


def test_files_follow_once_whichever_statement_kills_it(place: Office) -> None:
    replay = make_plan(place, with_file(place), tickets="new")
    lifecycle.start(replay, Wishes(), None)

    deaths = 0
    while dies_at(deaths + 1, replay):
        deaths += 1
        assert item_states(replay) == ["planned", "planned"]
    deliver_all(place)

    assert deaths > 20
    assert place.desk.files == [("1", "trace.log"), ("2", "trace.log")]


def test_file_that_its_rule_takes_no_more_stays(place: Office) -> None:
    message = with_file(place)
    change_rule(RoutingRule.objects.get())

    replay = make_plan(place, message, tickets="new")

    assert [part for part, _ in findings(replay)] == ["record"]


def test_file_follows_by_the_rule_of_then(place: Office) -> None:
    message = with_file(place)
    change_rule(RoutingRule.objects.get())

    run(make_plan(place, message, tickets="new", rules="ran"))
    deliver_all(place)

    assert place.desk.files == [("1", "trace.log"), ("2", "trace.log")]


def test_file_whose_rule_is_off_stays(place: Office) -> None:
    with_file(place)
    carrying = RoutingRule.objects.get()
    place.rule()
    RoutingRule.objects.filter(pk=carrying.pk).update(enabled=False)

    replay = make_plan(place, Message.objects.earliest("pk"), tickets="new")

    assert findings(replay) == [("record", ReplayFinding.ANEW)]


def test_files_stay_when_no_new_ticket_is_made(place: Office) -> None:
    replay = make_plan(place, with_file(place), tickets="new")
    late = place.say(title="Worse", operation="update")
    place.route()
    deliveries.hold(Delivery.objects.filter(message=late))

    run(replay)

    assert findings(replay)[1][1] == ReplayFinding.TICKET_CHANGED
    assert place.desk.files == [("1", "trace.log")]


def test_deleted_file_stays(place: Office) -> None:
    message = with_file(place)
    Attachment.objects.update(emptied_at=Now())

    replay = make_plan(place, message, tickets="new")

    assert [part for part, _ in findings(replay)] == ["record"]


def test_second_plan_brings_no_files(place: Office) -> None:
    message = with_file(place)
    one, other = (make_plan(place, message, tickets="new") for _ in range(2))

    run(one)
    run(other)
    deliver_all(place)

    assert item_states(other) == ["left_out"] * 2
    assert other.items.get(part__startswith="file").finding == ReplayFinding.TICKET_CHANGED
    assert place.desk.files == [("1", "trace.log"), ("2", "trace.log")]


@pytest.mark.parametrize("give_up", [deliveries.skip, deliveries.cancel])
def test_given_up_ticket_leaves_the_old_one_with_one_file(place: Office, give_up: object) -> None:
    message = with_file(place)
    place.desk.answers.append(BAD_DATA)
    run(make_plan(place, message, tickets="new"))
    place.deliver()

    give_up(Delivery.objects.filter(state=DeliveryState.HELD))  # type: ignore[operator]
    attach(place, "late.log")

    assert place.desk.files == [("1", "trace.log"), ("1", "late.log")]
    assert list(Delivery.objects.filter(anew=1, part__startswith="file").values_list("state")) == [
        ("cancelled",)
    ]

"""A replay makes a new ticket in place of another only where that was chosen, and once whatever dies."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.admin.models import LogEntry

from conversations import deliveries
from conversations.models import (
    REPLACED,
    Conversation,
    Delivery,
    DeliveryState,
    Lane,
    Message,
    Participant,
    RemoteItem,
    ReplacedTicket,
    Replay,
    ReplayFinding,
)
from conversations.replay import lifecycle
from conversations.replay.assessment import Wishes
from conversations.resync import CannotResync, resync
from oneio.admin.page import url_of
from tests.conversations.desk import BAD_DATA, Office, office
from tests.conversations.replay.rehearsals import (
    EVERYTHING,
    findings,
    go_on,
    item_states,
    make_plan,
    run,
)
from tests.conversations.replay.test_running import delivered, dies_at
from tests.conversations.test_references import refer
from tests.conversations.workers import PAST, at_once
from tests.factories import make_endpoint
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


def renewed(place: Office, *messages: Message) -> Replay:
    """A replay that makes new tickets, delivered."""
    replay = run(make_plan(place, *messages, tickets="new"))
    for _ in messages:
        place.deliver()
    return replay


def side(place: Office) -> Participant:
    return Participant.objects.get(endpoint=place.target)


def test_plan_says_which_ticket_gets_another_in_its_place(place: Office) -> None:
    message = delivered(place)

    replay = make_plan(place, message, tickets="new")

    item = replay.items.get()
    assert (item.finding, item.replaces, item.replaces_number) == (ReplayFinding.ANEW, "1", "T-1")
    assert item.contents["action"] == "create"
    assert side(place).external_id == "1"


def test_new_ticket_is_made_in_place_of_the_old(place: Office) -> None:
    message = delivered(place)

    renewed(place, message)

    assert list(place.desk.tickets) == ["1", "2"]
    assert (side(place).external_id, side(place).number) == ("2", "T-2")
    assert ReplacedTicket.objects.get().external_id == "1"


def test_usual_replay_makes_no_new_ticket(place: Office) -> None:
    message = delivered(place)

    run(make_plan(place, message), create_anew=True)
    place.deliver()

    assert list(place.desk.tickets) == ["1"]
    assert not ReplacedTicket.objects.exists()


def test_number_of_new_ticket_is_written_back(place: Office) -> None:
    message = delivered(place)
    place.deliver(place.source)

    renewed(place, message)
    place.deliver(place.source)

    assert place.desk.tickets["a"]["partner"] == "T-2"


def test_later_messages_go_to_the_new_ticket(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)

    place.say(title="Still down", operation="update")
    place.route()
    place.deliver()

    assert [ticket["title"] for ticket in place.desk.tickets.values()] == ["Down", "Still down"]


def test_comments_follow_to_the_new_ticket(place: Office) -> None:
    place.rule(**EVERYTHING)
    first = place.say(comments=["Look here"])
    later = place.say(title="Worse", operation="update")
    place.route()
    for _ in range(3):
        place.deliver()

    replay = run(make_plan(place, first, later, tickets="new"))
    for _ in range(3):
        place.deliver()

    assert [finding for _, finding in findings(replay)] == ["anew", "send", "send"]
    assert place.desk.comments == ["Look here"] * 2
    assert place.desk.tickets == {"1": {"title": "Worse"}, "2": {"title": "Worse"}}


def test_what_the_old_ticket_tells_goes_nowhere(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)

    told = place.say("1", place.target, title="Closed", operation="update")
    place.route()

    told.refresh_from_db()
    assert (told.state, told.reason) == ("processed", REPLACED)
    assert told.conversation_id == side(place).conversation_id
    assert Conversation.objects.count() == 1


def test_late_news_of_the_old_create_is_not_taken_for_the_new(place: Office) -> None:
    message = delivered(place)
    old = Delivery.objects.get(part="record").effect_key
    run(make_plan(place, message, tickets="new"))

    place.say("1", place.target, mark=old)
    place.route()

    assert side(place).external_id is None


def test_webhook_of_the_new_ticket_joins_while_its_answer_is_lost(place: Office) -> None:
    message = delivered(place)
    run(make_plan(place, message, tickets="new"))
    place.desk.loses_answers = True
    place.deliver()

    place.say("2", place.target, mark=Delivery.objects.latest("id").effect_key)
    place.route()

    assert (side(place).external_id, Conversation.objects.count()) == ("2", 1)


def test_lost_answer_is_looked_up_by_the_new_key(place: Office) -> None:
    message = delivered(place)
    run(make_plan(place, message, tickets="new"))
    place.desk.loses_answers = True
    place.deliver()
    place.desk.loses_answers = False

    Lane.objects.update(due_at=PAST)
    place.deliver()

    assert list(place.desk.tickets) == ["1", "2"]
    assert side(place).external_id == "2"


def test_killed_at_any_statement_it_makes_one_ticket(place: Office) -> None:
    message = delivered(place)
    replay = make_plan(place, message, tickets="new")
    lifecycle.start(replay, Wishes(), None)

    deaths = 0
    while dies_at(deaths + 1, replay):
        deaths += 1
        assert (item_states(replay), side(place).external_id) == (["planned"], "1")
    place.deliver()

    assert deaths > 20
    assert item_states(replay) == ["queued"]
    assert list(place.desk.tickets) == ["1", "2"]


def test_two_workers_make_one_ticket(place: Office) -> None:
    message = delivered(place)
    replay = make_plan(place, message, tickets="new")
    lifecycle.start(replay, Wishes(), None)

    at_once(lambda: go_on(Replay.objects.get(pk=replay.pk)))
    go_on(replay)
    place.deliver()

    assert list(place.desk.tickets) == ["1", "2"]


def test_two_plans_make_one_ticket(place: Office) -> None:
    message = delivered(place)
    one, other = (make_plan(place, message, tickets="new") for _ in range(2))

    run(one)
    place.deliver()
    run(other)

    assert other.items.get().finding == ReplayFinding.TICKET_CHANGED
    assert Delivery.objects.filter(part="record").count() == 2


def test_what_is_unfinished_comes_first(place: Office) -> None:
    message = delivered(place)
    late = place.say(title="Worse", operation="update")
    place.route()
    deliveries.hold(Delivery.objects.filter(message=late))

    replay = make_plan(place, message, tickets="new")

    assert replay.items.get().finding == ReplayFinding.BUSY


def test_rest_stays_away_when_no_new_ticket_is_made(place: Office) -> None:
    place.rule(**EVERYTHING)
    first = place.say(comments=["Look here"])
    place.route()
    place.deliver()
    place.deliver()
    replay = make_plan(place, first, tickets="new")
    late = place.say(title="Worse", operation="update")
    place.route()
    deliveries.hold(Delivery.objects.filter(message=late))

    run(replay, create_anew=True)

    assert item_states(replay) == ["left_out"] * 2
    assert side(place).external_id == "1"


@pytest.mark.parametrize("give_up", [deliveries.skip, deliveries.cancel])
def test_old_ticket_takes_part_again_when_the_new_is_given_up(place: Office, give_up: object) -> None:
    message = delivered(place)
    RemoteItem.objects.create(
        organization=place.environment.organization, participant=side(place), kind="comment", remote_id="c"
    )
    shadow = side(place).shadow
    place.desk.answers.append(BAD_DATA)
    renewed(place, message)

    give_up(Delivery.objects.filter(state=DeliveryState.HELD))  # type: ignore[operator]

    back = side(place)
    assert (back.external_id, back.number, back.shadow) == ("1", "T-1", shadow)
    assert list(back.items.values_list("remote_id", flat=True)) == ["c"]
    assert not ReplacedTicket.objects.exists()


def test_new_ticket_stays_whatever_is_given_up_later(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)

    deliveries.skip(Delivery.objects.all())

    assert side(place).external_id == "2"


def test_resync_does_not_send_what_the_old_ticket_said(place: Office) -> None:
    message = delivered(place)
    place.say("1", place.target, title="Said by the old one", operation="update")
    place.route()
    renewed(place, message)

    with pytest.raises(CannotResync):
        resync(side(place))


def test_history_says_which_ticket_was_replaced(place: Office) -> None:
    message = delivered(place)
    person = make_user()

    replay = run(make_plan(place, message, tickets="new", by=person), by=person)

    said = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert "New tickets in their place" in said[0]
    assert "1 as a new ticket in place of another" in said[1]
    assert said[2] == f"A new ticket at {place.target.name} takes the place of T-1: {replay}"


def test_rule_that_only_updates_makes_no_new_ticket(place: Office) -> None:
    place.rule(operations=["create"])
    place.rule(operations=["update"])
    place.say()
    late = place.say(title="Worse", operation="update")
    place.route()
    for _ in range(2):
        place.deliver()

    replay = make_plan(place, late, tickets="new")

    assert findings(replay) == [("record", ReplayFinding.NO_TICKET)]


def test_message_that_names_the_old_ticket_joins(place: Office) -> None:
    third = make_endpoint("desk", place.environment)
    refer(third, place.target)
    message = delivered(place)
    renewed(place, message)

    place.say("x", third, vendor_ticket="T-1")
    place.route()

    assert Conversation.objects.count() == 1


def test_ticket_is_found_by_the_number_of_the_old(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)
    client = signed_in("viewer", place.environment)

    page = client.get("/admin/conversations/conversation/", {"q": "T-1"}, follow=True).content.decode()

    assert "T-2" in page


def test_search_says_in_place_of_which_it_is(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)

    said = signed_in().get("/admin/search/", {"s": "t-1", "extended": "1"}).content.decode()

    assert re.search(r">T-2<.*in place of t-1", said, re.S)


def test_conversation_shows_the_old_ticket(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)
    client = signed_in("viewer", place.environment)

    page = client.get(url_of(side(place).conversation)).content.decode()

    assert "In place of <span>T-1</span>" in page


@pytest.mark.parametrize("page", ["message/", "delivery/", "message/{}/change/"])
def test_pages_name_the_ticket_of_then_and_of_now(place: Office, page: str) -> None:
    message = delivered(place)
    renewed(place, message)

    html = signed_in().get(f"/admin/conversations/{page.format(message.pk)}").content.decode()

    assert {"T-1", "T-2"} <= set(re.findall(r"T-\d", html))


def test_timeline_says_what_took_whose_place(place: Office) -> None:
    message = delivered(place)
    renewed(place, message)

    html = signed_in().get(url_of(side(place).conversation)).content.decode()
    timeline = html.partition('aria-label="Timeline"')[2]

    assert re.search(r"T-1.*T-2.*, in place of T-1", timeline, re.S)


def test_page_warns_before_new_tickets_are_made(place: Office) -> None:
    replay = make_plan(place, delivered(place))
    client = signed_in("operator", place.environment)
    again = f"/admin/conversations/replay/{replay.pk}/again/"

    page = client.post(again, {"tickets": "new"}, follow=True).content.decode()

    assert "Running this makes 1 new ticket although the targets have one already" in page
    assert "in place of T-1" in page
    assert "Run: send 1, 1 of them as a new ticket<" in page

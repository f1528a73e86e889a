"""The page of a replay shows the plan, lets it go and follows it; by role, and within the organization."""

from collections.abc import Iterator

import pytest

from conversations.models import Delivery, Message, PayloadView, Replay
from conversations.replay import lifecycle
from oneio.admin.page import url_of
from tests.conversations.desk import Office, office
from tests.conversations.replay.rehearsals import go_on, make_plan
from tests.factories import make_environment
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
QUEUE = "/admin/conversations/message/plan/"


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


@pytest.fixture
def message(place: Office) -> Message:
    said = place.say(title="Core switch drops uplink")
    place.route()
    place.rule()
    return said


def test_queue_leads_to_a_plan(place: Office, message: Message) -> None:
    client = signed_in("operator", place.environment)

    answer = client.post(QUEUE, {"verb": "replay", "message": [message.pk]}, follow=True)

    assert answer.redirect_chain[-1][0] == url_of(Replay.objects.get())
    text = answer.content.decode()
    assert "Run: send 1" in text
    assert "Core switch drops uplink" in text
    assert not Delivery.objects.exists()


def test_all_that_fit_the_filters_are_planned(place: Office, message: Message) -> None:
    place.say("b")
    place.route()
    client = signed_in("operator", place.environment)

    client.post(QUEUE, {"verb": "replay", "all": "1", "filters": "state=unmatched"})

    assert [item.message for item in Replay.objects.get().items.all()] == [message]


def test_others_messages_are_not_planned(place: Office, message: Message) -> None:
    client = signed_in("operator", make_environment())

    client.post(QUEUE, {"verb": "replay", "message": [message.pk]})

    assert not Replay.objects.exists()


def test_plan_is_run_from_its_page(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    client = signed_in("operator", place.environment)

    client.post(f"/admin/conversations/replay/{replay.pk}/run/", {"overwrite_newer": "1"})

    replay.refresh_from_db()
    assert (replay.state, replay.overwrite_newer, replay.create_anew) == ("running", True, False)
    assert replay.started_by is not None


def test_plan_is_made_differently(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    client = signed_in("operator", place.environment)

    answer = client.post(f"/admin/conversations/replay/{replay.pk}/again/", {"rules": "ran"}, follow=True)

    assert "No rule takes it" in answer.content.decode()


def test_ended_replay_says_why_it_cannot_go(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    lifecycle.cancel(replay, None)
    client = signed_in("operator", place.environment)

    answer = client.post(f"/admin/conversations/replay/{replay.pk}/run/", follow=True)

    assert "This replay is cancelled" in answer.content.decode()


def test_page_asks_for_what_changes_alone(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    lifecycle.start(replay, lifecycle.Wishes(), None)
    client = signed_in("operator", place.environment)

    running = client.get(url_of(replay), headers={"X-Feed": "replay"}).content.decode()
    go_on(replay)
    Delivery.objects.update(state="delivered")
    done = client.get(url_of(replay), headers={"X-Feed": "replay"}).content.decode()

    assert "<html" not in running
    assert ("data-at-work" in running, "data-at-work" in done) == (True, False)
    assert url_of(Delivery.objects.get()) in done


def test_viewer_sees_no_contents_and_no_buttons(place: Office, message: Message) -> None:
    replay = make_plan(place, message)

    text = signed_in("viewer", place.environment).get(url_of(replay)).content.decode()

    assert "Would be sent" in text
    assert "Core switch drops uplink" not in text
    assert "Run: send" not in text
    assert not PayloadView.objects.exists()


def test_reader_of_contents_is_noted(place: Office, message: Message) -> None:
    replay = make_plan(place, message)

    signed_in("operator", place.environment).get(url_of(replay))

    assert PayloadView.objects.get().subject == "replay"


def test_list_shows_replays(place: Office, message: Message) -> None:
    replay = make_plan(place, message)

    text = signed_in("viewer", place.environment).get("/admin/conversations/replay/").content.decode()

    assert str(replay) in text
    assert "Planned" in text


def test_long_replay_has_pages(place: Office, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.admin.replays.ITEMS", 1)
    other = place.say("b")
    place.route()
    replay = make_plan(place, message, other)
    client = signed_in("operator", place.environment)

    first = client.get(url_of(replay)).content.decode()
    second = client.get(f"{url_of(replay)}?first=1").content.decode()

    assert ("D-a</a>" in first, "D-b</a>" in first, "?first=1" in first) == (True, False, True)
    assert ("D-a</a>" in second, "D-b</a>" in second) == (False, True)

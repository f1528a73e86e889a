"""Scripts plan, read, run and cancel replays with a person's account, as far as the role allows."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from conversations.models import Delivery, Message, PayloadView, Replay
from oneio.models import Environment
from tests.conversations.desk import Office, office
from tests.conversations.replay.rehearsals import go_on, make_plan
from tests.conversations.replay.test_running import delivered
from tests.factories import make_environment
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


@pytest.fixture
def message(place: Office) -> Message:
    said = place.say()
    place.route()
    place.rule()
    return said


def script(environment: Environment, role: str = "operator") -> Client:
    person = make_user(role, environment)
    login = b64encode(f"{person.username}:correct horse".encode()).decode()
    return Client(headers={"Authorization": f"Basic {login}"})


def address(environment: Environment, *rest: object) -> str:
    place = f"/manage/v1/{environment.organization.slug}/{environment.kind}/replays"
    return "/".join([place, *map(str, rest)])


def plan(environment: Environment, body: dict[str, Any], role: str = "operator") -> Any:
    return script(environment, role).post(address(environment), body, content_type="application/json")


def test_replay_is_planned_by_response_ids(place: Office, message: Message) -> None:
    answer = plan(place.environment, {"messages": [message.response_id]})

    told = answer.json()
    assert (answer.status_code, told["state"]) == (201, "planned")
    assert [(item["finding"], item["target"]) for item in told["items"]] == [("send", place.target.slug)]
    assert told["items"][0]["contents"]["changes"][0]["ours"] == "Down"
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("name", ["endpoint", "entity", "state"])
def test_replay_is_planned_by_a_filter(place: Office, message: Message, name: str) -> None:
    fits = {"endpoint": place.source.slug, "entity": "incident", "state": "unmatched"}
    other = {"endpoint": place.target.slug, "entity": "change", "state": "echo"}

    found = plan(place.environment, {"filter": {name: fits[name]}})
    missed = plan(place.environment, {"filter": {name: other[name]}})

    assert (found.status_code, len(found.json()["items"])) == (201, 1)
    assert missed.status_code == 400


@pytest.mark.parametrize(
    "body",
    [{}, {"messages": [], "filter": {}}, {"filter": {"rule": "nobody"}}, {"messages": [], "data": "later"}],
)
def test_unclear_choice_is_refused(place: Office, body: dict[str, Any]) -> None:
    assert plan(place.environment, body).status_code == 400
    assert not Replay.objects.exists()


def test_replay_is_run_and_read(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    client = script(place.environment)

    started = client.post(address(place.environment, replay.pk, "run"), {}, content_type="application/json")
    go_on(replay)
    told = client.get(address(place.environment, replay.pk)).json()

    assert started.json()["state"] == "running"
    assert (told["state"], told["items"][0]["delivery_state"]) == ("done", "queued")


def test_replay_is_cancelled_once(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    client = script(place.environment)

    answers = [client.post(address(place.environment, replay.pk, "cancel")) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json() == {"detail": "This replay is cancelled: look at it again."}


def test_viewer_reads_without_contents(place: Office, message: Message) -> None:
    replay = make_plan(place, message)
    client = script(place.environment, "viewer")

    told = client.get(address(place.environment, replay.pk)).json()

    assert "contents" not in told["items"][0]
    assert client.post(address(place.environment, replay.pk, "run")).status_code == 403
    assert plan(place.environment, {"messages": [message.response_id]}, "viewer").status_code == 403
    assert not PayloadView.objects.exists()


def test_reader_of_contents_is_noted(place: Office, message: Message) -> None:
    replay = make_plan(place, message)

    script(place.environment).get(address(place.environment, replay.pk))

    assert PayloadView.objects.get().key == str(replay.pk)


def test_nothing_of_others_is_reached(place: Office, message: Message) -> None:
    other = make_environment()
    client = script(other)
    replay = make_plan(place, message)

    codes = [
        client.get(address(place.environment)).status_code,
        client.get(address(place.environment, replay.pk)).status_code,
        client.get(address(other, replay.pk)).status_code,
        client.post(address(other, replay.pk, "run")).status_code,
        plan(other, {"messages": [message.response_id]}).status_code,
    ]

    assert codes == [404, 404, 404, 404, 400]
    assert client.get(address(other)).json() == {"replays": []}
    assert client.get(address(other, uuid4())).status_code == 404


def test_new_tickets_are_made_only_when_asked_for(place: Office) -> None:
    message = delivered(place)
    body = {"messages": [str(message.body_id)]}

    usual = plan(place.environment, body).json()
    anew = plan(place.environment, body | {"tickets": "new"}).json()

    assert [item["finding"] for item in usual["items"] + anew["items"]] == ["duplicate", "anew"]
    assert (anew["tickets"], anew["items"][0]["replaces"]) == ("new", "T-1")

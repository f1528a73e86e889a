"""What needs a person, gathered by its cause: what counts as the same, what is shown and done."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import deliveries as verbs
from conversations.failure_groups import group_of, without_values
from conversations.models import Delivery, DeliveryState, HoldReason, MessageState, PayloadView
from endpoints.outcomes import Failure, Outcome, Result
from tests.conversations.desk import Office, office
from tests.conversations.test_feed import Routed
from tests.factories import make_endpoint, make_environment, make_message
from tests.signed_in import signed_in

PAGE = "/admin/needs-you/"
PLAN = f"{PAGE}plan/"
REFUSED = "Priority 'P1' is not a valid value"


def make_held(group: str = "priority", said: str = REFUSED, environment=None) -> Routed:
    routed = Routed(
        DeliveryState.HELD,
        environment,
        hold_reason=HoldReason.REFUSED,
        failure="data",
        failure_group=group,
        status_code=400,
    )
    routed.delivery.content.problem = said
    routed.delivery.content.save()
    return routed


def page(client: Client | None = None) -> str:
    answer = (client or signed_in()).get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def key_of(routed: Routed) -> str:
    return f"held/{routed.message.environment_id}/refused/data/{routed.delivery.failure_group}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Priority 'P1' is not a valid value", "Priority 'P2' is not a valid value"),
        ('No user "ada@example.com"', 'No user "bob@example.com"'),
        ("Issue OPS-88 was deleted", "Issue OPS-89 was deleted"),
        (
            "Record 6816f79cc0a8016401c5a33be04be441 is locked",
            "Record 9d385017c611228701d22104cc95c371 is locked",
        ),
        ("See https://a.example.com/1 for more", "See https://b.example.com/2?x=y for more"),
        ("Busy since 12:04:10", "Busy since 12:05:59"),
        ("Title  is\nempty", "title is empty"),
    ],
)
def test_values_do_not_part_a_group(one, other):
    assert group_of("refused", "data", 400, "", one) == group_of("refused", "data", 400, "", other)


@pytest.mark.parametrize(
    "changed",
    [
        ("mapping", "data", 400, "", REFUSED),
        ("refused", "permission", 400, "", REFUSED),
        ("refused", "data", 422, "", REFUSED),
        ("refused", "data", 400, "no_transition", REFUSED),
        ("refused", "data", 400, "", "Component 'P1' is not a valid value"),
    ],
)
def test_another_cause_is_another_group(changed):
    assert group_of(*changed) != group_of("refused", "data", 400, "", REFUSED)


def test_apostrophe_takes_no_words_away():
    assert "can't be empty" in without_values("Summary can't be empty")


def test_key_tells_nothing_of_the_text():
    key = group_of("refused", "data", 400, "", REFUSED)

    assert len(key) == 32
    assert "priority" not in key


@pytest.fixture
def place(transactional_db):
    with office() as place:
        place.rule()
        yield place


def refuse(place: Office, *complaints: str) -> list[Delivery]:
    """Deliveries that the desk refuses, each with words of its own."""
    for number, complaint in enumerate(complaints):
        place.say(ticket=f"t{number}")
        place.desk.answers.append(Outcome(Result.REJECTED, Failure.DATA, 400, detail=complaint))
    place.route()
    place.deliver()
    return list(Delivery.objects.order_by("id"))


def test_refusals_of_a_kind_are_recorded_in_one_group(place):
    rows = refuse(place, "No value 'P1'", "No value 'P2'", "The queue is closed")

    assert [row.state for row in rows] == [DeliveryState.HELD] * 3
    assert rows[0].failure_group == rows[1].failure_group != rows[2].failure_group
    assert rows[2].failure_group


def test_success_leaves_the_group(place):
    [row] = refuse(place, "No value 'P1'")

    verbs.retry([row])
    place.deliver()

    row.refresh_from_db()
    assert (row.state, row.failure_group) == (DeliveryState.DELIVERED, "")


@pytest.mark.django_db
def test_one_row_for_all_of_a_cause():
    environment = make_environment()
    for _ in range(3):
        make_held(environment=environment)
    make_held("component", "No component", environment=environment)

    html = page()

    assert "Retry all 3" in html
    assert html.count("What to do:") == 2
    assert "Priority &#x27;P1&#x27; is not a valid value" in html


@pytest.mark.django_db
def test_retrying_deliveries_are_a_group_too():
    Routed(DeliveryState.QUEUED, tries=2, failure="transient", failure_group="down")
    Routed(DeliveryState.QUEUED)
    Routed()

    html = page()

    assert "Retrying" in html
    assert "did not take it" in html
    assert html.count('name="group"') == 1


@pytest.mark.django_db
def test_page_costs_the_same_for_any_number():
    client = signed_in()
    environment = make_environment()
    make_held("a", environment=environment)
    source = make_endpoint(environment=environment)
    make_message(source, state=MessageState.HELD, reason="mapping_failed")
    page(client)
    with CaptureQueriesContext(connection) as few:
        page(client)

    for group in "bcde":
        make_held(group, environment=environment)
        make_message(source, state=MessageState.FAULTY, reason=group)
    with CaptureQueriesContext(connection) as many:
        page(client)

    assert len(many) == len(few)
    assert len(few) <= 12


@pytest.mark.django_db
def test_viewer_sees_the_cause_but_no_words_and_no_buttons():
    routed = make_held()

    html = page(signed_in("viewer", routed.message.environment))

    assert "answered and refused what we sent" in html
    assert "P1" not in html
    assert 'name="verb"' not in html
    assert not PayloadView.objects.exists()


@pytest.mark.django_db
def test_words_that_were_read_are_noted():
    routed = make_held()

    page(signed_in("operator", routed.message.environment))

    assert PayloadView.objects.get().key == str(routed.delivery.pk)


@pytest.mark.django_db
def test_other_organization_is_invisible():
    make_held()

    assert "Nothing needs you" in page(signed_in("administrator", make_environment()))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("reason=refused&endpoint={0.target.pk}", True),
        ("endpoint={0.source.pk}", False),
        ("reason=loop", False),
        ("endpoint=x&reason=nonsense", True),
        ("environment={0.message.environment_id}", True),
    ],
)
def test_address_narrows_the_page(query, shown):
    routed = make_held()

    html = signed_in().get(f"{PAGE}?{query.format(routed)}").content.decode()

    assert ("not a valid value" in html) is shown


@pytest.mark.django_db
def test_plan_names_the_number_and_changes_nothing():
    environment = make_environment()
    held = [make_held(environment=environment) for _ in range(2)]
    other = make_held("component", environment=environment)

    answer = signed_in().post(PLAN, {"verb": "cancel", "group": key_of(held[0])})

    assert "Cancel 2 deliveries of 2 tickets?" in answer.content.decode()
    assert Delivery.objects.filter(state=DeliveryState.HELD).count() == 3
    assert other.delivery.failure_group == "component"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verb", "state"),
    [("retry", DeliveryState.QUEUED), ("skip", DeliveryState.SKIPPED), ("cancel", DeliveryState.CANCELLED)],
)
def test_confirmed_plan_changes_the_whole_group(verb, state):
    environment = make_environment()
    held = [make_held(environment=environment) for _ in range(2)]
    other = make_held("component", environment=environment)
    chosen = {"verb": verb, "group": key_of(held[0]), "confirmed": "yes"}

    answer = signed_in("operator", environment).post(PLAN, chosen, follow=True)

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert [states[routed.delivery.pk] for routed in held] == [state] * 2
    assert states[other.delivery.pk] == DeliveryState.HELD
    assert "2 deliveries" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["viewer", "operator elsewhere"])
def test_who_may_not_operate_changes_nothing(role):
    routed = make_held()
    environment = routed.message.environment if role == "viewer" else make_environment()
    chosen = {"verb": "skip", "group": key_of(routed), "confirmed": "yes"}

    signed_in(role.split()[0], environment).post(PLAN, chosen)

    routed.delivery.refresh_from_db()
    assert routed.delivery.state == DeliveryState.HELD


@pytest.mark.django_db
@pytest.mark.parametrize("group", ["", "held", "held/x/refused/data/priority", "held/1/2/3/4/5/6"])
def test_group_that_is_none_changes_nothing(group):
    routed = make_held()

    answer = signed_in().post(PLAN, {"verb": "skip", "group": group, "confirmed": "yes"}, follow=True)

    routed.delivery.refresh_from_db()
    assert answer.status_code == 200
    assert routed.delivery.state == DeliveryState.HELD


@pytest.mark.django_db
def test_messages_are_gathered_and_routed_again():
    endpoint = make_endpoint()
    rows = [make_message(endpoint, state=MessageState.HELD, reason="mapping_failed") for _ in range(2)]
    key = f"held/{endpoint.environment_id}/{endpoint.pk}/held/mapping_failed"
    client = signed_in("operator", endpoint.environment)

    assert "Route again all 2" in page(client)
    asked = client.post(PLAN, {"verb": "route_again", "group": key})
    client.post(PLAN, {"verb": "route_again", "group": key, "confirmed": "yes"})

    assert "Route 2 messages again?" in asked.content.decode()
    for row in rows:
        row.refresh_from_db()
        assert row.state == MessageState.RECEIVED


@pytest.mark.django_db
def test_later_success_of_the_ticket_resolves_a_message():
    routed = Routed()
    conversation = routed.message.conversation
    early = make_message(routed.source, state=MessageState.HELD, conversation=conversation, number="INC0012")
    assert "mapping" not in page()
    assert "could not be worked out" in page()

    make_message(routed.source, state=MessageState.ROUTED, conversation=conversation, number="INC0012")

    assert "Nothing needs you" in page()
    early.refresh_from_db()
    assert early.state == MessageState.HELD

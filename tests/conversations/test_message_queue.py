"""The message queue as people use it: filters in the address, rows on their own, actions with a plan."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.admin import message_queue
from conversations.models import DeliveryState, HoldReason, MessageState
from tests.conversations.test_feed import Routed
from tests.factories import make_endpoint, make_environment, make_message
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
QUEUE = "/admin/conversations/message/"
PLAN = "/admin/conversations/message/plan/"


def page(client: Client, query: str = "", **headers: str) -> str:
    answer = client.get(f"{QUEUE}?{query}", headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def make_held() -> Routed:
    return Routed(DeliveryState.HELD, hold_reason=HoldReason.REFUSED)


def test_row_shows_source_rule_and_what_was_sent():
    routed = make_held()

    html = page(signed_in())

    for shown in ("INC0012", routed.rule.name, "OPS-88", "Needs you", "PRODUCTION"):
        assert shown in html
    assert reverse("admin:conversations_conversation_change", args=[routed.message.conversation_id]) in html


def test_message_without_rule_says_so():
    make_message(number="INC0700", state=MessageState.UNMATCHED)

    assert "No rule is for this message" in page(signed_in())


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=needs-you", True),
        ("state=routed", False),
        ("since=1", True),
        ("begin=2020-01-01T00:00", True),
        ("end=2020-01-01T00:00", False),
        ("source_entity=incident", True),
        ("q=INC0700", True),
        ("q=INC0701", False),
        ("source=0", False),
        ("source=x", False),
        ("state=nonsense", False),
        ("before=x", False),
    ],
)
def test_address_narrows_the_queue(query, shown):
    make_message(number="INC0700", state=MessageState.FAULTY, entity_type="incident")

    html = page(signed_in(), query)

    assert (">INC0700<" in html) is shown


def test_unknown_filter_is_named():
    assert "does not exist or that you may not see: From" in page(signed_in(), "source=999")


def test_endpoint_elsewhere_is_not_offered():
    endpoint = make_endpoint()

    html = page(signed_in("administrator", make_environment()), f"source={endpoint.pk}")

    assert endpoint.name not in html
    assert "you may not see: From" in html


def test_older_messages_are_one_link_away(monkeypatch):
    monkeypatch.setattr(message_queue, "ROWS", 2)
    for number in range(3):
        make_message(number=f"INC010{number}", state=MessageState.UNMATCHED)
    client = signed_in()

    first = page(client, "state=unmatched")
    link = re.search(r'href="([^"]*before=[^"]*)">Older', first)
    assert link
    second = client.get(link[1].replace("&amp;", "&")).content.decode()

    assert [f"INC010{number}" in first for number in range(3)] == [False, True, True]
    assert [f">INC010{number}<" in second for number in range(3)] == [True, False, False]
    assert "state=unmatched" in link[1]
    assert "Newest" in second


def test_rows_are_given_on_their_own():
    make_held()

    rows = page(signed_in(), **{"X-Feed": "rows"})

    assert "INC0012" in rows
    assert "<html" not in rows


def test_queue_costs_the_same_for_any_length():
    client = signed_in()
    make_held()
    page(client)
    with CaptureQueriesContext(connection) as few:
        page(client)

    for _ in range(4):
        make_message(state=MessageState.UNMATCHED)
        make_held()
    with CaptureQueriesContext(connection) as many:
        page(client)

    assert len(many) == len(few)
    assert len(few) <= 12
    assert not [query["sql"] for query in few if "COUNT(" in query["sql"] and "LIMIT" not in query["sql"]]


def test_viewer_chooses_nothing():
    routed = make_held()

    html = page(signed_in("viewer", routed.message.environment))

    assert "INC0012" in html
    assert 'name="message"' not in html


def test_plan_says_how_many_and_changes_nothing():
    routed = make_held()
    arrived = Routed()

    answer = signed_in().post(PLAN, {"verb": "retry", "message": [routed.message.pk, arrived.message.pk]})

    html = answer.content.decode()
    assert "Retry 1 delivery of 1 ticket?" in html
    assert "1 of those you chose stay as they are" in html
    assert HoldReason.REFUSED.label in html
    routed.delivery.refresh_from_db()
    assert routed.delivery.state == DeliveryState.HELD


@pytest.mark.parametrize(
    ("verb", "state"),
    [("retry", DeliveryState.QUEUED), ("skip", DeliveryState.SKIPPED), ("cancel", DeliveryState.CANCELLED)],
)
def test_confirmed_plan_is_carried_out(verb, state):
    routed = make_held()
    chosen = {"verb": verb, "messages": str(routed.message.pk), "confirmed": "yes"}

    answer = signed_in("operator", routed.message.environment).post(PLAN, chosen, follow=True)

    routed.delivery.refresh_from_db()
    assert routed.delivery.state == state
    assert "1 delivery" in answer.content.decode()
    assert LogEntry.objects.get(object_id=routed.delivery.pk).change_message == verb.capitalize()


def test_all_that_fit_the_filters_are_chosen():
    held = [make_held() for _ in range(3)]
    Routed()

    answer = signed_in().post(PLAN, {"verb": "cancel", "all": "1", "filters": "state=needs-you"})

    html = answer.content.decode()
    assert "Cancel 3 deliveries of 3 tickets?" in html
    assert ",".join(str(routed.message.pk) for routed in reversed(held)) in html


def test_filters_survive_the_plan():
    routed = make_held()
    chosen = {"verb": "skip", "messages": str(routed.message.pk), "filters": "q=OPS-88"}

    asked = signed_in().post(PLAN, chosen)
    done = signed_in().post(PLAN, {**chosen, "confirmed": "yes"})

    assert f'href="{QUEUE}?q=OPS-88"' in asked.content.decode()
    assert done["Location"] == f"{QUEUE}?q=OPS-88"


@pytest.mark.parametrize("role", ["viewer", "operator elsewhere"])
def test_who_may_not_operate_changes_nothing(role):
    routed = make_held()
    environment = routed.message.environment if role == "viewer" else make_environment()
    chosen = {"verb": "cancel", "messages": str(routed.message.pk), "confirmed": "yes"}

    signed_in(role.split()[0], environment).post(PLAN, chosen)

    routed.delivery.refresh_from_db()
    assert routed.delivery.state == DeliveryState.HELD


@pytest.mark.parametrize(("role", "state"), [("operator", "received"), ("viewer", "held")])
def test_failed_routing_is_repeated_by_operators_only(role, state):
    message = make_message(state=MessageState.HELD, reason="mapping_failed")
    chosen = {"verb": "route_again", "messages": str(message.pk), "confirmed": "yes"}

    signed_in(role, message.environment).post(PLAN, chosen)

    message.refresh_from_db()
    assert message.state == state


def test_plan_for_routing_leaves_out_what_is_routed():
    failed, routed = make_message(state=MessageState.HELD), make_message(state=MessageState.ROUTED)

    answer = signed_in().post(PLAN, {"verb": "route_again", "message": [failed.pk, routed.pk]})

    html = answer.content.decode()
    assert "Route 1 message again?" in html
    assert "1 of those you chose stay as they are" in html


@pytest.mark.parametrize(
    "chosen", [{}, {"verb": "explode", "message": ["1"]}, {"verb": "retry", "message": ["x"]}]
)
def test_senseless_request_does_nothing(chosen):
    answer = signed_in().post(PLAN, chosen, follow=True)

    assert answer.status_code == 200


def test_plan_is_never_asked_for_by_a_link():
    assert signed_in().get(PLAN).status_code == 405

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.admin import explanations
from conversations.models import Attempt, Delivery, DeliveryState, HoldReason, Message, MessageState, Reason
from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Operation, to_json
from endpoints.models import EndpointGate
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_environment,
    make_message,
    make_participant,
    make_rule,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
MESSAGES = "/admin/conversations/message/"
DELIVERIES = "/admin/conversations/delivery/"
CONVERSATIONS = "/admin/conversations/conversation/"
SECRET = "the plant stands still"


def canonical() -> dict:
    return to_json(
        CanonicalMessage(
            entity_type="incident",
            kind=EntityKind.INCIDENT,
            operation=Operation.CREATE,
            external_id="abc",
            attributes={"description": SECRET},
            comments=(Comment("1", f"hurry, {SECRET}"),),
            native={"short_description": SECRET},
        )
    )


def make_sent(state: str = DeliveryState.DELIVERED, environment=None, **fields) -> Delivery:
    """A message about INC0012 with one delivery, the ticket OPS-88 at its target, and one attempt."""
    environment = environment or make_environment()
    source, target = make_endpoint(environment=environment), make_endpoint(environment=environment)
    conversation = make_conversation(environment)
    make_participant(conversation, source, number="INC0012", external_id="abc")
    make_participant(conversation, target, number="OPS-88", link="https://jira.example.com/browse/OPS-88")
    message = make_message(
        source,
        state=MessageState.ROUTED,
        conversation=conversation,
        number="INC0012",
        external_id="abc",
        entity_type="incident",
        operation="create",
        body={"canonical": canonical()},
    )
    delivery = make_delivery(message, target, state=state, rule=make_rule(environment), **fields)
    Attempt.objects.create(
        organization_id=environment.organization_id,
        delivery=delivery,
        token=1,
        ended_at=timezone.now(),
        result="rejected",
        failure="data",
        status_code=400,
        detail=f"refused: {SECRET}",
        request={"body": SECRET},
    )
    return delivery


def make_held(environment=None) -> Delivery:
    return make_sent(DeliveryState.HELD, environment, hold_reason=HoldReason.REFUSED, status_code=400)


def page(client, delivery_or_path) -> str:
    answer = client.get(delivery_or_path, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_message_list_shows_both_tickets():
    make_sent()

    html = page(signed_in(), MESSAGES)

    assert "INC0012" in html
    assert "OPS-88" in html
    assert "Delivered" in html
    assert "PRODUCTION" in html


@pytest.mark.parametrize("path", [MESSAGES, DELIVERIES, CONVERSATIONS])
def test_list_costs_the_same_for_any_length(path):
    client = signed_in()
    make_sent()
    page(client, path)
    with CaptureQueriesContext(connection) as few:
        page(client, path)

    for _ in range(4):
        make_sent(environment=make_environment())
    with CaptureQueriesContext(connection) as many:
        page(client, path)

    assert len(many) == len(few)
    assert len(many) < 20


@pytest.mark.parametrize("path", [MESSAGES, DELIVERIES, CONVERSATIONS])
def test_list_never_counts_its_table(path):
    client = signed_in()
    make_sent()

    with CaptureQueriesContext(connection) as queries:
        page(client, path)

    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert all("LIMIT" in sql for sql in counting)


@pytest.mark.parametrize("term", ["INC0012", "inc0012", "OPS-88", "abc"])
def test_message_is_found_by_any_ticket_id(term):
    make_sent()
    make_message(number="INC9999")

    html = page(signed_in(), f"{MESSAGES}?q={term}")

    assert "OPS-88" in html
    assert "INC9999" not in html


def test_message_is_found_by_response_id():
    message = make_message(number="INC0500")
    make_message(number="INC9999")

    html = page(signed_in(), f"{MESSAGES}?q={message.response_id}")

    assert "INC0500" in html
    assert "INC9999" not in html


def test_search_without_hit_says_so():
    make_sent()

    html = page(signed_in(), f"{MESSAGES}?q=NOWHERE-1")

    assert "No message fits" in html


def test_empty_list_says_what_it_will_show():
    assert "receiver address" in page(signed_in(), MESSAGES)
    assert "with every try" in page(signed_in(), DELIVERIES)


def test_message_page_shows_what_it_says():
    delivery = make_sent()

    html = page(signed_in(), f"{MESSAGES}{delivery.message_id}/change/")

    assert SECRET in html
    assert "refused: " in html
    assert delivery.message.response_id in html


def test_faulty_message_says_what_is_wrong():
    message = make_message(
        state=MessageState.FAULTY, raw=b'{"half', body={"problem": "The body ends too soon."}
    )

    html = page(signed_in(), f"{MESSAGES}{message.pk}/change/")

    assert "The body ends too soon." in html
    assert "{&quot;half" in html


@pytest.mark.parametrize("kind", ["message", "delivery", "conversation"])
def test_viewer_sees_no_payload(kind):
    delivery = make_held()
    delivery.content.problem = SECRET
    delivery.content.save()
    delivery.conversation.variables = {"secret": SECRET}
    delivery.conversation.save()
    pk = delivery.pk if kind == "delivery" else getattr(delivery, f"{kind}_id")
    tab = "?tab=variables" if kind == "conversation" else ""

    html = page(signed_in("viewer", delivery.environment), f"/admin/conversations/{kind}/{pk}/change/{tab}")

    assert SECRET not in html
    assert "ask an administrator" in html
    assert "INC0012" in html


@pytest.mark.parametrize("kind", ["message", "delivery", "conversation"])
def test_operator_reads_payload(kind):
    delivery = make_held()
    delivery.conversation.variables = {"secret": SECRET}
    delivery.conversation.save()
    pk = delivery.pk if kind == "delivery" else getattr(delivery, f"{kind}_id")
    tab = "?tab=variables" if kind == "conversation" else ""

    html = page(signed_in("operator", delivery.environment), f"/admin/conversations/{kind}/{pk}/change/{tab}")

    assert SECRET in html


@pytest.mark.parametrize("kind", ["message", "delivery", "conversation"])
def test_other_organization_is_invisible(kind):
    delivery = make_held()
    stranger = signed_in("administrator", make_environment())
    pk = delivery.pk if kind == "delivery" else getattr(delivery, f"{kind}_id")

    listed = page(stranger, f"/admin/conversations/{kind}/")
    opened = page(stranger, f"/admin/conversations/{kind}/{pk}/change/")
    searched = page(stranger, f"/admin/conversations/{kind}/?q=OPS-88")

    for html in (listed, opened, searched):
        assert "INC0012" not in html
        assert SECRET not in html
    assert "does not exist, or it lies in an environment you may not see" in opened


def test_held_delivery_says_what_to_do():
    delivery = make_held()

    html = page(signed_in(), f"{DELIVERIES}{delivery.pk}/change/")

    assert "answered and refused what we sent (HTTP 400)" in html
    assert "What to do:" in html


def test_delivery_to_a_ticket_that_is_gone_says_how_to_go_on():
    delivery = make_sent(DeliveryState.HELD, hold_reason=HoldReason.REFUSED, status_code=404)
    Attempt.objects.update(status_code=404)

    html = page(signed_in(), f"{DELIVERIES}{delivery.pk}/change/")

    assert "does not find what this is about (HTTP 404)" in html
    assert "New tickets in their place" in html
    assert "refused a value" not in html


def test_list_says_why_a_delivery_is_delayed():
    make_sent(DeliveryState.DELAYED, reason=Reason.TIME)

    html = page(signed_in(), DELIVERIES)

    assert ">Its rule waits for a time</span>" in html


def test_mass_action_asks_and_names_the_number():
    environment = make_environment()
    held = [make_held(environment) for _ in range(3)]
    chosen = {"action": "retry_selected", "_selected_action": [row.pk for row in held]}

    answer = signed_in().post(DELIVERIES, chosen)

    assert "Retry 3 deliveries?" in answer.content.decode()
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.HELD}


@pytest.mark.parametrize(
    ("action", "state"),
    [("retry", DeliveryState.QUEUED), ("skip", DeliveryState.SKIPPED), ("cancel", DeliveryState.CANCELLED)],
)
def test_confirmed_action_changes_the_deliveries(action, state):
    delivery = make_held()
    chosen = {"action": f"{action}_selected", "_selected_action": [delivery.pk], "confirmed": "yes"}

    answer = signed_in("operator", delivery.environment).post(DELIVERIES, chosen, follow=True)

    delivery.refresh_from_db()
    assert delivery.state == state
    assert "1 delivery" in answer.content.decode()
    assert LogEntry.objects.get(object_id=delivery.pk).change_message == action.capitalize()


def test_decision_is_shown_with_its_maker():
    delivery = make_held()
    client = signed_in("operator", delivery.environment)
    client.post(
        DELIVERIES, {"action": "skip_selected", "_selected_action": [delivery.pk], "confirmed": "yes"}
    )

    html = page(client, f"{DELIVERIES}{delivery.pk}/change/")

    assert f"by {LogEntry.objects.get().user}" in html


def test_viewer_cannot_act():
    delivery = make_held()
    chosen = {"action": "retry_selected", "_selected_action": [delivery.pk], "confirmed": "yes"}

    signed_in("viewer", delivery.environment).post(DELIVERIES, chosen)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.HELD


def test_operator_elsewhere_cannot_act_here():
    delivery = make_held()
    user = signed_in("operator", make_environment())
    chosen = {"action": "cancel_selected", "_selected_action": [delivery.pk], "confirmed": "yes"}

    user.post(DELIVERIES, chosen)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.HELD


def test_ended_delivery_is_left_as_it_is():
    delivery = make_sent()
    chosen = {"action": "retry_selected", "_selected_action": [delivery.pk]}

    answer = signed_in().post(DELIVERIES, chosen)

    assert "None of the chosen deliveries can be changed" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "shown"),
    [("state=held", True), ("reason=refused", True), ("reason=loop", False), ("state=delivered", False)],
)
def test_delivery_filters_narrow_the_list(query, shown):
    make_held()

    assert ("INC0012" in page(signed_in(), f"{DELIVERIES}?{query}")) is shown


def test_delivery_is_found_by_target_number():
    make_held()

    assert "INC0012" in page(signed_in(), f"{DELIVERIES}?q=ops-88")


def test_conversation_shows_tickets_and_timeline():
    delivery = make_sent()

    html = page(signed_in(), f"{CONVERSATIONS}{delivery.conversation_id}/change/")

    assert 'href="https://jira.example.com/browse/OPS-88"' in html
    assert "INC0012 ⇄ OPS-88" in html
    assert "Everything has been sent." in html


def test_script_in_a_link_is_never_a_link():
    delivery = make_sent()
    delivery.conversation.participants.filter(number="OPS-88").update(link="javascript:alert(1)")

    html = page(signed_in(), f"{CONVERSATIONS}{delivery.conversation_id}/change/")

    assert "javascript:alert" not in html


def test_conversation_says_what_blocks_it():
    delivery = make_held()
    make_delivery(delivery.message, delivery.endpoint, rule=delivery.rule, lane=delivery.lane)

    html = page(signed_in(), f"{CONVERSATIONS}{delivery.conversation_id}/change/")

    assert "Blocked since" in html
    assert "1 delivery behind it" in html
    assert f"#{delivery.pk} →" in html


def test_conversation_says_that_its_target_is_paused():
    delivery = make_sent(DeliveryState.QUEUED)
    EndpointGate.objects.filter(endpoint=delivery.endpoint).update(
        paused_at=timezone.now(), pause_reason="credentials"
    )

    html = page(signed_in(), f"{CONVERSATIONS}{delivery.conversation_id}/change/")

    assert "it rejected our user name or password" in html


def test_conversation_is_found_by_number():
    make_sent()

    assert "OPS-88" in page(signed_in(), f"{CONVERSATIONS}?q=INC0012")
    assert "No row fits" in page(signed_in(), f"{CONVERSATIONS}?q=INC0013")


@pytest.mark.parametrize("reason", list(HoldReason))
def test_every_hold_reason_is_explained(reason):
    delivery = make_sent(DeliveryState.HELD, hold_reason=reason)

    explanation = explanations.of_delivery(delivery, None, timezone.now())

    assert explanation is not None
    assert all([explanation.happened, explanation.means, explanation.to_do])
    assert "{" not in json.dumps([explanation.happened, explanation.means, explanation.to_do])


def test_retrying_delivery_says_when_it_goes_on():
    delivery = make_sent(DeliveryState.QUEUED, tries=2, failure="transient")

    explanation = explanations.of_delivery(delivery, None, timezone.now())

    assert explanation is not None
    assert "Try 3 comes now" in explanation.means


def test_pages_are_for_looking_only():
    delivery = make_sent()

    assert signed_in().get(f"{MESSAGES}add/").status_code == 403
    assert signed_in().get(f"{MESSAGES}{delivery.message_id}/delete/").status_code == 403
    assert Message.objects.count() == 1

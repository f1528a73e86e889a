"""The page of a ticket's life: systems side by side, the timeline, its tabs and what may be done."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.admin.tabs import TABS
from conversations.models import (
    FILE_KEPT,
    Conversation,
    Delivery,
    DeliveryState,
    HoldReason,
    Message,
    MessageState,
)
from endpoints.canonical import Actor, CanonicalMessage, Comment, EntityKind, Operation, Visibility, to_json
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_message,
    make_participant,
    make_rule,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db


def make_story() -> Conversation:
    """ServiceNow told us of a ticket that Jira has; somebody commented there."""
    conversation = make_conversation()
    environment = conversation.environment
    snow = make_endpoint("servicenow", environment, name="ServiceNow")
    jira = make_endpoint("jira", environment, name="Jira")
    make_participant(conversation, snow, number="INC0012")
    make_participant(conversation, jira, number="OPS-88")
    message = make_message(
        snow,
        state=MessageState.ROUTED,
        conversation=conversation,
        operation="create",
        number="INC0012",
        body={"canonical": said("Please hurry")},
    )
    make_delivery(
        message,
        jira,
        DeliveryState.DELIVERED,
        snapshot={"changed": {"title": None, "priority": None}},
        rule=make_rule(environment, name="Incident to Jira"),
    )
    return conversation


def said(text: str, visibility: Visibility = Visibility.PUBLIC) -> dict[str, object]:
    return to_json(
        CanonicalMessage(
            entity_type="incident",
            kind=EntityKind.INCIDENT,
            operation=Operation.COMMENT,
            external_id="abc",
            actor=Actor(name="Ada Lovelace"),
            comments=(Comment(text, text, visibility, Actor(name="Ada Lovelace")),),
        )
    )


def path_of(conversation: Conversation, tab: str = "") -> str:
    return f"/admin/conversations/conversation/{conversation.pk}/change/{tab}"


def html_of(client: Client, path: str) -> str:
    return client.get(path, follow=True).content.decode()


def test_timeline_tells_who_did_what_by_which_rule() -> None:
    html = html_of(signed_in(), path_of(make_story()))

    assert "by Ada Lovelace" in html
    assert "title, priority" in html
    assert "Please hurry" in html
    assert "Incident to Jira" in html


def test_viewer_reads_no_names_and_no_words() -> None:
    conversation = make_story()

    html = html_of(signed_in("viewer", conversation.environment), path_of(conversation))

    assert "Incident to Jira" in html
    assert not [word for word in ("Ada Lovelace", "title, priority", "Please hurry") if word in html]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MessageState.ECHO, "It tells only what we wrote ourselves."),
        (MessageState.DUPLICATE, "The sender had sent it before."),
        (MessageState.UNMATCHED, "No rule is for this message."),
    ],
)
def test_what_was_not_sent_says_why(state: MessageState, words: str) -> None:
    conversation = make_story()
    make_message(conversation.messages.get().endpoint, state=state, conversation=conversation)

    assert words in html_of(signed_in(), path_of(conversation))


def test_file_that_no_rule_sends_on_says_so() -> None:
    conversation = make_story()
    make_message(
        conversation.messages.get().endpoint,
        state=MessageState.PROCESSED,
        reason=FILE_KEPT,
        conversation=conversation,
    )

    assert "No rule sends this file on." in html_of(signed_in(), path_of(conversation))


def test_held_delivery_offers_its_verbs_to_operators() -> None:
    conversation = make_story()
    delivery = Delivery.objects.get()
    Delivery.objects.update(state=DeliveryState.HELD, hold_reason=HoldReason.REFUSED)
    pages = {
        role: html_of(signed_in(role, conversation.environment), path_of(conversation))
        for role in ("viewer", "operator")
    }

    for page in pages.values():
        assert f"Delivery #{delivery.pk} →" in page
    assert 'value="retry_selected"' in pages["operator"]
    assert 'value="retry_selected"' not in pages["viewer"]


def test_days_are_told_apart() -> None:
    conversation = make_story()
    later = make_message(conversation.messages.get().endpoint, conversation=conversation)
    Message.objects.filter(pk=later.pk).update(received_at=timezone.now() + timedelta(days=1))

    assert html_of(signed_in(), path_of(conversation)).count('class="oi-day"') == 2


def test_comments_tab_tells_internal_ones() -> None:
    conversation = make_story()
    endpoint = conversation.messages.get().endpoint
    for _ in range(2):
        body = {"canonical": said("Only for us", Visibility.INTERNAL)}
        make_message(endpoint, conversation=conversation, body=body)

    html = html_of(signed_in(), path_of(conversation, "?tab=comments"))

    assert html.count("Only for us") == 1
    assert html.count("lock</span>Internal") == 1
    assert "Please hurry" in html


def test_attachments_tab_lists_files() -> None:
    conversation = make_story()
    message = conversation.messages.get()
    message.attachments.create(
        endpoint=message.endpoint,
        environment=conversation.environment,
        conversation=conversation,
        file_name="switch.log",
        size=2048,
        complete=True,
    )

    html = html_of(signed_in(), path_of(conversation, "?tab=attachments"))

    assert "switch.log" in html
    assert "2.0" in html


@pytest.mark.parametrize("tab", [tab for tab in TABS if tab.reads_payload], ids=lambda tab: tab.name)
def test_tabs_with_contents_are_closed_to_viewers(tab) -> None:
    conversation = make_story()

    html = html_of(signed_in("viewer", conversation.environment), path_of(conversation, f"?tab={tab.name}"))

    assert "ask an administrator" in html


def test_cost_does_not_grow_with_messages() -> None:
    conversation, client = make_story(), signed_in()
    message = conversation.messages.get()
    client.get(path_of(conversation))
    with CaptureQueriesContext(connection) as few:
        client.get(path_of(conversation))
    for _ in range(5):
        more = make_message(message.endpoint, state="routed", conversation=conversation)
        make_delivery(more, Delivery.objects.first().endpoint)

    with CaptureQueriesContext(connection) as many:
        client.get(path_of(conversation))

    assert len(many) == len(few)
    assert len(many) <= 20


def test_resync_is_asked_and_noted() -> None:
    conversation = make_story()
    ticket = conversation.participants.get(number="INC0012")
    path = f"/admin/conversations/conversation/{conversation.pk}/resync/{ticket.pk}/"
    client = signed_in("operator", conversation.environment)

    asked = html_of(client, path)
    done = client.post(path, follow=True).content.decode()

    assert "Resync from ServiceNow?" in asked
    assert "is routed again as message" in done
    assert LogEntry.objects.get().get_change_message() == "Resync from ServiceNow"
    assert Message.objects.filter(state=MessageState.RECEIVED).count() == 1


def test_resync_without_a_state_says_why() -> None:
    conversation = make_story()
    ticket = conversation.participants.get(number="OPS-88")

    answer = signed_in().post(
        f"/admin/conversations/conversation/{conversation.pk}/resync/{ticket.pk}/", follow=True
    )

    assert "Nothing was sent. Jira has told nothing" in answer.content.decode()


def test_resync_is_not_for_viewers() -> None:
    conversation = make_story()
    ticket = conversation.participants.get(number="INC0012")

    answer = signed_in("viewer", conversation.environment).post(
        f"/admin/conversations/conversation/{conversation.pk}/resync/{ticket.pk}/"
    )

    assert answer.status_code == 403
    assert Message.objects.count() == 1

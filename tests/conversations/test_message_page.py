"""The page of one message: what rules read first, native beside canonical, tries with answers, readers."""

import pytest
from django.urls import reverse
from django.utils import timezone

from conversations import audit
from conversations.admin import contents, curl
from conversations.models import Attachment, Conversation, MessageState, PayloadView
from endpoints.canonical import CanonicalMessage, EntityKind, Operation, to_json
from routing.models import Condition, Mapping
from tests.conversations.test_feed import Routed
from tests.conversations.test_models import make_attempt
from tests.factories import make_delivery, make_environment, make_message
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db


def page(row, client=None) -> str:
    answer = (client or signed_in()).get(
        reverse(f"admin:conversations_{row._meta.model_name}_change", args=[row.pk])
    )
    assert answer.status_code == 200
    return answer.content.decode()


def make_read() -> Routed:
    """A message whose rule reads title and category, not description."""
    routed = Routed()
    version = routed.rule.versions.get()
    type(routed.rule).objects.filter(pk=routed.rule.pk).update(current_version=version)
    Condition.objects.create(version=version, path="category", operator="exists")
    Mapping.objects.create(
        version=version, kind="template", template="{{ attributes.title }}!", target="summary"
    )
    message = CanonicalMessage(
        entity_type="incident",
        kind=EntityKind.INCIDENT,
        operation=Operation.CREATE,
        external_id="abc",
        attributes={"description": "since nine", "title": "Plant stands still", "category": "network"},
        native={"short_description": "Plant stands still", "nested": {"list": ["first", "second"]}},
    )
    routed.message.body.canonical = to_json(message)
    routed.message.body.save()
    return routed


def test_attributes_that_the_rule_reads_come_first():
    routed = make_read()

    html = page(routed.message)

    assert html.index(">title<") < html.index(">description<")
    assert html.index(">category<") < html.index(">description<")
    assert html.count('aria-label="used by a rule"') == 2


def test_try_before_any_mapping_does_not_hide_what_the_rule_reads():
    routed = make_read()
    routed.delivery.attempts.create(organization_id=routed.message.organization_id, token=1)

    assert page(routed.message).count('aria-label="used by a rule"') == 2


def test_native_values_stand_beside_with_their_paths():
    html = page(make_read().message)

    assert "short_description" in html
    assert "nested.list[1]" in html


def test_empty_parts_of_a_document_are_shown():
    assert list(contents.flat({"a": {}, "b": [], "c": [1, {"d": None}]})) == [
        ("a", {}),
        ("b", []),
        ("c[0]", 1),
        ("c[1].d", None),
    ]


def test_variables_are_shown_before_and_after():
    routed = make_read()
    routed.delivery.content.snapshot = {"conversation": {"step": "first"}, "variables": {"team": "Network"}}
    routed.delivery.content.save()
    conversation = Conversation.objects.get(pk=routed.message.conversation_id)
    conversation.variables = {"step": "second"}
    conversation.save()

    html = page(routed.message)

    assert "first" in html
    assert '<strong class="oi-strong">second</strong>' in html
    assert "Network" in html


def test_later_message_does_not_change_what_was_after_an_earlier():
    routed = make_read()
    routed.delivery.content.snapshot = {"conversation": {"step": "one"}}
    routed.delivery.content.save()
    later = make_message(
        routed.source, state=MessageState.ROUTED, conversation=routed.message.conversation, number="INC0012"
    )
    make_delivery(later, routed.target, rule=routed.rule, snapshot={"conversation": {"step": "two"}})
    routed.message.conversation.variables = {"step": "three"}
    routed.message.conversation.save()

    html = page(routed.message)

    assert "two" in html
    assert "three" not in html


def test_files_are_listed():
    routed = make_read()
    Attachment.objects.create(
        environment=routed.message.environment,
        endpoint=routed.source,
        message=routed.message,
        file_name="switch.log",
        size=2048,
        complete=True,
    )

    html = page(routed.message)

    assert "switch.log" in html
    assert "2.0" in html


def test_try_shows_request_answer_and_command():
    routed = make_read()
    routed.delivery.attempts.create(
        organization_id=routed.message.organization_id,
        token=1,
        request={
            "method": "POST",
            "path": "/rest/api/3/issue",
            "query": {},
            "body": {"summary": "It's down"},
        },
        answer={"status": 400, "seconds": 0.4, "headers": {}, "body": "no such priority", "is_cut": False},
    )

    html = page(routed.message)

    assert "no such priority" in html
    assert "Copy as cURL" in html
    assert "curl -X POST https://tickets.example.com/rest/api/3/issue" in html
    assert "$AUTHORIZATION" in html


@pytest.mark.parametrize(
    ("request_sent", "ending"),
    [
        ({"method": "GET", "path": "/a", "query": {"q": "x y"}, "body": None}, "'Accept: application/json'"),
        (
            {"method": "PUT", "path": "/a", "body": "<x/>", "headers": {"X-A": "b"}},
            "'X-A: b' --data-raw '<x/>'",
        ),
        ({"method": "PUT", "path": "/a", "body": {"t": "it's"}}, """--data-raw '{"t": "it'"'"'s"}'"""),
    ],
)
def test_command_can_be_pasted_into_a_shell(request_sent, ending):
    line = curl.command("https://x.example.com/", request_sent)

    assert line.startswith(f"curl -X {request_sent['method']} ")
    assert "https://x.example.com/a" in line
    assert line.endswith(ending)


@pytest.mark.parametrize("subject", ["message", "delivery", "conversation"])
def test_reading_payload_is_noted_once_an_hour(subject):
    routed = make_read()
    row = routed.delivery if subject == "delivery" else getattr(routed.delivery, subject)
    client = signed_in("operator", routed.message.environment)

    page(row, client)
    page(row, client)

    entry = PayloadView.objects.get()
    assert (entry.subject, entry.key) == (subject, str(row.pk))
    assert entry.environment == routed.message.environment


def test_who_reads_no_payload_leaves_no_entry():
    routed = make_read()

    page(routed.message, signed_in("viewer", routed.message.environment))

    assert not PayloadView.objects.exists()


def test_readers_are_listed_for_administrators_only():
    routed = make_read()
    reader = make_user("operator", routed.message.environment)
    audit.payload_read(reader, routed.message)
    address = reverse("admin:conversations_payloadview_changelist")

    seen = signed_in("administrator", routed.message.environment).get(address).content.decode()
    refused = signed_in("integrator", routed.message.environment).get(address)
    elsewhere = signed_in("administrator", make_environment()).get(address).content.decode()

    assert reader.get_username() in seen
    assert refused.status_code == 403
    assert reader.get_username() not in elsewhere


def test_entry_outlives_its_reader():
    routed = make_read()
    reader = make_user("operator", routed.message.environment)
    audit.payload_read(reader, routed.message)

    reader.delete()

    assert PayloadView.objects.get().person == reader.get_username()


def test_what_our_own_mapping_failed_on_is_not_the_targets_word():
    delivery = make_delivery(state="held", hold_reason="mapping")
    detail = "Table Priorities has no row for P1."
    now = timezone.now()
    make_attempt(delivery, result="not_sent", failure="data", detail=detail, ended_at=now)

    html = page(delivery)

    assert "What went wrong" in html
    assert f"{delivery.endpoint.name} said" not in html
    assert "The rule could not make the request." in html

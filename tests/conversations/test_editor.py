"""The mapping editor's answers: what a rule gives on a real message, who may ask, and what a save writes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from guardian.shortcuts import assign_perm

from conversations.admin.editor.sides import side
from conversations.models import Conversation, Message, MessageState, PayloadView
from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Operation, Visibility, to_json
from endpoints.models import Endpoint, InternalComments
from oneio.access import Permission
from oneio.models import Environment
from routing import versions
from routing.models import Counter, RoutingRule, TranslationTable
from tests.conversations.world import make_table
from tests.factories import (
    make_conversation,
    make_endpoint,
    make_environment,
    make_message,
    make_participant,
    make_rule,
)
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db
COMMENT = Comment("c1", "Looking", Visibility.PUBLIC, at=datetime(2026, 1, 1, tzinfo=UTC))
ATTRIBUTES = {"title": "Core switch down", "priority": "1 - Critical", "description": "It drops."}


class Desk:
    """A rule from ServiceNow to Jira with an empty draft, and one message that it may be tried on."""

    def __init__(self, environment: Environment | None = None) -> None:
        self.environment = environment or make_environment()
        self.source = make_endpoint("servicenow", self.environment, name="ServiceNow")
        self.target = make_endpoint("jira", self.environment, name="Jira", settings={"project": "OPS"})
        self.rule = make_rule(self.environment, name="Incident to Jira")
        versions.save_draft(self.rule, *(one.entity_types.get() for one in (self.source, self.target)))
        self.message = make_sample(self.source)
        self.client = signed_in("integrator", self.environment)

    def document(self, **parts: Any) -> dict[str, Any]:
        """The rule as the page sends it."""
        path = {"from": f"{self.source.slug}/incident", "to": f"{self.target.slug}/incident"}
        return {"name": self.rule.name, **path, "operations": ["create", "update", "comment"], **parts}

    def ask(self, name: str, client: Client | None = None, **content: Any) -> Any:
        """What one of the editor's addresses answers."""
        address = reverse(f"routing_routingrule_editor_{name}", args=[self.rule.pk])
        return (client or self.client).post(address, json.dumps(content), content_type="application/json")

    def preview(
        self,
        client: Client | None = None,
        tables: Any = None,
        sample: Message | None = None,
        **parts: Any,
    ) -> dict[str, Any]:
        """What the rule with these parts makes of the message."""
        number = (sample or self.message).pk
        content = {"rule": self.document(**parts), "sample": number, "tables": tables or {}}
        answer: dict[str, Any] = self.ask("preview", client, **content).json()
        return answer

    def save(self, **parts: Any) -> Any:
        """What a save right after opening the page answers."""
        return self.ask("save", rule=self.document(**parts), fingerprint=self.state()["fingerprint"])

    def state(self, client: Client | None = None) -> dict[str, Any]:
        """What the page is given."""
        page = (client or self.client).get(reverse("routing_routingrule_editor", args=[self.rule.pk]))
        state: dict[str, Any] = page.context["state"]
        return state


def make_sample(
    source: Endpoint,
    attributes: dict[str, Any] = ATTRIBUTES,
    conversation: Conversation | None = None,
    comments: tuple[Comment, ...] = (COMMENT,),
) -> Message:
    """A routed message about INC0012."""
    canonical = CanonicalMessage(
        entity_type="incident",
        kind=EntityKind.INCIDENT,
        operation=Operation.CREATE,
        external_id="abc",
        number="INC0012",
        attributes=attributes,
        comments=comments,
    )
    if conversation is None:
        conversation = make_conversation(source.environment)
        make_participant(conversation, source, external_id="abc", number="INC0012")
    return make_message(
        source,
        state=MessageState.ROUTED,
        body={"canonical": to_json(canonical)},
        conversation=conversation,
        entity_type="incident",
        operation="create",
        number="INC0012",
        external_id="abc",
    )


def given(answer: dict[str, Any]) -> dict[str, Any]:
    return {one["place"]: one for one in answer["given"]}


def test_each_mapping_shows_what_it_gives() -> None:
    rows = [
        {"source": "title", "target": "title", "formatters": [{"name": "upper"}]},
        {"kind": "template", "template": "{{ message.number }}: {{ title }}", "target": "description"},
        {"source": "nowhere", "target": "labels"},
        {"source": "title", "target": "environment", "only_on": "update"},
    ]

    found = given(Desk().preview(outgoing=rows))

    assert found["outgoing[0]"]["values"] == {"title": "CORE SWITCH DOWN"}
    assert found["outgoing[1]"]["values"] == {"description": "INC0012: Core switch down"}
    assert found["outgoing[2]"]["fate"] == "nothing"
    assert found["outgoing[3]"]["why"] == "only on update"


def test_variables_are_read_by_later_rows() -> None:
    answer = Desk().preview(
        variables=[{"kind": "constant", "constant": "Ada", "target": "caller"}],
        outgoing=[{"source": "variables.caller", "target": "reporter"}],
    )

    assert answer["variables"] == {"caller": "Ada"}
    assert given(answer)["outgoing[0]"]["values"] == {"reporter": "Ada"}


def test_nested_conditions_are_told_one_by_one() -> None:
    when = [
        {"attribute": "title", "operator": "exists"},
        {"any": [{"attribute": "priority", "operator": "equals", "value": "2 - High"}]},
    ]

    answer = Desk().preview(when=when)

    assert {one["place"]: one["holds"] for one in answer["answers"]} == {
        "when[0]": True,
        "when[1]": False,
        "when[1].any[0]": False,
    }
    assert answer["answers"][2]["actual"] == "1 - Critical"
    assert answer["matched"] is False


def test_what_cannot_run_is_said_at_its_place_and_the_rest_is_tried() -> None:
    rows = [
        {"source": "title", "target": ""},
        {"kind": "translate", "source": "priority", "target": "priority"},
        {"kind": "counter", "counter": "n", "target": "labels"},
        {"source": "title", "target": "title"},
    ]

    answer = Desk().preview(outgoing=rows, when=[{"attribute": "title", "operator": "equals"}])

    places = {one["place"] for one in answer["problems"]}
    assert {"outgoing[0].target", "outgoing[1].table", "outgoing[2].kind", "when[0].value"} <= places
    assert given(answer)["outgoing[3]"]["values"] == {"title": "Core switch down"}


def test_mapping_that_fails_says_what_to_do_beside_its_row() -> None:
    desk = Desk()
    make_table(desk.source, {"5 - Planning": "Lowest"}, name="Priorities")
    row = {"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"}

    found = given(desk.preview(outgoing=[row]))["outgoing[0]"]

    assert found["fate"] == "failed"
    assert found["why"] == "Table Priorities has no row for 1 - Critical. Add one, then retry."


def test_unsaved_table_counts_for_the_preview_only() -> None:
    desk = Desk()
    table = make_table(desk.source, {}, name="Priorities")
    row = {"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"}
    unsaved = {"Priorities": {"rows": [["1 - Critical", "Highest"]]}}

    answer = desk.preview(outgoing=[row], tables=unsaved)

    assert given(answer)["outgoing[0]"]["values"] == {"priority": "Highest"}
    assert not table.rows.exists()


def test_comment_is_worded_only_where_there_is_one() -> None:
    desk, row = Desk(), {"source": "comment.text", "target": "comment"}
    silent = make_sample(desk.source, conversation=desk.message.conversation, comments=())

    with_one, without = given(desk.preview(outgoing=[row])), desk.preview(outgoing=[row], sample=silent)

    assert with_one["outgoing[0]"]["values"] == {"comment": "Looking"}
    assert given(without)["outgoing[0]"]["why"] == "only for messages with a comment"


def test_request_is_shown_as_the_target_gets_it() -> None:
    rows = [{"source": "title", "target": "title"}]

    [create] = Desk().preview(outgoing=rows)["requests"]

    [step] = create["steps"]
    assert (create["title"], step["method"]) == ("Create", "POST")
    assert step["body"]["fields"]["summary"] == "Core switch down"


def test_ticket_that_is_there_is_shown_an_update_and_a_comment() -> None:
    desk = Desk()
    shadow = {"known": {"title": "Core switch down"}, "written": {}, "codes": {}}
    make_participant(desk.message.conversation, desk.target, external_id="1", number="OPS-1", shadow=shadow)

    answer = desk.preview(outgoing=[{"source": "title", "target": "title"}])

    titles = [one["title"] for one in answer["requests"]]
    assert titles == ["Create", "Update OPS-1", "Comment on OPS-1"]
    assert "has all of this already" in answer["requests"][1]["note"]


def both_changed(ownership: str) -> dict[str, Any]:
    """The update that is shown where the title became Theirs there, and becomes Ours here."""
    desk = Desk()
    there = desk.message.conversation
    shadow = {"known": {"title": "Theirs"}, "written": {"title": "Core switch down"}, "codes": {}}
    make_participant(there, desk.target, external_id="1", number="OPS-1", shadow=shadow)
    now = make_sample(desk.source, {**ATTRIBUTES, "title": "Ours"}, there)
    row = {"source": "title", "target": "title", "ownership": ownership}
    update: dict[str, Any] = desk.preview(outgoing=[row], sample=now)["requests"][1]
    return update


@pytest.mark.parametrize(
    ("ownership", "sent", "said"),
    [
        ("source", "Ours", "to Theirs: ours counts, and a conflict is noted"),
        (
            "target",
            None,
            "title is left out: it was changed there, too, to Theirs, and the target's value counts",
        ),
        ("newest", None, "it is not known to be older (ours: Ours)"),
        ("append", "Theirs Ours", "both texts are kept"),
    ],
)
def test_update_shows_whose_value_counts(ownership: str, sent: str | None, said: str) -> None:
    update = both_changed(ownership)

    bodies = [step["body"]["fields"]["summary"] for step in update["steps"]]
    assert bodies == ([sent] if sent else [])
    [sentence] = update["said"]
    assert said in sentence


def test_internal_comment_is_not_shown_as_sent_where_it_stays() -> None:
    desk = Desk()
    Endpoint.objects.filter(pk=desk.source.pk).update(internal_comments=InternalComments.NEVER_LEAVE)
    make_participant(desk.message.conversation, desk.target, external_id="1", number="OPS-1")
    internal = (replace(COMMENT, visibility=Visibility.INTERNAL),)
    note = make_sample(desk.source, conversation=desk.message.conversation, comments=internal)

    answer = desk.preview(variables=[{"source": "comment.text", "target": "said"}], sample=note)

    comment = answer["requests"][-1]
    assert (comment["title"], comment["steps"]) == ("Comment on OPS-1", [])
    assert answer["variables"] == {}


def test_preview_takes_no_number_and_writes_nothing_but_who_read_it() -> None:
    desk = Desk()
    counter = Counter.objects.create(environment=desk.environment, name="tickets", value=41)
    row = {"kind": "counter", "counter": "tickets", "target": "number"}

    with CaptureQueriesContext(connection) as queries:
        answer = desk.preview(variables=[row])

    counter.refresh_from_db()
    asked = [q["sql"] or "" for q in queries]  # prepared statements tell no text
    written = [sql for sql in asked if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert (answer["variables"], counter.value) == ({"number": "42"}, 41)
    assert all("conversations_payloadview" in sql for sql in written)
    assert PayloadView.objects.get().key == str(desk.message.pk)


def test_who_may_not_read_payload_sees_problems_only() -> None:
    desk = Desk()
    user = make_user()
    for permission in (Permission.VIEW, Permission.INTEGRATE):
        give(user, permission, desk.environment)
    client = Client()
    client.force_login(user)

    answer = desk.preview(client, outgoing=[{"source": "title", "target": ""}])

    assert "given" not in answer
    assert answer["problems"]
    assert desk.state(client)["samples"] == []


def give(user: Any, permission: Permission, environment: Environment) -> None:
    assign_perm(f"oneio.{permission}", user, environment)


def test_message_of_another_organization_is_no_sample() -> None:
    desk, other = Desk(), Desk()

    answer = desk.ask("preview", rule=desk.document(), sample=other.message.pk).json()

    assert "sample" not in answer


@pytest.mark.parametrize("name", ["preview", "save", "table"])
def test_rule_of_another_organization_is_not_there(name: str) -> None:
    desk, other = Desk(), Desk()

    assert desk.ask(name, other.client, rule=desk.document()).status_code == 404
    assert desk.ask(name, signed_in("viewer", desk.environment)).status_code == 403


def test_draft_is_saved_as_it_is_shown() -> None:
    desk = Desk()
    rows = [{"source": "title", "target": "title", "when": [{"attribute": "title", "operator": "exists"}]}]

    answer = desk.save(outgoing=rows, use_case="Incidents").json()

    assert (answer["saved"], answer["number"]) == (True, 1)
    assert answer["fingerprint"] == desk.state()["fingerprint"]
    rule = desk.state()["rule"]
    assert rule["use_case"] == "Incidents"
    assert rule["outgoing"] == rows


def test_page_and_its_document_say_the_same() -> None:
    desk = Desk()
    rows = [{"source": "title", "target": "title"}]
    desk.save(outgoing=rows)

    state = desk.state()
    answer = desk.ask("save", rule=state["rule"], fingerprint=state["fingerprint"]).json()

    assert answer["fingerprint"] == state["fingerprint"]


def test_draft_of_somebody_else_is_not_overwritten() -> None:
    desk = Desk()
    before = desk.state()["fingerprint"]
    desk.ask("save", rule=desk.document(priority=5), fingerprint=before)

    answer = desk.ask("save", rule=desk.document(priority=9), fingerprint=before)

    assert answer.status_code == 409
    assert "after you opened it" in answer.json()["conflict"]
    draft = versions.find_draft(desk.rule)
    assert draft is not None
    assert draft.priority == 5


def test_what_cannot_run_is_not_saved() -> None:
    desk = Desk()

    answer = desk.save(outgoing=[{"target": "title"}]).json()

    assert answer["saved"] is False
    assert [one["place"] for one in answer["problems"]] == ["outgoing[0].source"]
    assert "outgoing" not in desk.state()["rule"]


def test_first_save_beside_a_published_version_makes_a_draft() -> None:
    desk = Desk()
    versions.publish(desk.rule, None, "First")

    answer = desk.save(priority=3).json()

    desk.rule.refresh_from_db()
    draft = versions.find_draft(desk.rule)
    assert answer["number"] == 2
    assert draft is not None
    assert desk.rule.current_version is not None
    assert (draft.priority, desk.rule.current_version.priority) == (3, 0)


def test_only_oneself_may_be_named_as_owner() -> None:
    desk, stranger = Desk(), make_user()

    answer = desk.save(owner=stranger.username).json()

    assert [one["place"] for one in answer["problems"]] == ["owner"]
    assert RoutingRule.objects.get(pk=desk.rule.pk).owner != stranger


def test_name_of_another_rule_is_refused_beside_the_name() -> None:
    desk = Desk()
    other = make_rule(desk.environment)

    answer = desk.save(name=other.name).json()

    assert [one["place"] for one in answer["problems"]] == ["name"]


def test_table_is_saved_at_once() -> None:
    desk = Desk()

    answer = desk.ask("table", table={"Priorities": {"rows": [["1", "High"], ["2", "Low"]]}}).json()

    assert answer["saved"] is True
    rows = TranslationTable.objects.get(environment=desk.environment, name="Priorities").rows
    assert list(rows.values_list("source", "target")) == [("1", "High"), ("2", "Low")]
    assert LogEntry.objects.get().change_message == "Saved in the mapping editor"


def test_values_without_a_row_are_found_in_messages() -> None:
    desk = Desk()
    make_table(desk.source, {"2 - High": "High"}, name="Priorities")
    address = reverse("routing_routingrule_editor_unmapped", args=[desk.rule.pk])

    answer = desk.client.get(address, {"path": "priority", "table": "Priorities"}).json()

    assert answer == {"values": ["1 - Critical"]}


def test_samples_are_the_latest_or_those_of_a_ticket() -> None:
    desk = Desk()
    make_message(desk.source, state=MessageState.UNMATCHED, number="INC0099", entity_type="incident")
    address = reverse("routing_routingrule_editor_samples", args=[desk.rule.pk])

    every = desk.client.get(address).json()["samples"]
    of_one = desk.client.get(address, {"ticket": "inc0012"}).json()["samples"]

    assert [one["number"] for one in every] == ["INC0099", "INC0012"]
    assert [one["number"] for one in of_one] == ["INC0012"]


def test_target_is_shown_with_what_it_demands() -> None:
    target = Desk().state()["target"]

    title = next(one for one in target["attributes"] if one["name"] == "title")
    assert (title["label"], title["mandatory"]) == ("Summary", True)


def test_what_a_message_changed_is_told_by_the_one_before() -> None:
    desk = Desk()
    before = desk.message
    desk.message = make_sample(desk.source, {**ATTRIBUTES, "priority": "2 - High"}, before.conversation)

    answer = desk.preview(when=[{"attribute": "priority", "operator": "changed"}])

    assert answer["sample"]["changed"] == ["priority"]
    assert answer["matched"] is True


def test_rule_that_goes_nowhere_yet_asks_for_that_first() -> None:
    desk = Desk()
    rule = make_rule(desk.environment)

    answer = desk.client.get(reverse("routing_routingrule_editor", args=[rule.pk]))

    assert answer.url == reverse("admin:routing_routingrule_change", args=[rule.pk])


def test_table_says_how_many_rules_use_it_now() -> None:
    desk = Desk()
    make_table(desk.source, {"1": "High"}, name="Priorities")
    row = {"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"}
    desk.save(outgoing=[row])
    versions.publish(desk.rule, None, "First")
    used = desk.state()["tables"]["Priorities"]["used"]

    desk.save(outgoing=[])
    versions.publish(desk.rule, None, "Second")

    assert (used, desk.state()["tables"]["Priorities"]["used"]) == (1, 0)


def test_attributes_of_a_system_that_cannot_say_are_the_usual_ones() -> None:
    environment = make_environment()
    endpoint = make_endpoint("rest", environment)

    found = side(endpoint, endpoint.entity_types.get())

    assert {"title", "priority", "status"} <= {one["name"] for one in found["attributes"]}


@pytest.mark.parametrize("name", ["save", "preview", "table"])
@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"rule": {"name": NaN}, "table": NaN}',
        '{"rule": {"name": "a\\u0000"}, "table": {"a\\u0000": {}}}',
        '{"rule": {"use_case": "\\ud800"}, "table": {"T": {"rows": [["\\ud800", "b"]]}}}',
        '{"rule": {"when": ' + '[{"any": ' * 400 + "[]" + "}]" * 400 + '}, "table": []}',
        '{"rule": {"outgoing": [{"formatters": [{"a": "\\u0000"}]}]}, "table": 1, "sample": 1e400}',
    ],
    ids=["deep", "no number", "NUL", "half a character", "deep conditions", "deep value"],
)
def test_what_cannot_be_stored_is_refused_in_words(name: str, content: str) -> None:
    desk = Desk()
    address = reverse(f"routing_routingrule_editor_{name}", args=[desk.rule.pk])

    answer = desk.client.post(address, content, content_type="application/json")

    assert answer.status_code == 200
    assert not answer.json().get("saved")

"""Lookups in the mapping editor: the question on the sample, an answer only when asked for, and the save."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse

from conversations.models import LookupAnswer, Message, MessageState
from endpoints import gates
from endpoints.canonical import CanonicalMessage, EntityKind, Operation, to_json
from routing import versions
from tests.conversations.world import Line
from tests.factories import make_message, make_rule
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
BETH = "beth.anglin@example.com"


class Place:
    """A rule from a running ServiceNow to Jira, and a message that names a caller."""

    def __init__(self, line: Line) -> None:
        self.line, self.environment = line, line.snow.environment
        self.rule = make_rule(self.environment, name="With the caller")
        sides = (line.snow, line.jira_endpoint)
        versions.save_draft(self.rule, *(one.entity_types.get() for one in sides))
        self.message = self.say(u_mail=BETH)
        self.client = signed_in("integrator", self.environment)

    def say(self, **attributes: Any) -> Message:
        canonical = CanonicalMessage("incident", EntityKind.INCIDENT, Operation.CREATE, "abc", "INC0012")
        told = to_json(canonical) | {"attributes": attributes}
        return make_message(
            self.line.snow, state=MessageState.ROUTED, body={"canonical": told}, entity_type="incident"
        )

    def document(self, **fields: Any) -> dict[str, Any]:
        """A rule that looks the caller up by the address that the ticket tells."""
        lookup = {
            "name": "caller",
            "from": self.line.snow.slug,
            "record": "sys_user",
            "criteria": [{"attribute": "email", "template": "{{ u_mail }}"}],
        }
        return {
            "name": self.rule.name,
            "from": f"{self.line.snow.slug}/incident",
            "to": f"{self.line.jira_endpoint.slug}/issue",
            "lookups": [lookup | fields],
            "outgoing": [{"source": "lookups.caller.name", "target": "title"}],
        }

    def ask(self, name: str, **content: Any) -> dict[str, Any]:
        """What one of the editor's addresses answers."""
        address = reverse(f"routing_routingrule_editor_{name}", args=[self.rule.pk])
        sent = {"rule": self.document(), "sample": self.message.pk, **content}
        answer: dict[str, Any] = self.client.post(address, json.dumps(sent), "application/json").json()
        return answer

    def try_it(self, **content: Any) -> str:
        """Why the lookup has no answer."""
        return str(self.ask("lookup", place="lookups[0]", **content)["problem"])


@pytest.fixture
def place(line: Line) -> Place:
    return Place(line)


def test_preview_shows_the_question_and_asks_nobody(place: Place) -> None:
    place.line.servicenow.fault(path="sys_user", times=5)

    [lookup] = place.ask("preview")["lookups"]

    assert lookup == {"place": "lookups[0]", "asked": [["email", BETH]], "records": None}
    assert place.line.servicenow.call("GET", "/_sandbox/faults")[0]["times"] == 5


def test_tried_lookup_feeds_the_mappings(place: Place) -> None:
    assert place.try_it() == ""

    answer = place.ask("preview")

    assert answer["lookups"][0]["records"][0]["name"] == "Beth Anglin"
    assert answer["given"][0]["values"] == {"title": "Beth Anglin"}
    assert LookupAnswer.objects.count() == 1


def test_system_that_fails_says_so(place: Place) -> None:
    place.line.servicenow.fault(path="sys_user", status=500)

    assert "gave no answer" in place.try_it()


def test_slow_system_keeps_nobody_waiting(place: Place) -> None:
    place.line.servicenow.fault(path="sys_user", delay=5)

    assert "gave no answer" in place.try_it(rule=place.document(timeout_seconds=1))


def test_paused_system_is_not_asked(place: Place) -> None:
    gates.suspend(place.line.snow)

    assert "is paused" in place.try_it()


def test_message_without_what_is_asked_by_asks_nothing(place: Place) -> None:
    place.message = place.say(u_mail="")

    assert "lacks" in place.try_it()
    assert not LookupAnswer.objects.exists()


def test_saved_lookup_comes_back(place: Place) -> None:
    page = place.client.get(reverse("routing_routingrule_editor", args=[place.rule.pk]))
    fingerprint = page.context["state"]["fingerprint"]

    assert place.ask("save", fingerprint=fingerprint)["saved"] is True

    page = place.client.get(reverse("routing_routingrule_editor", args=[place.rule.pk]))
    assert page.context["state"]["rule"]["lookups"] == place.document()["lookups"]


def test_viewer_asks_nothing(place: Place) -> None:
    place.client = signed_in("viewer", place.environment)
    address = reverse("routing_routingrule_editor_lookup", args=[place.rule.pk])

    answer = place.client.post(address, "{}", "application/json")

    assert answer.status_code == 403

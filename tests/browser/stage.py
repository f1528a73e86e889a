"""A desk in the middle of its day: beside the demo's ticket everything that a person may have to look at.

Tickets come in by real requests to a running demo; only configuration and people are written here.
Usage: ONEIO_STATE_DIR=FOLDER python -m tests.browser.stage SERVICENOW JIRA   (prints where each page is)
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
django.setup()

from django.contrib.admin.models import CHANGE, LogEntry  # noqa: E402 (Django is ready only now)
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from conversations import golden  # noqa: E402
from conversations.demo.systems import ServiceNow, System  # noqa: E402
from conversations.models import (  # noqa: E402
    Attempt,
    Delivery,
    DeliveryState,
    HoldReason,
    Message,
    MessageState,
    Replay,
)
from conversations.replay import lifecycle  # noqa: E402
from conversations.replay.planning import plan_at_once  # noqa: E402
from conversations.statistics import count_hours  # noqa: E402
from endpoints.canonical import EntityKind  # noqa: E402
from endpoints.http import HttpClient  # noqa: E402
from endpoints.models import Endpoint, EndpointGate, EntityType  # noqa: E402
from endpoints.network import NetworkPolicy  # noqa: E402
from oneio import access  # noqa: E402
from oneio.models import Environment, EnvironmentKind  # noqa: E402
from routing import versions  # noqa: E402
from routing.models import Condition, Mapping, RoutingRule, TranslationTable, UnmappedPolicy  # noqa: E402

PATIENCE = 180.0
PEOPLE = {"mia": "viewer", "omar": "operator", "ines": "integrator"}
GAP = (
    "Order system answers with error 503",
    "Warehouse scanners lose their session",
    "Invoices are printed twice",
)
EARLY = ("Wireless is slow in the canteen", "Switch in rack 12 restarts by itself")
TO_JIRA = "incident-to-jira"


class Stage:
    """The simulated systems of a running demo, and what is brought about there."""

    def __init__(self, servicenow: str, jira: str) -> None:
        http = HttpClient(NetworkPolicy(allow_loopback=True))
        self.servicenow = ServiceNow(System("ServiceNow", servicenow, http))
        self.jira = System("Jira", jira, http)
        self.production = Environment.objects.get(kind=EnvironmentKind.PRODUCTION)

    def set_up(self) -> None:
        """Every situation, one after the other."""
        self.fill_qa()
        self.give_roles()
        self.come_too_early()
        self.connect_partner()
        self.leave_gap()
        self.write_draft()
        self.send_unmatched()
        self.fail_for_a_while()
        self.plan_replay()
        self.keep_golden_tickets()
        count_hours(timezone.now())

    def fill_qa(self) -> None:
        """QA has what Production has."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "production.yaml"
            call_command("export_config", environment="production", output=file, stdout=sys.stderr)
            options = {"environment": "qa", "publish": True, "reason": "As in Production"}
            call_command("import_config", str(file), **options, stdout=sys.stderr)

    def give_roles(self) -> None:
        """Three people, each with another role."""
        for name, role in PEOPLE.items():
            person = User.objects.create_user(name, password=None, is_staff=True)
            access.grant(person, role, self.production)

    def come_too_early(self) -> None:
        """Network tickets, before there is a rule that sends these to the partner."""
        numbers = [
            self._open(title, f"early-{number}", assignment_group="Network")
            for number, title in enumerate(EARLY)
        ]
        self.early = Message.objects.filter(number__in=numbers, operation="create")
        arrived = Delivery.objects.filter(
            message__in=self.early, part="record", state=DeliveryState.DELIVERED
        )
        _wait("them at Jira", lambda: arrived.count() == len(EARLY))

    def connect_partner(self) -> None:
        """A second Jira that refuses our password: its endpoint pauses at the first ticket."""
        ours = Endpoint.objects.get(environment=self.production, kind="jira")
        partner = Endpoint.objects.create(
            environment=self.production,
            slug="fabrikam-jira",
            name="Fabrikam Jira",
            kind="jira",
            base_url=ours.base_url,
            settings=ours.settings,
        )
        partner.credentials.secrets = {"api_token": "changed by the partner"}
        partner.credentials.save()
        target = EntityType.objects.create(
            endpoint=partner,
            environment=self.production,
            name="incident",
            kind=EntityKind.INCIDENT,
            remote_name="Incident",
        )
        self._rule_for(target)
        self._open("Uplink of building 4 drops packets", "uplink", assignment_group="Network")
        _wait("a paused endpoint", lambda: EndpointGate.objects.exclude(pause_reason="").exists())

    def leave_gap(self) -> None:
        """A priority that a translation table does not know."""
        table = TranslationTable.objects.get(environment=self.production, name="Priorities")
        table.unmapped, table.default = UnmappedPolicy.HOLD, ""
        table.save()
        table.rows.filter(source="1 - Critical").delete()
        _log(table, "Changed a value without a row. Took a row away: 1 - Critical.")
        for number, title in enumerate(GAP):
            self._open(title, f"gap-{number}", impact="1", urgency="1")
        held = Delivery.objects.filter(hold_reason=HoldReason.MAPPING)
        _wait("the held deliveries", lambda: held.count() >= len(GAP))

    def write_draft(self) -> None:
        """The rule to Jira has a draft that differs from what counts."""
        draft = versions.draft_of(RoutingRule.objects.get(environment=self.production, slug=TO_JIRA))
        draft.mappings.filter(target="labels").update(constant="from-servicenow")
        Mapping.objects.create(
            version=draft, position=20, kind="copy", source="category", target="components", missing="skip"
        )
        _log(draft.rule, "Changed labels. Added a mapping to components.")

    def send_unmatched(self) -> None:
        """A ticket that no rule takes."""
        self._open("Printer on the third floor is out of toner", "alone", assignment_group="")
        _wait("it unmatched", lambda: Message.objects.filter(state=MessageState.UNMATCHED).exists())

    def fail_for_a_while(self) -> None:
        """Jira is busy when one more ticket comes: its delivery is tried again."""
        busy = {"path": "/rest/api/3/issue$", "method": "POST", "status": 408}
        self.jira.send("PUT", "/_sandbox/faults", json=[busy])
        self._open("VPN users are asked for their code twice", "vpn")
        late = Delivery.objects.filter(state=DeliveryState.QUEUED, endpoint__slug="jira-cloud")
        _wait("a second try", lambda: Attempt.objects.filter(delivery__in=late).count() >= 2)

    def plan_replay(self) -> None:
        """What came too early is to go to the partner after all."""
        chosen = list(self.early.values_list("pk", flat=True))
        by = User.objects.get(username="omar")
        plan_at_once(lifecycle.create(self.production, chosen, lifecycle.Choice(), by))

    def keep_golden_tickets(self) -> None:
        """What the rule to Jira makes of two tickets is to stay as it is."""
        rule = RoutingRule.objects.get(environment=self.production, slug=TO_JIRA)
        for message in self.early.select_related("body"):
            name, by = f"Network ticket {message.number}", User.objects.get(username="ines")
            golden.keep(message, rule, name, golden.suggested(message, rule), by)

    def pages(self) -> dict[str, str]:
        """Where each work page is, under the name of its picture."""
        held = Delivery.objects.filter(hold_reason=HoldReason.MAPPING).earliest("pk")
        told = Message.objects.exclude(conversation=None).earliest("pk")
        rule = RoutingRule.objects.get(environment=self.production, slug=TO_JIRA)
        draft = versions.find_draft(rule)
        assert draft
        assert rule.current_version_id
        servicenow = Endpoint.objects.get(environment=self.production, kind="servicenow")
        table = TranslationTable.objects.get(environment=self.production, name="Priorities")
        compared = (rule.pk, rule.current_version_id, draft.pk)
        return {
            "home": _page("index"),
            "needs-you": reverse("needs_you"),
            "messages": _page("conversations_message_changelist"),
            "message": _page("conversations_message_change", told.pk),
            "message-held": _page("conversations_message_change", held.message_id),
            "conversations": _page("conversations_conversation_changelist"),
            "conversation": _page("conversations_conversation_change", told.conversation_id),
            "why": reverse("conversations_message_why", args=[held.message_id]),
            "why-search": f"{reverse('why')}?q={told.number}",
            "replays": _page("conversations_replay_changelist"),
            "replay": _page("conversations_replay_change", Replay.objects.get().pk),
            "golden-tickets": f"{reverse('golden_tickets')}?drafts=1",
            "rule-test": reverse("routing_rule_test", args=[rule.pk]),
            "deliveries": _page("conversations_delivery_changelist"),
            "delivery-held": _page("conversations_delivery_change", held.pk),
            "delivery-edit": _page("conversations_delivery_edit", held.pk),
            "alerts": _page("endpoints_alert_changelist"),
            "endpoints": _page("endpoints_endpoint_changelist"),
            "endpoint-add": _page("endpoints_endpoint_add"),
            "endpoint-add-servicenow": _page("endpoints_endpoint_add") + "?kind=servicenow",
            "endpoint": _page("endpoints_endpoint_change", servicenow.pk),
            "rules": _page("routing_routingrule_changelist"),
            "rule": _page("routing_routingrule_change", rule.pk),
            "mapping-editor": f"{_page('routing_routingrule_changelist')}{rule.pk}/editor/",
            "rule-compare": _page("routing_routingrule_compare", *compared),
            "rule-publish": _page("routing_routingrule_publish", rule.pk),
            "translation-tables": _page("routing_translationtable_changelist"),
            "translation-table": _page("routing_translationtable_change", table.pk),
            "configuration": _page("routing_configuration"),
            "organizations": _page("oneio_organization_changelist"),
            "environments": _page("oneio_environment_changelist"),
            "environment": _page("oneio_environment_change", self.production.pk),
            "users": _page("auth_user_changelist"),
            "who-read-what": _page("conversations_payloadview_changelist"),
        }

    def _rule_for(self, target: EntityType) -> None:
        source = EntityType.objects.get(endpoint__environment=self.production, endpoint__kind="servicenow")
        rule = RoutingRule.objects.create(
            environment=self.production,
            slug="network-to-fabrikam",
            name="Network → Fabrikam",
            enabled=True,
            owner=User.objects.get(username="ines"),
        )
        draft = versions.save_draft(rule, source, target, operations=["create", "update"])
        Condition.objects.create(
            version=draft, position=0, path="assignment_group", operator="equals", value="Network"
        )
        Mapping.objects.create(version=draft, position=0, kind="copy", source="title", target="title")
        versions.publish(rule, None, "Fabrikam takes network tickets over.")

    def _open(self, title: str, mark: str, **fields: str) -> str:
        """Somebody opens an incident in ServiceNow; its number."""
        usual = {
            "impact": "2",
            "urgency": "2",
            "assignment_group": "Vendor Support",
            "caller_id": "Beth Anglin",
        }
        text = {"short_description": title, "description": f"Reported by phone. ({mark})"}
        return str(self.servicenow.open_incident(usual | text | fields, f"({mark})")["number"])


def _log(row: Model, sentence: str) -> None:
    """The line that a form leaves behind when a person saves it."""
    person = User.objects.get(username="ines")
    LogEntry.objects.log_actions(person.pk, [row], CHANGE, change_message=sentence, single_object=True)


def _page(name: str, *arguments: object) -> str:
    return reverse(f"admin:{name}", args=arguments)


def _wait(what: str, come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come():
        if time.monotonic() > deadline:
            sys.exit(f"After {PATIENCE:.0f} s there is not yet {what}.")
        time.sleep(0.1)


if __name__ == "__main__":
    stage = Stage(*sys.argv[1:])
    stage.set_up()
    print(json.dumps(stage.pages()))

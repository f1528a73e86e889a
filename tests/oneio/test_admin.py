import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Failure, Schedule

from conversations.models import Delivery, DeliveryState, HoldReason, HourlyCount, MessageState
from conversations.statistics import hour_of
from endpoints.models import Alert, AlertKind, EndpointGate
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.home.charts import Flow
from oneio.models import Environment, EnvironmentKind, Organization
from tests.factories import make_delivery, make_endpoint, make_environment, make_message, make_organization
from tests.signed_in import make_user, signed_in

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.mark.parametrize(("label", "letters"), [("ServiceNow", "SN"), ("Jira", "JI"), ("Generic REST", "GR")])
def test_systems_have_letter_marks(label, letters):
    assert display.letters(label) == letters


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2), "2 d ago"),
        (-timedelta(minutes=3), "in 3 min"),
    ],
)
def test_times_are_told_relatively(ago, words):
    assert display.relative(NOW - ago, NOW) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (1.23, "1.2 s"), (42, "42 s"), (3600, "1 h")])
def test_durations_carry_their_unit(seconds, words):
    assert display.duration(timedelta(seconds=seconds)) == words


def test_pieces_escape_what_they_show():
    evil = "<script>alert(1)</script>"

    pieces = [
        display.chip(evil, "red", "error", evil),
        display.code(evil),
        display.pretty_json({"a": evil}),
        display.link("/x/", evil),
        display.remote_link("https://x.example.com", evil),
    ]

    assert not any("<script" in piece for piece in pieces)


def page_of(environment: Environment) -> str:
    return f"/admin/oneio/environment/{environment.pk}/change/"


@pytest.mark.django_db
class TestTenants:
    def test_organization_is_added_with_its_key(self):
        signed_in().post("/admin/oneio/organization/add/", {"name": "Acme", "slug": "acme"})

        assert Organization.objects.get().slug == "acme"

    def test_environment_shows_its_receiver_address(self, settings):
        settings.PUBLIC_URL = "https://oneio.example.com"
        environment = make_environment(kind=EnvironmentKind.QA)

        html = text_of(signed_in().get(f"/admin/oneio/environment/{environment.pk}/change/"))

        assert "https://oneio.example.com/qa/api/v1/messages" in html

    def test_second_environment_of_a_kind_is_refused_in_words(self):
        organization = make_environment().organization

        answer = signed_in().post(
            "/admin/oneio/environment/add/", {"organization": organization.pk, "kind": "production"}
        )

        assert "This organization has this environment already." in text_of(answer)
        assert Environment.objects.count() == 1

    def test_administrator_gives_a_role(self):
        environment, person = make_environment(), make_user()

        answer = signed_in("administrator", environment).post(
            page_of(environment), {"kind": "person", "name": person.username, "role": "operator"}, follow=True
        )

        assert access.may(person, Permission.OPERATE, environment.pk)
        assert f"{person} is operator now in" in text_of(answer)
        assert (person, "operator") in access.holders(environment)

    def test_group_gives_its_role_to_its_people(self):
        environment, person = make_environment(), make_user()
        group = Group.objects.create(name="Service desk")
        person.groups.add(group)

        answer = signed_in().post(
            page_of(environment), {"kind": "group", "name": group.name, "role": "operator"}, follow=True
        )

        assert access.may(person, Permission.OPERATE, environment.pk)
        assert not access.may(person, Permission.INTEGRATE, environment.pk)
        assert access.holders(environment) == [(group, "operator")]
        assert "Service desk" in text_of(answer)

    @pytest.mark.parametrize("kind", ["person", "group"])
    def test_role_can_be_taken_away(self, kind):
        environment, person = make_environment(), make_user()
        group = Group.objects.create(name=person.username)
        person.groups.add(group)
        access.grant(person if kind == "person" else group, "operator", environment)

        signed_in().post(page_of(environment), {"kind": kind, "name": person.username, "role": "none"})

        assert not access.may(person, Permission.VIEW, environment.pk)

    @pytest.mark.parametrize(("kind", "word"), [("person", "user"), ("group", "group")])
    def test_role_for_nobody_is_refused_in_words(self, kind, word):
        answer = signed_in().post(
            page_of(make_environment()), {"kind": kind, "name": "ghost", "role": "viewer"}
        )

        assert f"There is no {word} of this name." in text_of(answer)

    def test_role_change_names_who_gave_it(self):
        environment, person = make_environment(), make_user()
        client = signed_in()

        client.post(page_of(environment), {"kind": "person", "name": person.username, "role": "viewer"})

        [entry] = LogEntry.objects.all()
        assert entry.get_change_message() == f"{person} is viewer now"
        assert f"by {entry.user}" in text_of(client.get(page_of(environment)))

    @pytest.mark.parametrize("role", ["viewer", "operator", "integrator"])
    def test_others_give_no_roles(self, role):
        environment, person = make_environment(), make_user()

        signed_in(role, environment).post(
            page_of(environment), {"kind": "person", "name": person.username, "role": "viewer"}
        )

        assert not access.may(person, Permission.VIEW, environment.pk)

    def test_people_see_their_own_tenants(self):
        mine, theirs = make_environment(), make_environment()
        client = signed_in("administrator", mine)

        for kind in ("organization", "environment"):
            html = text_of(client.get(f"/admin/oneio/{kind}/"))
            assert str(mine.organization) in html
            assert str(theirs.organization) not in html

    @pytest.mark.parametrize("path", ["organization/add/", "environment/add/"])
    def test_only_superusers_add_tenants(self, path):
        client = signed_in("administrator", make_environment())

        assert client.get(f"/admin/oneio/{path}").status_code == 403

    def test_organization_of_others_cannot_be_changed(self):
        environment = make_environment()
        client = signed_in("administrator", environment)

        client.post(
            f"/admin/oneio/organization/{environment.organization_id}/change/",
            {"name": "Mine", "slug": "mine"},
        )

        assert not Organization.objects.filter(name="Mine").exists()


@pytest.mark.django_db
class TestPeople:
    def test_superuser_adds_a_user(self):
        password = "correct horse battery"
        data = {"username": "ada", "password1": password, "password2": password, "usable_password": "true"}

        signed_in().post("/admin/auth/user/add/", data)

        assert User.objects.filter(username="ada").exists()

    def test_stand_in_for_visitors_is_hidden(self):
        assert "AnonymousUser" not in text_of(signed_in().get("/admin/auth/user/"))

    @pytest.mark.parametrize("path", ["auth/user/", "auth/group/", "django_q/schedule/", "django_q/failure/"])
    def test_tenants_administrators_see_no_accounts(self, path):
        client = signed_in("administrator", make_environment())

        assert client.get(f"/admin/{path}").status_code == 403

    def test_groups_are_listed(self):
        assert "No group yet" in text_of(signed_in().get("/admin/auth/group/"))

    def test_visitor_is_asked_to_sign_in(self, client):
        assert client.get("/admin/").status_code == 302


@pytest.mark.django_db
class TestScheduledWork:
    def test_schedule_is_for_looking_only(self):
        schedule = Schedule.objects.create(
            name="upkeep", func="oneio.upkeep", schedule_type=Schedule.MINUTES, minutes=5
        )
        client = signed_in()

        assert "5 min" in text_of(client.get("/admin/django_q/schedule/"))
        client.post(f"/admin/django_q/schedule/{schedule.pk}/change/", {"func": "os.system"})
        assert Schedule.objects.get().func == "oneio.upkeep"
        assert client.get("/admin/django_q/schedule/add/").status_code == 403

    def test_failure_shows_no_arguments_and_no_result(self):
        failure = Failure.objects.create(
            id="1", name="upkeep", func="oneio.upkeep", args=("secret argument",), result="secret result",
            started=timezone.now(), stopped=timezone.now(), success=False,
        )  # fmt: skip
        client = signed_in()

        pages = [
            text_of(client.get("/admin/django_q/failure/")),
            text_of(client.get(f"/admin/django_q/failure/{failure.pk}/change/")),
        ]

        assert all("upkeep" in page and "secret" not in page for page in pages)

    @pytest.mark.parametrize("path", ["success", "ormq"])
    def test_tasks_and_their_results_have_no_page(self, path):
        assert signed_in().get(f"/admin/django_q/{path}/").status_code == 404


def health_of(html: str, name: str) -> str:
    card = re.search(rf"<strong>{name}</strong>(.*?)</a>", html, re.S)
    assert card
    word = re.search(r"(Operational|Warning|Error|N/A)</span>", card[1])
    assert word
    return word[1]


@pytest.mark.django_db
class TestHome:
    def test_new_installation_says_what_comes_first(self):
        assert "Add an organization" in text_of(signed_in().get("/admin/"))

    def test_quiet_installation_says_that_all_is_well(self):
        make_endpoint(name="Jira")

        html = text_of(signed_in().get("/admin/"))

        assert "Every ticket is where it should be" in html
        assert health_of(html, "Jira") == "Operational"

    def test_held_deliveries_are_one_line_each_cause(self):
        endpoint = make_endpoint(name="Jira")
        for _ in range(3):
            message = make_message(make_endpoint(environment=endpoint.environment), state=MessageState.ROUTED)
            make_delivery(message, endpoint, DeliveryState.HELD, hold_reason=HoldReason.REFUSED)

        html = text_of(signed_in().get("/admin/"))

        assert "3 deliveries to Jira: the target refused it" in html
        assert f"/admin/needs-you/?reason=refused&amp;endpoint={endpoint.pk}" in html

    def test_open_alert_says_what_to_do(self):
        endpoint = make_endpoint(name="Jira")
        Alert.objects.create(
            environment=endpoint.environment,
            endpoint=endpoint,
            kind=AlertKind.CREDENTIALS,
            what_to_do="Correct it.",
        )

        assert "Correct it." in text_of(signed_in().get("/admin/"))

    def test_faulty_messages_need_a_person(self):
        make_message(state=MessageState.FAULTY)

        assert "1 message could not be understood or routed" in text_of(signed_in().get("/admin/"))

    @pytest.mark.parametrize(
        ("status", "gate", "word"),
        [
            ("suspended", {}, "N/A"),
            ("active", {"paused_at": NOW, "pause_reason": "credentials"}, "Error"),
            ("active", {"circuit": "open", "closed_until": NOW}, "Error"),
        ],
    )
    def test_card_tells_the_gate(self, status, gate, word):
        endpoint = make_endpoint(name="Jira", status=status)
        if gate:
            EndpointGate.objects.filter(endpoint=endpoint).update(**gate)

        assert health_of(text_of(signed_in().get("/admin/")), "Jira") == word

    @pytest.mark.parametrize(("minutes", "word"), [(1, "Operational"), (3, "Warning")])
    def test_long_wait_is_a_warning(self, minutes, word):
        endpoint = make_endpoint(name="Jira")
        source = make_endpoint(environment=endpoint.environment)
        delivery = make_delivery(make_message(source, state=MessageState.ROUTED), endpoint)
        waiting_since = timezone.now() - timedelta(minutes=minutes)
        Delivery.objects.filter(pk=delivery.pk).update(created_at=waiting_since)

        assert health_of(text_of(signed_in().get("/admin/")), "Jira") == word

    def test_charts_answer_in_their_titles(self):
        endpoint = make_endpoint(name="Jira")
        hour = hour_of(timezone.now())
        common = {"endpoint": endpoint, "environment": endpoint.environment}
        HourlyCount.objects.create(hour=hour, received=30, sent=40, in_time=39, failed=2, **common)
        HourlyCount.objects.create(hour=hour - timedelta(days=1), received=20, **common)

        html = text_of(signed_in().get("/admin/"))

        assert "30 messages in 24 hours, 50 % more than the day before" in html
        assert "2 tries failed, most to Jira" in html
        assert "97.5 % arrived within 30 s" in html

    def test_card_tells_the_last_sixty_minutes(self):
        found = Flow(hour_of(NOW) + timedelta(minutes=15))
        found.add(1, hour_of(NOW), Counter(received=10, sent=4))
        found.add(1, hour_of(NOW) - timedelta(hours=1), Counter(received=40, sent=8))

        assert found.last_hour(1) == (10 + 30, 4 + 6)

    def test_environment_can_be_chosen(self):
        mine = make_endpoint(name="Mine")
        make_endpoint(name="Theirs")

        html = text_of(signed_in().get(f"/admin/?environment={mine.environment_id}"))

        assert "<strong>Mine</strong>" in html
        assert "<strong>Theirs</strong>" not in html

    def test_people_see_their_own_environments(self):
        mine, theirs = make_endpoint(name="Mine"), make_endpoint(name="Theirs")
        make_message(theirs, state=MessageState.FAULTY)

        html = text_of(signed_in("viewer", mine.environment).get("/admin/"))

        assert "<strong>Mine</strong>" in html
        assert "Theirs" not in html
        assert "could not be understood" not in html

    def test_latest_changes_name_who_and_what(self):
        endpoint = make_endpoint(name="Jira")
        client = signed_in("operator", endpoint.environment)
        client.post(f"/admin/endpoints/endpoint/{endpoint.pk}/suspend/")

        html = text_of(client.get("/admin/"))

        assert re.search(rf"Suspended</span>.*{LogEntry.objects.get().user}", html, re.S)
        assert "Suspended</span>" not in text_of(signed_in("viewer", make_environment()).get("/admin/"))

    def test_cost_does_not_grow_with_endpoints(self):
        client, organization = signed_in(), make_organization()
        environment = make_environment(organization)
        make_endpoint(environment=environment)
        client.get("/admin/")
        with CaptureQueriesContext(connection) as few:
            client.get("/admin/")
        for _ in range(5):
            make_endpoint(environment=environment)

        with CaptureQueriesContext(connection) as many:
            client.get("/admin/")

        assert len(many) == len(few)
        assert len(many) <= 15

    def test_menu_counts_what_is_held(self):
        make_delivery(state=DeliveryState.HELD, hold_reason=HoldReason.REFUSED)

        html = text_of(signed_in().get("/admin/endpoints/alert/"))

        assert re.search(r"Needs you.*?>\s*1\s*</span>", html, re.S)

    def test_menu_counts_in_the_chosen_environment(self):
        held = make_delivery(state=DeliveryState.HELD, hold_reason=HoldReason.REFUSED)
        other = make_environment(held.environment.organization, "qa")
        client = signed_in()

        here, there = (
            text_of(client.get("/admin/endpoints/alert/", {"environment": pk}))
            for pk in (held.environment_id, other.pk)
        )

        assert re.search(r"Needs you.*?>\s*1\s*</span>", here, re.S)
        assert not re.search(r"Needs you.*?>\s*1\s*</span>", there, re.S)

    def test_search_says_when_it_finds_nothing(self):
        said = text_of(signed_in().get("/admin/search/", {"s": "a<b", "extended": "1"}))

        assert "Nothing that you may see is called that" in said
        assert "/admin/why/?q=a%3Cb" in said

    def test_search_finds_tickets_endpoints_and_rules(self):
        delivery = make_delivery()
        delivery.conversation.participants.create(
            endpoint=delivery.endpoint, entity_type=delivery.entity_type, environment=delivery.environment,
            number="OPS-88", external_id="10088",
        )  # fmt: skip
        client = signed_in()

        assert "OPS-88" in text_of(client.get("/admin/search/?s=ops-88&extended=1"))
        assert delivery.endpoint.name in text_of(
            client.get(f"/admin/search/?s={delivery.endpoint.name}&extended=1")
        )
        assert delivery.rule.name in text_of(client.get(f"/admin/search/?s={delivery.rule.name}&extended=1"))

    def test_search_forgets_with_the_role(self):
        endpoint = make_endpoint(name="Jira Cloud")
        person = make_user("viewer", endpoint.environment)
        client = Client()
        client.force_login(person)
        assert "Jira Cloud" in text_of(client.get("/admin/search/?s=cloud&extended=1"))

        access.revoke(person, endpoint.environment)

        assert "Jira Cloud" not in text_of(client.get("/admin/search/?s=cloud&extended=1"))

    def test_search_finds_a_message_by_its_response_id(self):
        message = make_message(number="INC0012")
        client = signed_in()

        for term in (message.response_id, "inc0012"):
            assert "INC0012" in text_of(client.get(f"/admin/search/?s={term}"))


@pytest.mark.django_db
def test_form_of_any_size_is_not_read_into_memory() -> None:
    form = "username=" + "x" * (17 * 1024 * 1024)

    answer = Client().post("/admin/login/", form, content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("conversations/conversation/", "Conversations"),
        ("endpoints/endpoint/", "Endpoints"),
        ("routing/routingrule/", "Routing rules"),
    ],
)
def test_list_is_called_by_what_it_lists(address: str, title: str) -> None:
    html = signed_in().get(f"/admin/{address}").content.decode()

    assert re.search(r"<title>\s*(\w[\w ]*\w)", html)[1] == title

"""Every page and API address, for every role, inside and outside the person's own environment.

A new address must be named in MINIMUM, or follow the pattern of Django's own: then nobody can forget to say
who may open it.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse
from django.utils import timezone
from django_q.models import Failure, Schedule
from guardian.models import GroupObjectPermission, UserObjectPermission

from conversations.models import (
    ConflictSide,
    Conversation,
    DeliveryContent,
    Message,
    MessageBody,
    Participant,
)
from endpoints.models import Endpoint
from oneio import access
from oneio.models import Environment, Organization, TenantModel
from routing.models import RoutingRule, RuleVersion, TranslationTable
from tests.factories import make_environment
from tests.oneio.rows import MODELS, World, build
from tests.signed_in import make_user

RANKS = ["none", "viewer", "operator", "integrator", "administrator", "superuser", "nobody"]
# Who may do it at least, where the pattern of Django's own pages does not say so.
MINIMUM = {
    "endpoints_endpoint_generate_password": "integrator",
    "endpoints_endpoint_package": "integrator",
    "endpoints_endpoint_test_connection": "integrator",
    "endpoints_endpoint_test_credentials": "integrator",
    "endpoints_endpoint_suspend": "operator",
    "endpoints_endpoint_resume": "operator",
    "endpoints_endpoint_unpause": "operator",
    "routing_routingrule_publish": "integrator",
    "routing_routingrule_editor": "integrator",
    "routing_routingrule_editor_preview": "integrator",
    "routing_routingrule_editor_save": "integrator",
    "routing_routingrule_editor_lookup": "integrator",
    "routing_routingrule_editor_table": "integrator",
    "routing_routingrule_editor_samples": "integrator",
    "routing_routingrule_editor_unmapped": "integrator",
    "routing_routingrule_new_draft": "integrator",
    "routing_routingrule_discard_draft": "integrator",
    "routing_routingrule_copy": "integrator",
    "routing_routingrule_current": "integrator",
    "conversations_conversation_resync": "operator",
    "conversations_conflict_choose": "operator",
    "conversations_delivery_edit": "operator",
    "conversations_queue_plan": "operator",
    "conversations_replay_run": "operator",
    "conversations_replay_cancel": "operator",
    "conversations_replay_again": "operator",
    "needs_you": "viewer",
    "why": "viewer",
    "routing_rule_test": "integrator",
    "golden_tickets": "operator",
    "golden_save": "integrator",
    "conversations_message_why": "viewer",
    "needs_you_plan": "operator",
    "routing_configuration": "viewer",
    "routing_configuration_export": "viewer",
    "routing_routingrule_compare": "viewer",
    "routing_routingrule_export": "viewer",
    "conversations_payloadview_changelist": "administrator",
    "conversations_payloadview_change": "administrator",
    "conversations_payloadview_history": "administrator",
    "auth_user_password_change": "superuser",
    "search": "none",
    "index": "none",
}
# They answer to a click on a button, or lead elsewhere where there is nothing to ask.
POSTED = {
    "conversations_conflict_choose",
    "conversations_delivery_edit",
    "needs_you_plan",
    "conversations_queue_plan",
    "conversations_replay_run",
    "conversations_replay_cancel",
    "conversations_replay_again",
    "endpoints_endpoint_test_connection",
    "endpoints_endpoint_test_credentials",
    "endpoints_endpoint_suspend",
    "endpoints_endpoint_resume",
    "endpoints_endpoint_unpause",
    "routing_routingrule_editor_preview",
    "routing_routingrule_editor_save",
    "routing_routingrule_editor_lookup",
    "routing_routingrule_editor_table",
    "routing_routingrule_new_draft",
    "routing_routingrule_discard_draft",
    "routing_routingrule_copy",
    "routing_routingrule_current",
}
PAGES = {
    "changelist": "viewer",
    "change": "viewer",
    "history": "viewer",
    "add": "integrator",
    "delete": "integrator",
}
SET_UP = {"endpoints_endpoint", "routing_routingrule", "routing_translationtable"}
TENANTS = {"oneio_organization", "oneio_environment"}
# Django's own for everybody who signs in, and such as lead nowhere.
WITHOUT_ROLES = {"login", "logout", "password_change", "password_change_done", "jsi18n", "view_on_site"}
WITHOUT_ROLES |= {"autocomplete", "app_list", "choose-environment", "receiver-schema", "receiver-docs"}
WITHOUT_ROLES |= {"manage-config", "manage-rule-test", "manage-golden"}  # a test of its own below
WITHOUT_ROLES |= {"manage-replays", "manage-replay", "manage-replay-run", "manage-replay-cancel"}
# Pages about a row where their name does not say of what sort.
ABOUT: dict[str, type[Model]] = {"routing_rule_test": RoutingRule, "golden_save": Message}
OUR_APPS = {"oneio", "endpoints", "routing", "conversations"}
SECRET = "swordfish"


class Address(NamedTuple):
    """One admin page: its name and the names of what stands in its path."""

    name: str
    arguments: tuple[str, ...]


def addresses() -> list[Address]:
    """All admin pages that have a name."""
    found = {}
    root = get_resolver("oneio.urls")
    for resolver in (root, root.namespace_dict["admin"][1]):
        for name, ways in resolver.reverse_dict.lists():
            if isinstance(name, str) and name not in WITHOUT_ROLES:
                found[name] = Address(name, tuple(ways[0][0][0][1]))
    return sorted(found.values())


def minimum(name: str) -> str:
    """The least role that may open a page."""
    if name in MINIMUM:
        return MINIMUM[name]
    model, _, page = name.rpartition("_")
    assert page in PAGES, f"Say in MINIMUM who may open {name}."
    if model.split("_")[0] not in OUR_APPS:
        looking_only = model.startswith("django_q") and page in {"add", "delete"}
        return "nobody" if looking_only else "superuser"
    if PAGES[page] == "viewer":
        return "viewer"
    return "integrator" if model in SET_UP else "superuser" if model in TENANTS else "nobody"


def allowed(name: str, role: str) -> bool:
    return RANKS.index(role) >= RANKS.index(minimum(name))


def name_of(model: type[Model]) -> str:
    return model._meta.label_lower.replace(".", "_")


def path_to(address: Address, world: World) -> str:
    """The address of a page about a row of `world`."""
    model = next(
        (kind for kind in world if address.name.startswith(f"{kind._meta.label_lower.replace('.', '_')}_")),
        ABOUT.get(address.name),
    )
    row = world[model] if model else None
    row = row or world[Environment]
    version = world[RuleVersion]
    known = {
        "object_id": row,
        "pk": row,
        "id": row,
        "version_pk": version,
        "before": version,
        "after": version,
        "ticket": world[Participant],
        "side": ConflictSide.THEIRS,
    }
    values = {name: getattr(known[name], "pk", known[name]) for name in address.arguments}
    try:
        return reverse(f"admin:{address.name}", kwargs=values)
    except NoReverseMatch:
        return reverse(address.name, kwargs=values)


def furnish(environment: Environment, word: str) -> World:
    """One row of everything, called `word` wherever people read a name; what tickets say is SECRET."""
    world = build(environment)
    world[Organization] = environment.organization
    Organization.objects.filter(pk=environment.organization_id).update(name=f"{word} organization")
    for model in (Endpoint, RoutingRule, TranslationTable):
        for number, row in enumerate(model.objects.filter(environment=environment)):
            model.objects.filter(pk=row.pk).update(name=f"{word} {model.__name__} {number}")
    Endpoint.objects.filter(environment=environment).update(base_url="")
    now = timezone.now()
    world |= {
        User: User.objects.create_user(f"{word} person"),
        Group: Group.objects.create(name=f"{word} group"),
        Schedule: Schedule.objects.create(name=f"{word} work", func="oneio.upkeep"),
        Failure: Failure.objects.create(
            id=f"{environment.pk}", name=f"{word} failure", func="x", started=now, stopped=now, success=False
        ),
    }
    Participant.objects.filter(environment=environment).update(number=f"{word}-1", external_id=f"{word}-1")
    for kind, field in ((MessageBody, "raw"), (DeliveryContent, "snapshot"), (Conversation, "variables")):
        for row in kind.objects.filter(organization_id=environment.organization_id):
            setattr(row, field, SECRET.encode() if field == "raw" else {"said": SECRET})
            row.save()
    return world


def person(role: str, environment: Environment, by: str = "person") -> Client:
    """A browser of somebody with that role, of their own or by a group."""
    user = make_user(is_superuser=role == "superuser")
    if role in access.ROLES:
        holder = user if by == "person" else Group.objects.create(name=f"{role}s")
        access.grant(holder, role, environment)
        if by == "group":
            user.groups.add(holder)
    client = Client()
    client.force_login(user)
    return client


def state_of(environment: Environment) -> str:
    """A digest of every row of an organization, and of every role in one of its environments."""
    tables = [model._meta.db_table for model in MODELS if issubclass(model, TenantModel)]
    each = " UNION ALL ".join(f"SELECT t::text AS row FROM {t} t WHERE organization_id = %s" for t in tables)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT md5(string_agg(row, ';' ORDER BY row)) FROM ({each}) everything",
            [environment.organization_id] * len(tables),
        )
        [digest] = cursor.fetchone()
    roles = [model.objects.filter(object_pk=environment.pk).count() for model in
             (UserObjectPermission, GroupObjectPermission)]  # fmt: skip
    return f"{digest} {roles}"


def post_everything(client: Client, world: World) -> Iterator[tuple[str, int]]:
    """Press every button and send every form there is about the rows of a world; the answers' codes."""
    data = {"post": "yes", "confirmed": "yes", "kind": "person", "name": "AnonymousUser", "role": "viewer",
            "reason": "Because"}  # fmt: skip
    for address in addresses():
        if address.arguments and address.name.split("_")[0] in OUR_APPS:
            yield address.name, client.post(path_to(address, world), data).status_code
    for model, page in admin.site._registry.items():
        row = world.get(model)
        if row is None:
            continue
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for action in ["delete_selected", *(page.actions or ())]:
            chosen = {**data, "action": action, "_selected_action": row.pk}
            yield action, client.post(path, chosen).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("role", RANKS[:-1])
def test_each_role_opens_its_pages_only(role: str) -> None:
    own, other = make_environment(), make_environment()
    mine, theirs = furnish(own, "walrus"), furnish(other, "zebra")
    client = person(role, own)

    wrong = []
    for address in addresses():
        if address.name in POSTED:
            continue
        answer = client.get(path_to(address, mine), {"s": "zebra"} if address.name == "search" else {})
        if (answer.status_code == 200) is not allowed(address.name, role):
            wrong.append((address.name, answer.status_code))
        shown = answer.content.replace(b"?q=zebra", b"")  # who finds nothing may ask on with the same word
        if role != "superuser" and b"zebra" in shown:
            wrong.append((address.name, "shows another organization"))
        if not allowed_to_read(role) and SECRET.encode() in answer.content:
            wrong.append((address.name, "shows what a ticket says"))
        if address.arguments and role != "superuser":
            foreign = client.get(path_to(address, theirs))
            if foreign.status_code == 200 or b"zebra" in foreign.content:
                wrong.append((address.name, "opens another organization"))

    assert not wrong, "\n".join(map(str, wrong))


def allowed_to_read(role: str) -> bool:
    return RANKS.index(role) >= RANKS.index("operator")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["viewer", "operator", "integrator", "administrator"])
def test_group_opens_what_its_role_opens(role: str) -> None:
    environment = make_environment()
    world = furnish(environment, "walrus")
    client = person(role, environment, by="group")

    opened = {
        address.name: client.get(path_to(address, world)).status_code == 200
        for address in addresses()
        if address.name not in POSTED and address.name != "search"
    }

    assert opened == {name: allowed(name, role) for name in opened}


@pytest.mark.django_db
@pytest.mark.parametrize("role", RANKS[1:5])
def test_each_role_presses_its_buttons_only(role: str) -> None:
    environment = make_environment()
    world = furnish(environment, "walrus")
    client = person(role, environment)

    pressed = {
        address.name: client.post(path_to(address, world)).status_code in {200, 302}
        for address in addresses()
        if address.name in POSTED
    }

    assert pressed == {name: allowed(name, role) for name in POSTED}


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["none", "viewer", "operator", "integrator", "administrator"])
@pytest.mark.parametrize("where", ["other organization", "production with a role in QA"])
def test_nothing_of_others_can_be_changed(role: str, where: str) -> None:
    other = make_environment()
    theirs = furnish(other, "zebra")
    own = make_environment() if where == "other organization" else make_environment(other.organization, "qa")
    client = person(role, own)
    before = state_of(other)

    answers = dict(post_everything(client, theirs))

    assert state_of(other) == before
    assert 200 < max(answers.values()) < 500


@pytest.mark.django_db
def test_viewer_changes_nothing_at_all() -> None:
    environment = make_environment()
    world = furnish(environment, "walrus")
    client = person("viewer", environment)
    before = state_of(environment)

    answers = dict(post_everything(client, world))

    assert state_of(environment) == before
    assert len(answers) > 40


@pytest.mark.django_db
def test_administrator_does_change_something() -> None:
    environment = make_environment()
    world = furnish(environment, "walrus")
    client = person("administrator", environment)
    before = state_of(environment)

    dict(post_everything(client, world))

    assert state_of(environment) != before


@pytest.mark.django_db
def test_api_knows_no_people() -> None:
    client = person("superuser", make_environment())
    named = [str(way.pattern) for way in get_resolver("conversations.api_urls").url_patterns]

    codes = {
        path: client.get("/" + path.replace("<uuid:response_id>", "0190163d-8694-739b-aea5-966c26f8ad91"))
        for path in named
        if path.startswith(("api", "qa/api")) and not path.endswith(("schema", "docs"))
    }

    assert len(codes) == 12
    assert {answer.status_code for answer in codes.values()} <= {401, 405}


def answers_to_script(role: str, own: Environment, place: Environment) -> tuple[int, int]:
    """What the management API answers to reading a configuration, and to a trial of bringing one in."""
    user = make_user(role if role in access.ROLES else "", own, is_superuser=role == "superuser")
    login = b64encode(f"{user.username}:correct horse".encode()).decode()
    client = Client(headers={"Authorization": f"Basic {login}"})
    path = reverse("manage-config", args=[place.organization.slug, place.kind])
    brought = client.post(f"{path}?dry_run=1", "format: 1", content_type="application/yaml")
    return client.get(path).status_code, brought.status_code


@pytest.mark.django_db
@pytest.mark.parametrize("role", RANKS[:-1])
def test_management_api_follows_roles(role: str) -> None:
    own = make_environment()
    furnish(own, "walrus")

    read, brought = answers_to_script(role, own, own)

    assert (read == 200) is (RANKS.index(role) >= RANKS.index("viewer"))
    assert (brought in {200, 422}) is (RANKS.index(role) >= RANKS.index("integrator"))


@pytest.mark.django_db
@pytest.mark.parametrize("role", RANKS[:-2])
@pytest.mark.parametrize("other", ["organization", "environment"])
def test_management_api_opens_nothing_of_others(role: str, other: str) -> None:
    own = make_environment()
    place = make_environment() if other == "organization" else make_environment(own.organization, "qa")

    assert answers_to_script(role, own, place) == (404, 404)

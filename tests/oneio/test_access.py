"""The one door: who sees which rows and may do what, and that nothing is read past it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model

from conversations.models import Message
from oneio.access import (
    ROLES,
    Permission,
    environments,
    grant,
    may,
    of_endpoint,
    path_to_environment,
    readable,
)
from oneio.models import DataKey, Environment, LoginTry, Organization, PumpHeartbeat
from oneio.state import CHECKOUT
from tests.factories import make_endpoint, make_environment, make_message, unique
from tests.oneio.rows import MODELS, build

# What nobody reads through the door, with the reason.
NOT_FOR_PEOPLE = {
    DataKey: "keys are for encryption alone",
    PumpHeartbeat: "workers belong to no organization",
    LoginTry: "people log in before they belong anywhere",
}
THROUGH_THE_DOOR = [model for model in MODELS if model not in NOT_FOR_PEOPLE]
ALLOWED = {
    Permission.VIEW: {"viewer", "operator", "integrator", "administrator"},
    Permission.OPERATE: {"operator", "integrator", "administrator"},
    Permission.READ_PAYLOAD: {"operator", "integrator", "administrator"},
    Permission.INTEGRATE: {"integrator", "administrator"},
    Permission.ADMINISTER: {"administrator"},
}


def make_user(role: str | None = None, environment: Environment | None = None, **fields: Any) -> Any:
    """A user, with a role in an environment if both are given."""
    user = get_user_model().objects.create_user(unique("user"), **fields)
    if role and environment:
        grant(user, role, environment)
    return user


def seen(user: Any, permission: Permission = Permission.VIEW) -> dict[str, int]:
    """How many rows of each model the user sees."""
    counts = {model.__name__: readable(user, model, permission).count() for model in THROUGH_THE_DOOR}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.django_db
@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_and_may_what_it_says(role: str, permission: Permission) -> None:
    environment = make_environment()
    build(environment)
    user = make_user(role, environment)
    allowed = role in ALLOWED[permission]

    assert may(user, permission, environment.pk) is allowed
    assert list(environments(user, permission)) == [environment] * allowed
    assert set(seen(user, permission)) == {model.__name__ for model in THROUGH_THE_DOOR if allowed}


@pytest.mark.django_db
@pytest.mark.parametrize("model", THROUGH_THE_DOOR)
def test_only_rows_of_the_own_environment_are_seen(model: type[Model]) -> None:
    environment, other = make_environment(), make_environment()
    own, foreign = build(environment), build(other)
    user = make_user("administrator", environment)

    rows = set(readable(user, model))

    expected = environment.organization if model is Organization else own.get(model)
    assert expected is None or expected in rows
    assert foreign.get(model, other.organization) not in rows
    assert rows


@pytest.mark.django_db
def test_qa_role_shows_nothing_of_production() -> None:
    production = make_environment()
    qa = make_environment(production.organization, "qa")
    build(production)
    user = make_user("administrator", qa)

    assert set(seen(user)) == {"Organization", "Environment"}
    assert not may(user, Permission.VIEW, production.pk)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "user",
    [
        lambda environment: make_user("administrator", make_environment()),
        lambda environment: make_user("administrator", environment, is_active=False),
        lambda environment: make_user(is_superuser=True, is_active=False),
        lambda environment: make_user(),
        lambda environment: AnonymousUser(),
    ],
    ids=["other organization", "inactive", "inactive superuser", "without a role", "anonymous"],
)
def test_others_see_nothing_at_all(user: Any) -> None:
    environment = make_environment()
    build(environment)
    person = user(environment)

    rows = [row for model in THROUGH_THE_DOOR for row in readable(person, model)]

    assert {getattr(row, "organization_id", row.pk) for row in rows}.isdisjoint({environment.organization_id})
    assert not any(may(person, permission, environment.pk) for permission in Permission)


@pytest.mark.django_db
def test_superuser_sees_every_row() -> None:
    build(make_environment())
    build(make_environment())

    counts = seen(make_user(is_superuser=True))

    assert counts["Organization"] == 2
    assert set(counts) == {model.__name__ for model in THROUGH_THE_DOOR}


@pytest.mark.django_db
def test_new_role_replaces_the_old_one() -> None:
    environment = make_environment()
    user = make_user("administrator", environment)

    grant(user, "viewer", environment)

    assert may(user, Permission.VIEW, environment.pk)
    assert not any(may(user, one, environment.pk) for one in set(Permission) - {Permission.VIEW})


@pytest.mark.django_db
def test_global_permission_opens_no_environment() -> None:
    from django.contrib.auth.models import Permission as ModelPermission

    environment, user = make_environment(), make_user()
    user.user_permissions.add(ModelPermission.objects.get(codename="view_environment"))

    assert not may(user, Permission.VIEW, environment.pk)


@pytest.mark.django_db
def test_endpoint_may_ask_about_its_own_rows_only() -> None:
    endpoint = make_endpoint()
    own = make_message(endpoint)
    make_message(make_endpoint(environment=endpoint.environment))

    assert list(of_endpoint(endpoint, Message)) == [own]


def test_every_model_is_reachable_or_named_here() -> None:
    unreachable = set()
    for model in MODELS:
        try:
            path_to_environment(model)
        except LookupError:
            unreachable.add(model)

    assert unreachable == {*NOT_FOR_PEOPLE, Organization, Environment}


# Tables of Django itself, which lie in no environment; the rows they speak of came through the door.
OF_DJANGO = {"LogEntry", "ContentType", "User", "Group", "get_user_model()", "Schedule", "OrmQ", "Success"}


def views() -> list[Path]:
    """The modules that answer people and systems."""
    found = [
        path for app in ("oneio", "endpoints", "routing", "conversations") for path in edge(CHECKOUT / app)
    ]
    return sorted(found)


def edge(app: Path) -> Iterator[Path]:
    yield from app.glob("admin/**/*.py")
    yield from app.glob("home/*.py")
    for name in ("admin", "api", "api_answers", "api_urls", "receiver", "views"):
        yield from app.glob(f"{name}.py")


def reads_past_the_door(source: str) -> list[str]:
    """`Model.objects`, `Model._default_manager` and `Model._base_manager`, but not to read nothing, nor in a
    Prefetch, whose rows hang on rows that came through the door."""
    tree = ast.parse(source)
    harmless = {
        id(node) for function in ast.walk(tree) if prefetches(function) for node in ast.walk(function)
    }
    harmless |= {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "none"
    }
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"objects", "_default_manager", "_base_manager"}
        and not (node.attr == "_base_manager" and id(node) in harmless)
        and ast.unparse(node.value) not in OF_DJANGO
    ]


def prefetches(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and "Prefetch(" in ast.unparse(node.body[-1])


def test_views_read_through_the_door_only() -> None:
    past = {str(path.relative_to(CHECKOUT)): reads_past_the_door(path.read_text()) for path in views()}

    assert len(past) > 10
    assert {path: reads for path, reads in past.items() if reads} == {}


def test_reading_past_the_door_is_noticed() -> None:
    source = "def page(request):\n    return Message.objects.all(), Lane._base_manager.get()"

    assert reads_past_the_door(source) == ["Message.objects", "Lane._base_manager"]

"""The one door: which rows a person or an endpoint may see and what a person may do.

Roles are granted per environment (django-guardian) to people and to groups; who is in a group has its roles
too, and several roles add up. Rows follow from their environment. Views, admin pages and the API read
through here and never through a model's own manager.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser, Group
from django.db.models import Model, QuerySet
from guardian.shortcuts import (
    assign_perm,
    get_groups_with_perms,
    get_objects_for_user,
    get_users_with_perms,
    remove_perm,
)

from oneio.models import Environment, Organization

ModelT = TypeVar("ModelT", bound=Model)


class Permission(StrEnum):
    """What a role allows in its environment."""

    VIEW = "view_environment"
    OPERATE = "operate_environment"
    INTEGRATE = "integrate_environment"
    ADMINISTER = "administer_environment"
    READ_PAYLOAD = "read_payload"


ROLES: dict[str, frozenset[Permission]] = {
    "viewer": frozenset({Permission.VIEW}),
    "operator": frozenset({Permission.VIEW, Permission.OPERATE, Permission.READ_PAYLOAD}),
    "integrator": frozenset(
        {Permission.VIEW, Permission.OPERATE, Permission.READ_PAYLOAD, Permission.INTEGRATE}
    ),
    "administrator": frozenset(Permission),
}


def environments(user: Any, permission: Permission = Permission.VIEW) -> QuerySet[Environment]:
    """The environments in which `user` holds `permission`."""
    if isinstance(user, AnonymousUser) or not user.is_active:
        return Environment.objects.none()
    if user.is_superuser:
        return Environment.objects.all()
    granted: QuerySet[Environment] = get_objects_for_user(
        user, f"oneio.{permission}", Environment, accept_global_perms=False
    )
    return granted


def may(user: Any, permission: Permission, environment_id: int) -> bool:
    """Whether `user` holds `permission` in that environment."""
    return environments(user, permission).filter(pk=environment_id).exists()


def readable(user: Any, model: type[ModelT], permission: Permission = Permission.VIEW) -> QuerySet[ModelT]:
    """The rows of `model` that lie in environments where `user` holds `permission`."""
    rows = model._default_manager.all()
    if user.is_active and user.is_superuser:
        return rows
    allowed = environments(user, permission)
    if model is Environment:
        return rows.filter(pk__in=allowed)
    if model is Organization:
        return rows.filter(environments__in=allowed).distinct()
    return rows.filter(**{f"{path_to_environment(model)}__in": allowed})


def of_endpoint(endpoint: Any, model: type[ModelT]) -> QuerySet[ModelT]:
    """The rows of `model` that an endpoint may ask about: its own."""
    return model._default_manager.filter(endpoint=endpoint, organization_id=endpoint.organization_id)


def beside(row: Any, model: type[ModelT]) -> QuerySet[ModelT]:
    """The rows of `model` in the environment of `row`, which itself came through the door."""
    place = {path_to_environment(model): row.environment_id, "organization": row.organization_id}
    return model._default_manager.filter(**place)


def path_to_environment(model: type[Model]) -> str:
    """The look-up from a model to its environment, through the row it hangs on where it has none itself."""
    names = {field.name for field in model._meta.fields}
    if "environment" in names:
        return "environment"
    for link in ("endpoint", "version", "table", "participant", "delivery", "message", "attachment"):
        if link in names or link in {r.name for r in model._meta.related_objects}:
            return f"{link}__environment"
    raise LookupError(f"{model.__name__} lies in no environment: it cannot be read through the door.")


def grant(holder: Any, role: str, environment: Environment) -> None:
    """Give a person or a group exactly the permissions of `role` in `environment`."""
    for permission in Permission:
        change = assign_perm if permission in ROLES[role] else remove_perm
        change(f"oneio.{permission}", holder, environment)


def revoke(holder: Any, environment: Environment) -> None:
    """Take from a person or a group every permission in `environment` that they hold themselves."""
    for permission in Permission:
        remove_perm(f"oneio.{permission}", holder, environment)


def holders(environment: Environment) -> list[tuple[Any, str]]:
    """People and groups with a role of their own in `environment`, and its name; groups first."""
    groups = get_groups_with_perms(environment, attach_perms=True)
    people = get_users_with_perms(environment, attach_perms=True, with_group_users=False)
    held = [*sorted(groups.items(), key=_name), *sorted(people.items(), key=_name)]
    return [(holder, role_of(permissions)) for holder, permissions in held]


def role_of(permissions: list[str]) -> str:
    """The name of the role that has exactly these permissions; empty where they are a mixture."""
    held = frozenset(permissions)
    return next((role for role, granted in ROLES.items() if granted == held), "")


def _name(held: tuple[Any, list[str]]) -> str:
    holder = held[0]
    return str(holder.name if isinstance(holder, Group) else holder.get_username()).casefold()

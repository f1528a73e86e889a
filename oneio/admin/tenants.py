"""Organizations and environments, and who may do what in them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from guardian.shortcuts import get_users_with_perms, remove_perm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from oneio import access
from oneio.access import ROLES, Permission
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, TenantForm, may
from oneio.models import Environment, Organization

NO_ROLE = "none"


class SuperuserMixin:
    """Only superusers add and delete tenants; who sees them follows from roles."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return self.has_add_permission(request)


@admin.register(Organization)
class OrganizationAdmin(SuperuserMixin, EnvironmentAdmin):
    """The companies whose tools exchange tickets."""

    list_display = ["name", "slug", "environment_bars"]
    fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    search_fields = ["name", "slug"]
    ordering = ["name"]
    empty_title = "No organization yet"
    empty_text = "An organization is a company whose tools exchange tickets. Add the first one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Organizations with an environment the user may see."""
        return super().get_queryset(request).prefetch_related("environments")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever has a role in one of its environments; the rows offered are only those."""
        return may(request, Permission.VIEW)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return self.has_add_permission(request)

    @admin.display(description="Environments")
    def environment_bars(self, organization: Organization) -> SafeString:
        """The environments it has."""
        bars = ((display.environment_bar(row, named=False),) for row in organization.environments.all())
        return format_html_join(" ", "{}", bars) or display.NOTHING


def role_of(permissions: list[str]) -> str:
    """The name of the role that has exactly these permissions."""
    held = frozenset(permissions)
    return next((role for role, granted in ROLES.items() if granted == held), "a mixture of roles")


class EnvironmentForm(TenantForm):
    """An environment, and one person to give a role in it."""

    constraint_words = {
        "environment_once_per_organization": (
            "kind",
            "This organization has this environment already. Choose the other one.",
        )
    }
    username = forms.CharField(
        label="Give a role to",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="User name of the person. Leave empty to change nobody's role.",
    )
    role = forms.ChoiceField(
        choices=[*((name, name.capitalize()) for name in ROLES), (NO_ROLE, "No role any more")],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Viewer: sees where tickets are. Operator: reads them, retries and cancels. "
        "Integrator: changes endpoints and rules. Administrator: gives roles.",
    )

    class Meta:
        model = Environment
        fields = ["organization", "kind"]

    def clean_username(self) -> Any:
        """The person of that name, or None."""
        name = self.cleaned_data["username"]
        user = get_user_model()._default_manager.filter(username=name).first() if name else None
        if name and user is None:
            raise forms.ValidationError("There is no user of this name. Add the user first, under Users.")
        return user


@admin.register(Environment)
class EnvironmentPage(SuperuserMixin, EnvironmentAdmin):
    """QA and Production of an organization: where systems post to, and who may do what."""

    form = EnvironmentForm
    to_change = Permission.ADMINISTER
    list_display = ["environment", "organization", "receiver_address"]
    list_select_related = ["organization"]
    readonly_fields = ["receiver_address", "people"]
    ordering = ["organization__name", "kind"]
    empty_title = "No environment yet"
    empty_text = "Endpoints and rules live in an environment: QA or Production. Add one to an organization."

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new environment has neither people nor an address yet."""
        if obj is None:
            return [(None, {"fields": ["organization", "kind"]})]
        roles = ["people", "username", "role"] if self.has_change_permission(request, obj) else ["people"]
        return [
            (None, {"fields": ["organization", "kind", "receiver_address"]}),
            ("Who may do what here", {"fields": roles}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What an environment is never changes: endpoints and tickets hang on it."""
        return [*self.readonly_fields, "organization", "kind"] if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Give the role after saving."""
        super().save_model(request, obj, form, change)
        person, role = form.cleaned_data.get("username"), form.cleaned_data.get("role")
        if person and role:
            self._give(request, person, role, obj)

    def _give(self, request: HttpRequest, person: Any, role: str, environment: Environment) -> None:
        if role == NO_ROLE:
            for permission in Permission:
                remove_perm(f"oneio.{permission}", person, environment)
            messages.success(request, f"{person} has no role in {environment} any more.")
        else:
            access.grant(person, role, environment)
            messages.success(request, f"{person} is {role} in {environment} now.")

    @admin.display(description="Environment")
    def environment(self, row: Environment) -> SafeString:
        """Its kind, unmistakable."""
        return display.environment_bar(row, named=False)

    @admin.display(description="Receiver address")
    def receiver_address(self, row: Environment) -> SafeString:
        """Where systems of this environment post their tickets."""
        return display.code(f"{settings.PUBLIC_URL}{row.receiver_path}")

    @admin.display(description="People")
    def people(self, row: Environment) -> SafeString:
        """Who holds which role here."""
        held = get_users_with_perms(row, attach_perms=True, with_group_users=False)
        lines = ((str(user), role_of(permissions)) for user, permissions in held.items())
        return format_html_join("", "<div>{} – {}</div>", lines) or display.NOTHING

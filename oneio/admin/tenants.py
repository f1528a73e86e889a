"""Organizations and environments, and who may do what in them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, TenantForm, decisions_on, may, note
from oneio.admin.roles import MEANINGS, NO_ROLE, RoleForm, kind_of
from oneio.models import Environment, Organization


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


class EnvironmentForm(TenantForm):
    """A new environment."""

    constraint_words = {
        "environment_once_per_organization": (
            "kind",
            "This organization has this environment already. Choose the other one.",
        )
    }

    class Meta:
        model = Environment
        fields = ["organization", "kind"]


@admin.register(Environment)
class EnvironmentPage(SuperuserMixin, EnvironmentAdmin):
    """QA and Production of an organization: where systems post to, and who may do what."""

    form = EnvironmentForm
    to_change = Permission.ADMINISTER
    list_display = ["environment", "organization", "receiver_address"]
    list_select_related = ["organization"]
    fields = ["organization", "kind"]
    ordering = ["organization__name", "kind"]
    empty_title = "No environment yet"
    empty_text = "Endpoints and rules live in an environment: QA or Production. Add one to an organization."

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What an environment is never changes, as endpoints and tickets hang on it; who may do what does."""
        environment = self.get_object(request, object_id)
        if environment is None:
            messages.warning(request, "This environment does not exist, or you have no role in it.")
            return HttpResponseRedirect(reverse("admin:oneio_environment_changelist"))
        may_give = self.has_change_permission(request, environment)
        form = RoleForm(request.POST if request.method == "POST" and may_give else None)
        if form.is_bound and form.is_valid():
            self._give(request, form, environment)
            return HttpResponseRedirect(request.path)
        return TemplateResponse(
            request, "oneio/environment.html", self._page(request, environment, form, may_give)
        )

    def _page(
        self, request: HttpRequest, environment: Environment, form: RoleForm, may_give: bool
    ) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": str(environment),
            "opts": self.opts,
            "environment_shown": environment,
            "receiver_address": self.receiver_address(environment),
            "form": form,
            "may_give": may_give,
            "holders": [
                {"name": str(holder), "kind": kind_of(holder), "role": role}
                for holder, role in access.holders(environment)
            ],
            "meanings": MEANINGS.items(),
            "decisions": decisions_on(environment)[:20],
        }

    def _give(self, request: HttpRequest, form: RoleForm, environment: Environment) -> None:
        holder, role = form.cleaned_data["holder"], form.cleaned_data["role"]
        if role == NO_ROLE:
            access.revoke(holder, environment)
            said = f"{holder} has no role of their own any more"
        else:
            access.grant(holder, role, environment)
            said = f"{holder} is {role} now"
        note(request, [environment], said)
        messages.success(request, f"{said} in {environment}.")

    @admin.display(description="Environment")
    def environment(self, row: Environment) -> SafeString:
        """Its kind, unmistakable."""
        return display.environment_bar(row, named=False)

    @admin.display(description="Receiver address")
    def receiver_address(self, row: Environment) -> SafeString:
        """Where systems of this environment post their tickets."""
        return display.code(f"{settings.PUBLIC_URL}{row.receiver_path}")

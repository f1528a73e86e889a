"""The endpoint list, guided creation by type, and the page of one endpoint with its tests and live state."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from endpoints import gates, outbound_secrets, receiver_logins
from endpoints.adapters import ADAPTERS
from endpoints.admin import checks, gate_words, receiver, setup
from endpoints.admin.forms import (
    EndpointForm,
    EntityTypeForm,
    ReferenceForm,
    conditional_fields,
    field_name,
    form_for,
    offered_entities,
)
from endpoints.models import Endpoint, EndpointStatus, EntityType, ReceiverLogin, Reference
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, RoleInline, decisions_on, may, note
from oneio.admin.filters import DropdownFilter, EnvironmentFilter

CHANGES_SHOWN = 5
DO_NEXT = ("test-connection", "test-credentials", "suspend", "resume", "unpause")


class KindFilter(DropdownFilter):
    """Endpoints of one type."""

    title = "type"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """All types."""
        return [(kind, adapter.label) for kind, adapter in ADAPTERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Endpoints of the chosen type."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class EntityTypeInline(RoleInline):
    """What the endpoint exchanges."""

    model = EntityType
    form = EntityTypeForm
    tab = True
    verbose_name = "entity type"
    verbose_name_plural = "entity types"

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """One empty row for each entity type that a new endpoint is offered."""
        return 0 if obj else len(offered_entities(chosen_kind(request)))


class ReferenceInline(RoleInline):
    """Where the endpoint's messages name tickets of other endpoints."""

    model = Reference
    form = ReferenceForm
    fk_name = "endpoint"
    tab = True
    verbose_name = "reference to another system's ticket"
    verbose_name_plural = "references"


def chosen_kind(request: HttpRequest) -> str:
    """The type that was chosen for a new endpoint; empty before it is."""
    kind = request.GET.get("kind", "")
    return kind if kind in ADAPTERS else ""


@admin.register(Endpoint)
class EndpointAdmin(EnvironmentAdmin):
    """The connected systems."""

    form = EndpointForm
    inlines = [EntityTypeInline, ReferenceInline]
    list_display = ["title", "type_name", "state", "last_success", "environment_name", "base_url"]
    list_filter = [KindFilter, EnvironmentFilter]
    list_select_related = ["gate__endpoint", "environment__organization"]
    search_fields = ["name", "slug", "base_url"]
    ordering = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["receiver_address", "receiver_username"]
    conditional_fields = conditional_fields()
    change_form_outer_before_template = "endpoints/live.html"
    empty_title = "No endpoint yet"
    empty_text = (
        "An endpoint is one connected system, such as your ServiceNow or a customer's Jira. Add the first."
    )

    def get_urls(self) -> list[URLPattern]:
        """The buttons beside Django's own pages."""
        own = [
            path(
                f"<int:pk>/{verb}/",
                self.admin_site.admin_view(require_POST(self.do)),
                {"verb": verb},
                name=f"endpoints_endpoint_{verb.replace('-', '_')}",
            )
            for verb in DO_NEXT
        ]
        generate = path(
            "generate-password/",
            self.admin_site.admin_view(self.generate_password),
            name="endpoints_endpoint_generate_password",
        )
        package = path(
            "<int:pk>/package/",
            self.admin_site.admin_view(require_GET(self.package)),
            name="endpoints_endpoint_package",
        )
        return [generate, package, *own, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First the type, then its form."""
        if chosen_kind(request):
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Which system do you want to connect?",
            "opts": self.opts,
            "types": [
                (kind, adapter.label, display.mark(adapter.label)) for kind, adapter in ADAPTERS.items()
            ],
            "environments": access.environments(request.user, Permission.INTEGRATE).exists(),
        }
        return TemplateResponse(request, "endpoints/choose.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The form with the endpoint's live state above it."""
        endpoint = self.get_object(request, object_id)
        live = self._live(request, endpoint) if endpoint else None
        return super().change_view(request, object_id, form_url, {"live": live, **(extra_context or {})})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form of the endpoint's type."""
        kind = obj.kind if obj else chosen_kind(request)
        return super().get_form(request, obj, change, **{"form": form_for(kind), **kwargs})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What people need first; limits and codes last."""
        kind = obj.kind if obj else chosen_kind(request)
        form = form_for(kind)
        declared = [field_name(kind, setting) for setting in form.declared]
        limits = ["max_in_flight", "max_per_second", "inbound_per_second"]
        receive = ["receiver_address", "receiver_username"] if obj else []
        can_change = self.has_change_permission(request, obj) if obj else True
        if not can_change:
            declared = []
        return [
            (gate_words.kind_label(kind), {"fields": [("name", "environment"), ("base_url", "timezone")]}),
            ("How we log in there", {"fields": declared}),
            ("How it posts to us", {"fields": [*receive, *(["receiver_password"] if can_change else [])]}),
            (
                "Limits and special cases",
                {
                    "classes": ["collapse"],
                    "fields": [
                        "slug", "owner", "unknown_policy", "internal_comments", *limits,
                        *(["success_codes", "unrecoverable_codes"] if can_change else []),
                    ],
                },
            ),
        ]  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """An endpoint stays in its environment."""
        return [*self.readonly_fields, "environment"] if obj else self.readonly_fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only a new endpoint's short name follows its name."""
        return {} if obj else self.prepopulated_fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """An owner is somebody whom the user may name: everybody for superusers, else oneself."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "owner" and field is not None and not request.user.is_superuser:
            field.queryset = field.queryset.filter(pk=request.user.pk)
        return field

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """References can be given once the endpoint is there."""
        return self.inlines if obj else [EntityTypeInline]

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """A new endpoint begins with the entity types of its type."""
        found: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        return found if obj.pk else {**found, "initial": offered_entities(chosen_kind(request))}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the endpoint, its settings, its secrets and its new receiver password."""
        obj.kind = form.kind
        obj.settings = {**obj.settings, **form.settings()}
        super().save_model(request, obj, form, change)
        outbound_secrets.keep(obj, form.secrets())
        login = form.cleaned_data.get("receiver_password")
        if login:
            self._set_password(request, obj, login)

    def generate_password(self, request: HttpRequest) -> HttpResponse:
        """A new password for the form; nothing changes until Save."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        answer = HttpResponse(receiver.fragment("receiver_password", receiver.offer()))
        answer["Cache-Control"] = "no-store"
        return answer

    def package(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The file to load into the system so that it posts to us, as a download."""
        endpoint = self._found(request, pk, Permission.INTEGRATE)
        if not setup.package_label(endpoint):
            raise Http404
        if not endpoint.receiver_logins.exists():
            said = "Choose Generate password below and save first: the username goes into the file."
            messages.warning(request, said)
            return HttpResponseRedirect(reverse("admin:endpoints_endpoint_change", args=[pk]))
        package = setup.package(endpoint, timezone.now())
        return HttpResponse(
            package.content,
            content_type=package.content_type,
            headers={"Content-Disposition": f'attachment; filename="{package.file_name}"'},
        )

    def _found(self, request: HttpRequest, pk: int, needed: Permission) -> Endpoint:
        endpoint = access.readable(request.user, Endpoint).select_related("gate").filter(pk=pk).first()
        if endpoint is None:
            raise Http404
        if not may(request, needed, endpoint):
            raise PermissionDenied
        return endpoint

    def do(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        """One of the buttons above the form."""
        needed = Permission.INTEGRATE if verb.startswith("test") else Permission.OPERATE
        endpoint = self._found(request, pk, needed)
        if verb.startswith("test"):
            finding = checks.reach(endpoint) if verb == "test-connection" else checks.log_in(endpoint)
            if verb == "test-credentials" and finding.good:
                note(request, [endpoint], setup.ACCEPTED)
            messages.add_message(
                request, messages.SUCCESS if finding.good else messages.ERROR, finding.sentence
            )
        else:
            self._change_state(request, endpoint, verb)
        return HttpResponseRedirect(reverse("admin:endpoints_endpoint_change", args=[pk]))

    def _change_state(self, request: HttpRequest, endpoint: Endpoint, verb: str) -> None:
        change, said = {
            "suspend": (
                gates.suspend,
                "is suspended: it still receives, and what is to be sent to it waits.",
            ),
            "resume": (gates.resume, "is active again: what waited is sent, in order."),
            "unpause": (gates.unpause, "is no longer paused: what waited is sent, in order."),
        }[verb]
        change(endpoint)
        note(
            request, [endpoint], {"suspend": "Suspended", "resume": "Resumed", "unpause": "Sent again"}[verb]
        )
        messages.success(request, f"{endpoint.name} {said}")

    def _set_password(self, request: HttpRequest, endpoint: Endpoint, login: receiver.NewLogin) -> None:
        current = (
            access.readable(request.user, ReceiverLogin).filter(endpoint=endpoint, valid_until=None).first()
        )
        username = login.username or (current.username if current else made_username(endpoint))
        try:
            receiver_logins.set_password(endpoint, username, login.password, login.grace)
        except receiver_logins.UsernameRefused as refused:
            messages.error(request, f"The new password was not set. {refused}")
        else:
            messages.success(
                request, f"The new receiver password of {endpoint.name} works now. User: {username}"
            )

    def _live(self, request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
        gate = getattr(endpoint, "gate", None)
        seen = setup.evidence(request, endpoint)
        steps = setup.steps(endpoint, seen)
        return {
            "endpoint": endpoint,
            "seen": seen,
            "steps": steps,
            "left": sum(not step.done for step in steps),
            "sample": setup.sample(endpoint),
            "package_label": setup.package_label(endpoint),
            "changes": decisions_on(endpoint)[:CHANGES_SHOWN],
            "mark": gate_words.mark(endpoint),
            "chip": gate_words.chip(endpoint, timezone.now()),
            "why": gate_words.obstacle(gate, timezone.now()) if gate else "",
            "gate": gate,
            "unreadable": outbound_secrets.stored(endpoint).problem,
            "suspended": endpoint.status == EndpointStatus.SUSPENDED,
            "may_test": may(request, Permission.INTEGRATE, endpoint),
            "may_operate": may(request, Permission.OPERATE, endpoint),
        }

    @admin.display(description="Endpoint", ordering="name")
    def title(self, endpoint: Endpoint) -> SafeString:
        """Letter mark and name."""
        return format_html(
            '<span class="oi-line">{}<strong>{}</strong></span>', gate_words.mark(endpoint), endpoint.name
        )

    @admin.display(description="Type", ordering="kind")
    def type_name(self, endpoint: Endpoint) -> str:
        """What people call its type."""
        return gate_words.kind_label(endpoint.kind)

    @admin.display(description="State")
    def state(self, endpoint: Endpoint) -> SafeString:
        """Whether messages leave for it."""
        return gate_words.chip(endpoint, timezone.now())

    @admin.display(description="Last success")
    def last_success(self, endpoint: Endpoint) -> SafeString:
        """When something last arrived there."""
        gate = getattr(endpoint, "gate", None)
        return display.when(gate.last_success_at if gate else None)

    @admin.display(description="Environment")
    def environment_name(self, endpoint: Endpoint) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(endpoint.environment, named=False)

    @admin.display(description="Receiver address")
    def receiver_address(self, endpoint: Endpoint) -> SafeString:
        """Where the system posts its tickets."""
        return display.code(f"{settings.PUBLIC_URL}{endpoint.environment.receiver_path}")

    @admin.display(description="Username")
    def receiver_username(self, endpoint: Endpoint) -> SafeString:
        """The receiver username, and until when the old password works."""
        login = endpoint.receiver_logins.filter(valid_until=None).first()
        if login is None:
            return format_html('<span class="oi-muted">{}</span>', "None yet. Generate a password and save.")
        ends = receiver_logins.grace_ends(endpoint)
        if ends is None:
            return display.code(login.username)
        return format_html(
            "{} {}",
            display.code(login.username),
            display.chip(
                f"Old password ends {display.relative(ends)}",
                "amber",
                "schedule",
                f"{ends:%Y-%m-%d %H:%M} UTC",
            ),
        )


def made_username(endpoint: Endpoint) -> str:
    """A receiver username that no other endpoint has: from organization, environment and endpoint."""
    return f"{endpoint.environment.organization.slug}-{endpoint.environment.kind}-{endpoint.slug}"[:100]

"""The rule list and the page of one rule, with its draft edited in place."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from endpoints.models import Endpoint, EntityType
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, may, note
from oneio.admin.filters import DropdownFilter, EnvironmentFilter, ReadableFilter
from routing import compiled, versions
from routing.admin import comparison, configuration, words
from routing.admin.forms import DraftForm, IdentityForm
from routing.admin.rows import (
    AttachmentInline,
    ConditionInline,
    ConversationInline,
    LookupInline,
    MappingInline,
    VariableInline,
)
from routing.checking import check_draft
from routing.models import RoutingRule

DRAFT_FIELDS = [("source", "target"), ("action", "priority"), "operations", "write_back", "message_type"]


class PublishForm(forms.Form):
    """Why a version is published."""

    reason = forms.CharField(
        max_length=300,
        label="Why?",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="One sentence that others understand in a year. It is kept with the version.",
    )


class EndpointFilter(ReadableFilter):
    """Rules whose current version takes from one endpoint."""

    title = "from"
    parameter_name = "current_version__source_endpoint"
    offers = Endpoint


class SwitchFilter(DropdownFilter):
    """Rules that are on, off, or not published yet."""

    title = "state"
    parameter_name = "state"
    STATES = {
        "on": ("On", {"enabled": True, "current_version__isnull": False}),
        "off": ("Off", {"enabled": False, "current_version__isnull": False}),
        "draft": ("Draft only", {"current_version__isnull": True}),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The states by their words."""
        return [(name, word) for name, (word, _) in self.STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rules in the chosen state."""
        chosen = self.STATES.get(str(self.value()))
        return queryset.filter(**chosen[1]) if chosen else queryset


@admin.register(RoutingRule)
class RoutingRuleAdmin(EnvironmentAdmin):
    """Which tickets go where, and how."""

    list_display = ["title", "path", "state", "version", "draft", "use_case", "environment_name"]
    list_filter = [SwitchFilter, EndpointFilter, EnvironmentFilter]
    search_fields = ["name", "slug", "use_case"]
    ordering = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    change_form_outer_before_template = "routing/rule_head.html"
    change_form_outer_after_template = "routing/versions.html"
    empty_title = "No rule yet"
    empty_text = (
        "A rule says which messages of one endpoint go to which other, and how each attribute is translated. "
        "Connect two endpoints first, then add a rule."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rules with their current version and their draft."""
        loaded = words.loaded_versions(request)
        drafts = Prefetch("versions", queryset=loaded.filter(published_at=None), to_attr="drafts")
        current = [
            f"current_version__{name}"
            for name in ("source_endpoint", "source_entity", "target_endpoint", "target_entity")
        ]
        rows = super().get_queryset(request).select_related("environment__organization", *current)
        return rows.prefetch_related(drafts)

    def get_urls(self) -> list[URLPattern]:
        """The steps of a rule's life, beside Django's own pages."""
        wrap = self.admin_site.admin_view
        steps = {
            "publish": self.publish_view,
            "new-draft": require_POST(self.new_draft),
            "discard-draft": require_POST(self.discard_draft),
            "copy": require_POST(self.copy_rule),
        }
        own = [
            path(f"<int:pk>/{step}/", wrap(view), name=f"routing_routingrule_{step.replace('-', '_')}")
            for step, view in steps.items()
        ]
        current = path(
            "<int:pk>/current/<int:version_pk>/",
            wrap(require_POST(self.make_current)),
            name="routing_routingrule_current",
        )
        pages = [*configuration.urls(self.admin_site), *comparison.urls(self.admin_site)]
        return [*pages, *own, current, *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Identity alone, or identity and draft."""
        if obj is not None and not self._edits_draft(request, obj):
            return super().get_form(request, obj, change, **{"form": IdentityForm, **kwargs})
        form = super().get_form(request, obj, change, **{"form": DraftForm, **kwargs})
        entities = access.readable(request.user, EntityType, Permission.INTEGRATE).select_related(
            "endpoint", "environment__organization"
        )
        if obj is not None:
            entities = entities.filter(environment_id=obj.environment_id)
        draft = versions.find_draft(obj) if obj else None
        return _bound(form, entities=entities.order_by("environment", "endpoint__name", "name"), draft=draft)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What the rule is, and what its draft does."""
        identity = ["name", "slug", "use_case", "owner", "enabled", "test_before_publish"]
        if obj is None:
            return [(None, {"fields": ["name", "slug"]}), ("What it does", {"fields": DRAFT_FIELDS})]
        if not self._edits_draft(request, obj):
            return [("The rule itself", {"fields": identity})]
        draft = versions.find_draft(obj)
        return [
            (f"Draft v{draft.number if draft else 1}", {"fields": DRAFT_FIELDS}),
            ("The rule itself", {"fields": identity, "classes": ["collapse"]}),
        ]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Rows can be edited once there is a draft."""
        if obj is None or not self._edits_draft(request, obj):
            return []
        mappings = [MappingInline, VariableInline, ConversationInline]
        return [ConditionInline, *mappings, LookupInline, AttachmentInline]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only a new rule's short name follows its name."""
        return {} if obj else self.prepopulated_fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """An owner is somebody whom the user may name: everybody for superusers, else oneself."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "owner" and field is not None and not request.user.is_superuser:
            field.queryset = field.queryset.filter(pk=request.user.pk)
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the rule and its draft; whoever adds a rule owns it until somebody else is named."""
        if not change and obj.owner_id is None:
            obj.owner = request.user
        super().save_model(request, obj, form, change)
        if isinstance(form, DraftForm):
            cleaned = form.cleaned_data
            versions.save_draft(obj, cleaned["source"], cleaned["target"], **form.content())

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        """Go on with conditions and mappings, in the editor."""
        messages.success(
            request, f"“{obj}” is saved as a draft. Add conditions and mappings, then publish it."
        )
        return HttpResponseRedirect(reverse("routing_routingrule_editor", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """After Publish, ask for the reason."""
        if "_publish" in request.POST:
            return HttpResponseRedirect(reverse("admin:routing_routingrule_publish", args=[obj.pk]))
        messages.success(request, f"“{obj}” is saved.")
        return HttpResponseRedirect(request.get_full_path())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The form with the rule's state above and its versions below."""
        rule = self.get_object(request, object_id)
        head = self._head(request, rule) if rule else None
        return super().change_view(request, object_id, form_url, {"head": head, **(extra_context or {})})

    def publish_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the reason, then publish; what cannot run is said with the place to correct."""
        rule = self._changeable(request, pk)
        draft = versions.find_draft(rule)
        if draft is None:
            messages.warning(request, "There is no draft to publish.")
            return HttpResponseRedirect(self._page(pk))
        form, problem = PublishForm(request.POST or None), ""
        if form.is_valid():
            try:
                version = versions.publish(rule, request.user, form.cleaned_data["reason"])
            except compiled.RuleError as error:
                problem = f"{error!s} (field: {error.field.replace('_', ' ')})"
            except versions.TransitionRefused as refused:
                problem = str(refused)
            else:
                note(request, [rule], f"Published v{version.number}: {version.reason}")
                messages.success(request, f"v{version.number} of “{rule}” works from the next message on.")
                return HttpResponseRedirect(self._page(pk))
        loaded = words.loaded_versions(request).get(pk=draft.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Publish v{draft.number} of {rule}?",
            "opts": self.opts,
            "rule": rule,
            "environment_shown": rule,
            "form": form,
            "problem": problem,
            "body": words.version_body(loaded),
            "current": rule.current_version,
            "differences": comparison.changes(rule.current_version, loaded) if rule.current_version else [],
        }
        return TemplateResponse(request, "routing/publish.html", context)

    def new_draft(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A draft copied from the current version."""
        draft = partial(versions.draft_of, self._changeable(request, pk))
        return self._step(
            request, pk, draft, "This is a copy of the current version. Change it, then publish."
        )

    def discard_draft(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Throw the draft away."""
        discard = partial(versions.discard, self._changeable(request, pk))
        return self._step(request, pk, discard, "The draft is gone. The current version works on.")

    def make_current(self, request: HttpRequest, pk: int, version_pk: int) -> HttpResponse:
        """Let an earlier version count again."""
        rule = self._changeable(request, pk)
        version = words.loaded_versions(request).filter(pk=version_pk).first()
        if version is None:
            raise Http404
        back = partial(versions.set_current, rule, version)
        done = self._step(request, pk, back, f"v{version.number} counts from the next message on.")
        note(request, [rule], f"Made v{version.number} current")
        return done

    def copy_rule(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A new rule with the same content, switched off."""
        rule = self._changeable(request, pk)
        taken = set(access.readable(request.user, RoutingRule).values_list("name", flat=True))
        number = next(n for n in range(1, len(taken) + 2) if f"{rule.name} (copy {n})" not in taken)
        twin = versions.copy(rule, f"{rule.name} (copy {number})", f"{rule.slug}-copy-{number}")
        messages.success(request, f"“{twin}” is a copy, switched off. Give it its own name.")
        return HttpResponseRedirect(self._page(twin.pk))

    def _step(self, request: HttpRequest, pk: int, step: Any, said: str) -> HttpResponse:
        try:
            step()
        except versions.TransitionRefused as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, said)
        return HttpResponseRedirect(self._page(pk))

    def _changeable(self, request: HttpRequest, pk: int) -> RoutingRule:
        rule = access.readable(request.user, RoutingRule).filter(pk=pk).first()
        if rule is None:
            raise Http404
        if not may(request, Permission.INTEGRATE, rule):
            raise PermissionDenied
        return rule

    def _edits_draft(self, request: HttpRequest, rule: RoutingRule) -> bool:
        return self.has_change_permission(request, rule) and versions.find_draft(rule) is not None

    def _head(self, request: HttpRequest, rule: RoutingRule) -> dict[str, Any]:
        found = list(words.loaded_versions(request).filter(rule=rule).order_by("-number"))
        current = next((row for row in found if row.pk == rule.current_version_id), None)
        return {
            "rule": rule,
            "chip": words.state_chip(rule),
            "current": current,
            "draft": next((row for row in found if row.published_at is None), None),
            "path": words.path_of(current or found[0]) if found else "",
            "body": words.version_body(current) if current else None,
            "versions": [row for row in found if row.published_at is not None],
            "findings": check_draft(rule) if any(row.published_at is None for row in found) else [],
            "may_change": may(request, Permission.INTEGRATE, rule),
        }

    def _page(self, pk: int) -> str:
        return reverse("admin:routing_routingrule_change", args=[pk])

    @admin.display(description="Rule", ordering="name")
    def title(self, rule: RoutingRule) -> SafeString:
        """Its name."""
        return format_html("<strong>{}</strong>", rule.name)

    @admin.display(description="From → to")
    def path(self, rule: Any) -> SafeString:
        """From where to where it carries tickets."""
        version = rule.current_version or next(iter(rule.drafts), None)
        return words.path_of(version) if version else display.NOTHING

    @admin.display(description="State")
    def state(self, rule: RoutingRule) -> SafeString:
        """Whether it works."""
        return words.state_chip(rule)

    @admin.display(description="Current")
    def version(self, rule: RoutingRule) -> SafeString | str:
        """The version that counts."""
        return f"v{rule.current_version.number}" if rule.current_version else display.NOTHING

    @admin.display(description="Draft")
    def draft(self, rule: Any) -> SafeString | str:
        """The version that is being edited."""
        return f"v{rule.drafts[0].number}" if rule.drafts else display.NOTHING

    @admin.display(description="Environment")
    def environment_name(self, rule: RoutingRule) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(rule.environment, named=False)


def _bound(form: Any, **extra: Any) -> Any:
    """The form class with what Django's admin cannot hand to it: which entity types, which draft."""

    class Bound(form):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **extra, **kwargs)

    return Bound

"""The page where configuration leaves as YAML and comes in: first what would change, then the change."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from oneio import access
from oneio.access import Permission
from oneio.admin.base import may
from oneio.models import Environment
from oneio.plain_yaml import MAX_LENGTH
from routing.models import RoutingRule, RuleVersion
from routing.portable import companions, reading, writing
from routing.portable.importing import Options, Report, import_document
from routing.portable.noting import note_golden, note_import

WORDS = {"new": "New", "changed": "Changed", "same": "The same", "kept": "Kept as it is here"}
COLOURS = {"new": "green", "changed": "amber", "same": "grey", "kept": "grey"}


class ImportForm(forms.Form):
    """What to bring in, where to, and how."""

    environment = forms.ModelChoiceField(
        Environment._base_manager.none(), label="Into", widget=UnfoldAdminSelectWidget
    )
    file = forms.FileField(required=False, widget=UnfoldAdminFileFieldWidget, label="File")
    text = forms.CharField(
        required=False,
        strip=False,
        label="or text",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="YAML as written by Export.",
    )
    overwrite_endpoints = forms.BooleanField(
        required=False,
        label="Overwrite endpoints",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Otherwise endpoints that exist keep address and settings; only missing ones are made.",
    )
    publish = forms.BooleanField(
        required=False,
        label="Publish changed rules",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Otherwise each becomes a draft that you look at and publish.",
    )
    reason = forms.CharField(
        required=False,
        max_length=300,
        label="Why?",
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with each version that is published.",
    )

    def __init__(self, *args: Any, environments: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["environment"]
        assert isinstance(chosen, forms.ModelChoiceField)
        chosen.queryset = environments

    def clean(self) -> dict[str, Any]:
        """The document's text, from the file if there is one."""
        given: dict[str, Any] = super().clean() or {}
        file = given.get("file")
        if file is not None:
            given["text"] = self._text_of(file)
        if not given.get("text") and not self.errors:
            self.add_error("file", "Choose a file, or paste the text below.")
        if given.get("publish") and not given.get("reason", "").strip():
            self.add_error("reason", "Say why: it is kept with each version that is published.")
        return given

    def options(self, by: Any) -> Options:
        """How to bring it in."""
        given = self.cleaned_data
        return Options(given["overwrite_endpoints"], given["publish"], given["reason"].strip(), by)

    def _text_of(self, file: Any) -> str:
        if file.size > MAX_LENGTH:
            self.add_error("file", f"The file is too large. At most {MAX_LENGTH // 2**20} MiB can be read.")
            return ""
        try:
            text: str = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            self.add_error("file", "The file is no text in UTF-8. Choose one written by Export.")
            return ""
        return text


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of export and import, below the rules' own."""
    wrap = site.admin_view
    return [
        path("configuration/", wrap(partial(page, site)), name="routing_configuration"),
        path("configuration/<int:pk>/export/", wrap(export), name="routing_configuration_export"),
        path("<int:pk>/export/<int:version_pk>/", wrap(export_rule), name="routing_routingrule_export"),
    ]


def export(request: HttpRequest, pk: int) -> HttpResponse:
    """An environment's configuration as a file."""
    environment = access.environments(request.user).select_related("organization").filter(pk=pk).first()
    if environment is None:
        raise Http404
    name = f"{environment.organization.slug}-{environment.kind}"
    rules = access.readable(request.user, RoutingRule).filter(environment=environment)
    return _file(_golden_too(request, writing.environment_document(environment), rules), name)


def export_rule(request: HttpRequest, pk: int, version_pk: int) -> HttpResponse:
    """One version of a rule as a file."""
    rule = access.readable(request.user, RoutingRule).filter(pk=pk).first()
    version = access.readable(request.user, RuleVersion).filter(pk=version_pk, rule=rule).first()
    if rule is None or version is None:
        raise Http404
    rules = access.readable(request.user, RoutingRule).filter(pk=pk)
    document = _golden_too(request, writing.single_rule_document(rule, version), rules)
    return _file(document, f"{rule.slug}-v{version.number}")


def page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Choose, look at what would change, confirm."""
    if not may(request, Permission.VIEW):
        raise PermissionDenied
    targets = access.environments(request.user, Permission.INTEGRATE).select_related("organization")
    form = ImportForm(request.POST or None, request.FILES or None, environments=targets)
    context: dict[str, Any] = {"form": form, "may_import": targets.exists()}
    if request.method == "POST" and form.is_valid():
        done = _import(request, form, context)
        if done is not None:
            return done
    return TemplateResponse(
        request,
        "routing/configuration.html",
        {
            **site.each_context(request),
            "title": "Export and import",
            "environments": [
                (one, may(request, Permission.READ_PAYLOAD, one))
                for one in access.environments(request.user).select_related("organization")
            ],
            **context,
        },
    )


def _import(request: HttpRequest, form: ImportForm, context: dict[str, Any]) -> HttpResponse | None:
    """Say what the document would change, or change it if exactly that was confirmed."""
    environment, options = form.cleaned_data["environment"], form.options(request.user)
    try:
        document = reading.read(form.cleaned_data["text"])
        report = import_document(environment, document, options, trial=True)
        if _mark(report) == request.POST.get("confirmed") and not report.problems:
            with transaction.atomic():
                report = import_document(environment, document, options)
                return _imported(request, environment, report)
    except reading.Unimportable as error:
        context["problems"] = error.problems
        return None
    context |= {
        "problems": report.problems,
        "report": report,
        "changes": [(one, WORDS[one.fate], COLOURS[one.fate]) for one in report.changes],
        "confirmed": _mark(report),
        "text": form.cleaned_data["text"],
        "environment": environment,
        "changed_meanwhile": "confirmed" in request.POST,
    }
    return None


def _imported(request: HttpRequest, environment: Environment, report: Report) -> HttpResponse:
    moved = note_import(request, environment, report, "Imported from a document")
    messages.success(request, f"{moved} of {len(report.changes)} things of the document changed.")
    return HttpResponseRedirect(reverse("admin:routing_routingrule_changelist"))


def _golden_too(
    request: HttpRequest, document: dict[str, Any], rules: QuerySet[RoutingRule]
) -> dict[str, Any]:
    """The document, with the rules' golden tickets where they were asked for and may be read."""
    if request.GET.get("golden") != "1":
        return document
    if any(not may(request, Permission.READ_PAYLOAD, rule) for rule in rules):
        raise PermissionDenied
    document = companions.with_golden(document, rules)
    note_golden(request, document, rules)
    return document


def _mark(report: Report) -> str:
    return sha256(report.fingerprint.encode()).hexdigest()


def _file(document: dict[str, Any], name: str) -> HttpResponse:
    answer = HttpResponse(writing.text(document), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.yaml"'
    return answer

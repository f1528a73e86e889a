"""Golden tickets in the browser: save a message as a test case; the list says what is not as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from conversations import audit, golden
from conversations.explaining import Untraceable
from conversations.models import GoldenTicket, Message
from oneio import access
from oneio.access import Permission
from oneio.admin import switch
from oneio.admin.base import may, note
from routing.errors import RuleError
from routing.models import RoutingRule

SHOWN = 200


if TYPE_CHECKING:
    RuleField = forms.ModelChoiceField[RoutingRule]
else:
    RuleField = forms.ModelChoiceField


class CaseForm(forms.Form):
    """What a test case is called, whose it is, and what is not compared."""

    rule = RuleField(queryset=None, widget=UnfoldAdminSelectWidget, empty_label=None)
    name = forms.CharField(
        max_length=150,
        widget=UnfoldAdminTextInputWidget,
        help_text="What this ticket stands for, such as: critical incident with a comment.",
    )
    ignore = forms.CharField(
        required=False,
        label="Not compared",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One outgoing field a line; * stands for anything. Fields with the ticket's own number, and"
        " times, are suggested.",
    )

    def __init__(self, rules: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rule"].queryset = rules  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A name stands once per rule."""
        rule, name = self.cleaned_data.get("rule"), self.cleaned_data.get("name")
        if rule and name and access.beside(rule, GoldenTicket).filter(rule=rule, name=name).exists():
            self.add_error("name", "This rule has a test case of that name. Choose another one.")
        return self.cleaned_data

    def ignored(self) -> list[str]:
        """The names that are not compared."""
        return [line.strip() for line in self.cleaned_data["ignore"].splitlines() if line.strip()]


def page(request: HttpRequest) -> HttpResponse:
    """Every test case with whether it is as expected; checked anew each time."""
    if not may(request, Permission.READ_PAYLOAD):
        raise PermissionDenied
    if request.method == "POST":
        _act(request)
        return HttpResponseRedirect(request.get_full_path())
    drafts = request.GET.get("drafts") == "1"
    checked = golden.check(_shown(request), drafts=drafts)
    context = {
        **admin.site.each_context(request),
        "title": "Golden tickets",
        "checked": sorted(checked, key=lambda one: one.passed),
        "failed": sum(not one.passed for one in checked),
        "drafts": drafts,
        "may_change": may(request, Permission.INTEGRATE),
    }
    return TemplateResponse(request, "conversations/golden.html", context)


def save_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask what the test case is called; then keep it."""
    message = _message(request, pk)
    rules = access.readable(request.user, RoutingRule, Permission.INTEGRATE).filter(
        environment=message.environment_id, versions__source_endpoint=message.endpoint_id
    )
    took = message.deliveries.order_by("pk").first()
    rule = (took.rule if took else None) or rules.first()
    problem, suggestion = _suggestion(message, rule)
    initial = {"rule": rule, "name": str(message), "ignore": "\n".join(suggestion)}
    form = CaseForm(rules.distinct(), request.POST or None, initial=initial)
    if not problem and form.is_valid() and _kept(request, message, form):
        return HttpResponseRedirect(reverse("golden_tickets"))
    context = {
        **admin.site.each_context(request),
        "title": f"Save {message} as a test case",
        "row": message,
        "form": form,
        "problem": problem,
    }
    return TemplateResponse(request, "conversations/golden_save.html", context)


def _kept(request: HttpRequest, message: Message, form: CaseForm) -> bool:
    """False where the chosen rule cannot be run; the form says so then."""
    rule, name = form.cleaned_data["rule"], form.cleaned_data["name"]
    try:
        case = golden.keep(message, rule, name, form.ignored(), request.user)
    except (Untraceable, RuleError) as reason:
        form.add_error("rule", str(reason))
        return False
    note(request, [rule], f"Saved message #{message.pk} as test case")
    messages.success(request, f"“{case}” is a test case of {rule} now.")
    return True


def _shown(request: HttpRequest) -> list[GoldenTicket]:
    found = access.readable(request.user, GoldenTicket, Permission.READ_PAYLOAD)
    environment = switch.chosen(request)
    if environment is not None:
        found = found.filter(environment=environment)
    rule = request.GET.get("rule", "")
    if rule.isdecimal():
        found = found.filter(rule=int(rule))
    loaded = found.select_related("rule__current_version", "environment__organization", "created_by")
    return list(loaded.order_by("rule__name", "name")[:SHOWN])


def _message(request: HttpRequest, pk: int) -> Message:
    found = access.readable(request.user, Message, Permission.READ_PAYLOAD).filter(pk=pk)
    message: Message | None = found.select_related("body", "endpoint", "environment").first()
    if message is None:
        raise Http404
    if not may(request, Permission.INTEGRATE, message):
        raise PermissionDenied
    audit.payload_read(request.user, message)
    return message


def _suggestion(message: Message, rule: RoutingRule | None) -> tuple[str, list[str]]:
    """Why the message cannot be a test case, or what should not be compared."""
    if rule is None:
        return "No rule takes messages of this endpoint. Make one first.", []
    try:
        return "", golden.suggested(message, rule)
    except (Untraceable, RuleError) as reason:
        return str(reason), []


def _act(request: HttpRequest) -> None:
    """Accept a new result, or delete a case."""
    verb, _, key = request.POST.get("verb", "").partition(" ")
    case = _case(request, key)
    if verb == "delete":
        note(request, [case.rule], f"Deleted the test case “{case}”")
        case.delete()
        messages.success(request, f"“{case}” is deleted.")
        return
    try:
        golden.accept(case, drafts=request.GET.get("drafts") == "1")
    except RuleError as error:
        messages.error(request, f"Nothing was changed. {error}")
        return
    note(request, [case.rule], f"Accepted the new result of the test case “{case}”")
    messages.success(request, f"What “{case.rule}” makes of “{case}” today is what is expected from now on.")


def _case(request: HttpRequest, key: str) -> GoldenTicket:
    try:
        found = access.readable(request.user, GoldenTicket, Permission.INTEGRATE).filter(pk=UUID(key))
    except ValueError:
        raise Http404 from None
    case = found.select_related("rule__current_version").first()
    if case is None:
        raise Http404
    return case


view = admin.site.admin_view(page)
save_view = admin.site.admin_view(save_page)

"""The admin's small pieces for use in templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from oneio.admin import display, switch
from oneio.models import Environment
from oneio.template_values import to_text

register = template.Library()


@register.filter
def when(moment: datetime | None) -> SafeString:
    """A moment as people say it, the exact one on hover."""
    return display.when(moment)


@register.filter
def clock(moment: datetime) -> SafeString:
    """The time of day, the exact moment on hover."""
    return display.clock(moment)


@register.filter
def code(text: Any) -> SafeString:
    """An id in a fixed-width face with a copy button."""
    return display.code(text)


@register.filter
def short_code(text: Any) -> SafeString:
    """The beginning of a long id, the whole on hover and to copy."""
    shown = str(text or "")
    return display.code(text, f"{shown[:12]}…" if len(shown) > 16 else shown)


@register.filter
def mark(label: str) -> SafeString:
    """The letter mark of a kind of system."""
    return display.mark(label)


@register.filter
def environment_bar(environment: Environment) -> SafeString:
    """Which environment this is, with its organization."""
    return display.environment_bar(environment)


@register.filter
def environment_edge(environment: Environment) -> SafeString:
    """The upper edge of a page's first panel."""
    return display.environment_edge(environment)


@register.filter
def attribute_value(value: Any) -> SafeString:
    """An attribute's value in words: lists with commas, times in the reader's zone, a dash for nothing."""
    if isinstance(value, datetime):
        return format_html("{}", localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z"))
    text = to_text(value)
    return format_html("{}", text) if text.strip() else display.NOTHING


@register.filter
def pretty_json(value: Any) -> SafeString:
    """A JSON document for people to read."""
    return display.pretty_json(value)


@register.simple_tag
def chip(word: str, tone: display.Tone, icon: str, title: str = "") -> SafeString:
    """A state: one word, one colour, one icon."""
    return display.chip(word, tone, icon, title)


@register.simple_tag
def content_days() -> int:
    """For how many days contents are kept."""
    days: int = settings.RETENTION_CONTENT_DAYS
    return days


@register.inclusion_tag("oneio/environment_switch.html", takes_context=True)
def environment_switch(context: Any) -> dict[str, Any]:
    """The bar that says in which environment one is, and changes it."""
    request = context["request"]
    shown = switch.bar(request, context) if request.user.is_staff else {}
    return {**shown, "csrf_token": context.get("csrf_token")}

"""Small pieces of a page that look the same everywhere: chips, marks, times, ids, JSON."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from oneio.models import Environment, EnvironmentKind

Tone: TypeAlias = Literal["green", "blue", "amber", "red", "grey"]
NOTHING = mark_safe('<span class="oi-muted">–</span>')
MARK_COLOURS = 6
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def chip(word: str, tone: Tone, icon: str, title: str = "", *, struck: bool = False) -> SafeString:
    """A state: one word, one colour, one icon; `title` is what it means, shown on hover."""
    return format_html(
        '<span class="oi-chip oi-{}{}" title="{}"><span class="material-symbols-outlined oi-icon" '
        'aria-hidden="true">{}</span>{}</span>',
        tone,
        " oi-struck" if struck else "",
        title,
        icon,
        word,
    )


def letters(label: str) -> str:
    """Two letters that stand for a system: ServiceNow → SN, Jira → JI."""
    capitals = [letter for letter in label if letter.isupper()]
    return "".join(capitals[:2]) if len(capitals) > 1 else label[:2].upper()


def mark(label: str, title: str = "") -> SafeString:
    """The letter mark of a kind of system, always in the same colour."""
    colour = zlib.crc32(label.encode()) % MARK_COLOURS
    return format_html(
        '<span class="oi-mark oi-mark-{}" title="{}">{}</span>', colour, title or label, letters(label)
    )


def environment_bar(environment: Environment, *, named: bool = True) -> SafeString:
    """Which environment this is: PRODUCTION solid, QA striped; with its organization if `named`."""
    kind = "production" if environment.kind == EnvironmentKind.PRODUCTION else "qa"
    bar = format_html(
        '<span class="oi-environment oi-{}" title="{}">{}</span>',
        kind,
        environment,
        environment.get_kind_display().upper(),
    )
    if not named:
        return bar
    return format_html('<span class="oi-line">{}<span>{}</span></span>', bar, environment.organization)


def environment_edge(environment: Environment) -> SafeString:
    """The upper edge of a page's first panel: solid for Production, striped for QA."""
    kind = "production" if environment.kind == EnvironmentKind.PRODUCTION else "qa"
    return format_html('<div class="oi-bar oi-bar-{}"></div>', kind)


def duration(span: timedelta) -> str:
    """A length of time in its two largest words' worth: 45 s, 3 min, 2 h, 4 d; below 10 s with a decimal."""
    seconds = max(span.total_seconds(), 0.0)
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{int(seconds)} s"


def relative(moment: datetime, now: datetime | None = None) -> str:
    """How far away a moment is, in words: 40 s ago, in 3 min."""
    span = (now or timezone.now()) - moment
    if abs(span) < timedelta(seconds=1):
        return "now"
    return f"{_whole(span)} ago" if span > timedelta(0) else f"in {_whole(-span)}"


def when(moment: datetime | None) -> SafeString:
    """A moment as people say it, the exact one on hover."""
    if moment is None:
        return NOTHING
    return _time(moment, exactly(moment), relative(moment))


def clock(moment: datetime, *, dated: bool = False) -> SafeString:
    """The time of day, with its date if `dated` and not today; the exact moment and its distance on hover."""
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localtime().date()
    shown = local.strftime("%H:%M" if is_today or not dated else "%d %b %H:%M")
    return _time(moment, f"{exactly(moment)}, {relative(moment)}", shown)


def exactly(moment: datetime) -> str:
    """A moment to the second in the reader's zone, and in UTC where that is another."""
    local = timezone.localtime(moment)
    exact = local.strftime("%Y-%m-%d %H:%M:%S %Z")
    return exact + (f" ({moment.astimezone(UTC):%H:%M:%S} UTC)" if local.utcoffset() else "")


def _time(moment: datetime, title: str, shown: str) -> SafeString:
    return format_html(
        '<time class="oi-nowrap" datetime="{}" title="{}">{}</time>', moment.isoformat(), title, shown
    )


def code(text: Any, shown: str = "") -> SafeString:
    """An id in a fixed-width face with a copy button; `shown` is a shorter form of it."""
    if not text:
        return NOTHING
    return format_html(
        '<span class="oi-line"><code class="oi-code" title="{0}">{1}</code>'
        '<button type="button" class="oi-copy" data-copy="{0}" title="Copy" aria-label="Copy {0}">'
        '<span class="material-symbols-outlined oi-icon" aria-hidden="true">content_copy</span>'
        "</button></span>",
        text,
        shown or text,
    )


def link(href: str, text: Any) -> SafeString:
    """A link within a row or a sentence."""
    return format_html('<a class="oi-link" href="{}">{}</a>', href, text)


def remote_link(href: str, text: Any) -> SafeString:
    """A link into the other system; only web addresses become links."""
    if not href.startswith(("https://", "http://")):
        return format_html("<span>{}</span>", text)
    return format_html(
        '<a class="oi-link" href="{}" target="_blank" rel="noopener noreferrer">{}'
        '<span class="material-symbols-outlined oi-icon" aria-hidden="true">open_in_new</span></a>',
        href,
        text,
    )


def pretty_json(value: Any) -> SafeString:
    """A JSON document for people to read."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return format_html('<pre class="oi-json" tabindex="0">{}</pre>', text)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 delivery, 2 deliveries."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _whole(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{int(seconds)} s" if seconds < 60 else duration(span)

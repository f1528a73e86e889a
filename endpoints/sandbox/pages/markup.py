"""HTML pieces the sandbox pages are put together from; every value is escaped unless it is Markup."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from markupsafe import Markup
from werkzeug.wrappers import Response

NONE = Markup("")

_PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · {system}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="icon" href="data:,"><style>{style}:root{{--accent:{accent}}}</style></head>'
    '<body><header class="bar"><a class="system" href="/">{system}</a>{links}'
    '<span class="note">Simulated system for demos and tests</span></header><main>{body}</main></body></html>'
)


def page(
    system: str,
    title: str,
    body: Markup,
    links: Mapping[str, str],
    accent: str = "#1f6f5c",
    status: int = 200,
) -> Response:
    """Return a whole page; `links` of the top bar maps text to address, `accent` is the system's colour."""
    bar = joined(fill('<a href="{}">{}</a>', address, text) for text, address in links.items())
    html = _PAGE.format(title=title, system=system, style=_style(), accent=accent, links=bar, body=body)
    return Response(html, status, content_type="text/html;charset=UTF-8")


def fill(template: str, *values: object, **named: object) -> Markup:
    """Fill a trusted template with values, escaping each."""
    return Markup(template).format(*values, **named)  # noqa: S704


def joined(parts: Iterable[Markup]) -> Markup:
    """Put pieces one after another."""
    return NONE.join(parts)


def badge(text: str, mood: str = "") -> Markup:
    """Return a small coloured label; mood: good, warn, bad, info or nothing."""
    return fill('<span class="badge {}">{}</span>', mood, text)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> Markup:
    """Return a table, or the sentence `empty` when there are no rows."""
    lines = [joined(fill("<td>{}</td>", cell) for cell in row) for row in rows]
    if not lines:
        return fill('<div class="empty">{}</div>', empty)
    head = joined(fill("<th>{}</th>", heading) for heading in headings)
    body = joined(fill("<tr>{}</tr>", line) for line in lines)
    return fill("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


def text_input(name: str, label: str, value: str = "", wide: bool = False, required: bool = False) -> Markup:
    """Return a labelled one-line input."""
    extra = Markup(" required") if required else NONE
    control = fill('<input id="{0}" name="{0}" value="{1}"{2}>', name, value, extra)
    return labelled(name, label, control, wide)


def text_area(name: str, label: str, value: str = "", wide: bool = True) -> Markup:
    """Return a labelled input of several lines."""
    return labelled(name, label, fill('<textarea id="{0}" name="{0}">\n{1}</textarea>', name, value), wide)


def select(name: str, label: str, choices: Mapping[str, str], value: str = "", wide: bool = False) -> Markup:
    """Return a labelled choice; `choices` maps values to what people read."""
    options = joined(
        fill('<option value="{}"{}>{}</option>', each, Markup(" selected") if each == value else NONE, text)
        for each, text in choices.items()
    )
    return labelled(name, label, fill('<select id="{0}" name="{0}">{1}</select>', name, options), wide)


def hidden(name: str, value: str) -> Markup:
    """Return a value the form sends along unseen."""
    return fill('<input type="hidden" name="{}" value="{}">', name, value)


def labelled(name: str, label: str, control: Markup, wide: bool = False) -> Markup:
    """Return a control under its label."""
    return fill(
        '<div class="{}"><label for="{}">{}</label>{}</div>', "wide" if wide else "", name, label, control
    )


@cache
def _style() -> Markup:
    return Markup(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))  # noqa: S704

"""Says what rules do in words, and gathers what pages show of a version."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from endpoints.admin import gate_words
from oneio import access
from oneio.admin import display
from routing.errors import RuleError
from routing.models import Mapping, MappingCategory, RoutingRule, RuleAction, RuleVersion
from routing.portable import shape
from routing.rules import condition_trees
from routing.wording import delay_in_words, node_in_words

CATEGORIES = {
    MappingCategory.OUTBOUND: "What is sent",
    MappingCategory.VARIABLE: "Runtime variables",
    MappingCategory.CONVERSATION: "Conversation variables",
}


def path_of(version: RuleVersion) -> SafeString:
    """From where to where a version carries tickets."""
    source = format_html("{}<span>{}</span>", gate_words.mark(version.source_endpoint), version.source_entity)
    if version.target_endpoint is None:
        action = RuleAction(version.action).label
        return format_html(
            '<span class="oi-line">{}<span class="oi-muted">→ {}</span></span>', source, action
        )
    return format_html(
        '<span class="oi-line">{}<span class="oi-muted">→</span>{}<span>{}</span></span>',
        source,
        gate_words.mark(version.target_endpoint),
        version.target_entity,
    )


def condition_words(version: RuleVersion) -> list[SafeString]:
    """A version's conditions as sentences, all of which must hold."""
    rows = [row for row in version.conditions.all() if row.mapping_id is None]
    try:
        nodes = condition_trees(rows).get(None, ())
    except RuleError:
        return [format_html("{}", str(row)) for row in rows]
    return [SafeString(node_in_words(node, _code, _strong)) for node in nodes]


def _code(path: str) -> str:
    return format_html('<code class="oi-code">{}</code>', path)


def _strong(value: str) -> str:
    return format_html("<strong>{}</strong>", value)


def mapping_source(mapping: Mapping) -> str:
    """Where a mapping's value comes from."""
    counter = mapping.counter.name if mapping.counter else ""
    sources = ", ".join(filter(None, (mapping.source, *mapping.further_sources)))
    return sources or mapping.template or mapping.constant or counter


def loaded_versions(request: HttpRequest) -> Any:
    """Versions with all that words need, through the one door."""
    return access.readable(request.user, RuleVersion).select_related(
        "rule",
        "source_endpoint",
        "source_entity",
        "target_endpoint",
        "target_entity",
        "published_by",
        "environment__organization",
    )


def version_body(version: RuleVersion) -> dict[str, Any]:
    """What a version holds, as pages show it."""
    mappings = list(
        version.mappings.select_related("table", "counter").order_by("category", "position", "id")
    )
    return {
        "version": version,
        "path": path_of(version),
        "operations": ", ".join(version.operations),
        "conditions": condition_words(version),
        "delays": [delay_in_words(shape.DELAY.write(row)) for row in version.delays.all()],
        "categories": [
            (
                title,
                [(mapping, mapping_source(mapping)) for mapping in mappings if mapping.category == category],
            )
            for category, title in CATEGORIES.items()
        ],
    }


def state_chip(rule: RoutingRule) -> SafeString:
    """Whether a rule works."""
    if rule.current_version_id is None:
        return display.chip("Draft only", "amber", "edit_note", "It takes no message before it is published.")
    if not rule.enabled:
        return display.chip("Off", "grey", "pause_circle", "It is switched off and takes no message.")
    return display.chip("On", "green", "check_circle", "It takes messages.")

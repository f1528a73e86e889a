"""The worked examples of docs/rules.md: read from its YAML blocks, and run."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

from conversations.references import names_in
from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Operation, Value, Visibility
from endpoints.configs import NamedTicket
from oneio.paths import MISSING
from oneio.state import CHECKOUT
from routing.changes import Shadow
from routing.compiled import Condition, Group, MappingRow, Node, RoutingRule, RuleSet, TranslationTable
from routing.conditions import evaluate as evaluate_conditions
from routing.context import view
from routing.decision import Decision, Facts, decide
from routing.delays import Situation, wait_of
from routing.files import CarriedFile, FileFilter, extensions
from routing.formatters import apply_chain, compile_chain
from routing.lookups import Lookup
from routing.mapping import evaluate
from routing.models import DelayCondition
from routing.ownership import Settlement, changed_there, settle
from routing.rules import delay
from routing.translation import TableRow

PAGE = CHECKOUT / "docs" / "rules.md"
HEADING = re.compile(r"^#{2,4} ([^\n]+)$|^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(*needed: str) -> list[Any]:
    """Every example that has all these keys, with the heading that it stands under as `heading`."""
    heading, found = "", []
    for part in HEADING.finditer(PAGE.read_text()):
        heading = part[1] or heading
        example = {**_exact(yaml.safe_load(part[2])), "heading": heading} if part[2] else {}
        if example and set(needed) <= example.keys():
            found.append(example)
    return found


def run_mapping(example: dict[str, Any]) -> dict[str, Value]:
    """What the example's mappings make of its message. Raises MappingError."""
    mappings = example["mapping"] if isinstance(example["mapping"], list) else [example["mapping"]]
    context = {"attributes": example.get("message", {}), **example.get("context", {})}
    return evaluate([a_row(mapping) for mapping in mappings], context, example.get("action"))


def run_conditions(example: dict[str, Any]) -> bool:
    """Whether the example's conditions hold for its message."""
    context = {
        "attributes": example["message"],
        "changed": example.get("changed", {}),
        "message": {"received_at": example.get("received_at")},
        **example.get("context", {}),
    }
    return evaluate_conditions(a_tree(example["conditions"]), context).matched


def run_rules(example: dict[str, Any]) -> Decision:
    """What the example's rules decide on its message, of a ticket that no target has yet."""
    names = {rule["target"]: number for number, rule in enumerate(example["rules"], 1) if "target" in rule}
    rules = RuleSet(a_rule(number, rule, names) for number, rule in enumerate(example["rules"], 1))
    message = a_message(example)
    found = {rule.rule_id: example.get("found", {}) for rule in rules.candidates(99, "incident").asking}
    facts = Facts(
        message,
        example["message"],
        message.comments,
        frozenset(),
        {},
        keeps_internal=example.get("internal_comments_stay", False),
        numbers=lambda rule: example.get("counters", {}),
        lookups=found,
    )
    return decide(rules.candidates(99, "incident"), facts)


def run_delays(example: dict[str, Any]) -> dict[str, Any]:
    """What the example's delays wait for, as the page writes it."""
    target = 1
    situation = Situation(
        now=example["now"],
        received_at=example["received_at"],
        identified=frozenset({target} if example.get("ticket_known") else ()),
        delayed=frozenset({target} if example.get("earlier_waits") else ()),
    )
    delays = [delay(DelayCondition(**written)) for written in example["delays"]]
    wait = wait_of(delays, target, situation, {"conversation": example.get("conversation", {})})
    given = {"reason": wait.reason, "until": wait.until} if wait else {}
    return {name: value for name, value in given.items() if value}


def run_ownership(example: dict[str, Any]) -> Settlement:
    """What the example sends, and its conflicts."""
    shadow = Shadow(known=example["known"], written=example["written"])
    sending = example["sending"]
    contested = changed_there(shadow, sending, sending.keys())
    return settle(shadow, sending, contested, example["owners"], example.get("changed_at"))


def run_files(example: dict[str, Any]) -> list[str]:
    """The names of the example's files that its attachments take."""
    unset: dict[str, Any] = {"allowed_extensions": [], "blocked_extensions": [], "content_types": []}
    fields = {**unset, "without_extension": True, "max_bytes": None, **example["attachments"]}
    for name in ("allowed_extensions", "blocked_extensions"):
        fields[name] = extensions(fields[name])
    takes = FileFilter(**fields | {"content_types": tuple(fields["content_types"])}).takes
    return [file["name"] for file in example["files"] if takes(CarriedFile(key=file["name"], **file))]


def run_references(example: dict[str, Any]) -> list[str]:
    """The tickets that the example's message names."""
    references = [NamedTicket(path, 1, 1) for path in example["references"]]
    return [name for _, name in names_in(a_message(example), references)]


def a_message(example: dict[str, Any]) -> CanonicalMessage:
    """The example's message, about a ticket that is created if it does not say else."""
    told = example.get("comment")
    comments = (Comment("1", told["text"], Visibility(told["visibility"])),) if told else ()
    return CanonicalMessage(
        "incident",
        EntityKind.INCIDENT,
        Operation(example.get("operation", "create")),
        "abc",
        "INC1",
        attributes=example["message"],
        comments=comments,
    )


def run_lookups(example: dict[str, Any]) -> list[dict[str, str]]:
    """The criteria of what the example's rules ask about its message."""
    written = [one for rule in example["rules"] for one in rule.get("lookups", [])]
    questions = [a_lookup(one).question(view({"attributes": example["message"]})) for one in written]
    return [dict(question.criteria) for question in questions if question]


def a_rule(number: int, written: dict[str, Any], names: dict[str, int]) -> RoutingRule:
    """The rule that an example writes down; its target's number is by `names`."""
    operations = written.get("operations", ["create", "update", "comment"])
    return RoutingRule(
        rule_id=number,
        version_id=number,
        number=1,
        name=written["name"],
        priority=written.get("priority", 0),
        source_endpoint_id=99,
        source_entity="incident",
        operations=frozenset(map(Operation, operations)),
        action=written.get("action", "route"),
        target_endpoint_id=names.get(written.get("target", "")),
        target_entity="incident" if "target" in written else "",
        conditions=a_tree(written.get("conditions", [])),
        variables=tuple(a_row(row) for row in written.get("variables", [])),
        conversation=tuple(a_row(row) for row in written.get("conversation", [])),
        lookups=tuple(map(a_lookup, written.get("lookups", []))),
    )


def a_lookup(written: dict[str, Any]) -> Lookup:
    """The lookup that an example writes down, at some endpoint."""
    return Lookup(endpoint_id=7, **{**written, "criteria": tuple(written["criteria"].items())})


def a_tree(written: list[dict[str, Any]]) -> tuple[Node, ...]:
    """Conditions, and groups of them as `all`, `any` or `none` with a list."""
    return tuple(a_node(node) for node in written)


def a_node(written: dict[str, Any]) -> Node:
    """One of them."""
    if "path" in written:
        fields = {**written, "value": str(written.get("value", "")), "values": written.get("values", ())}
        return Condition(**fields | {"values": tuple(map(str, fields["values"]))})
    [(kind, members)] = written.items()
    return Group(kind, a_tree(members))


def run_formatters(example: dict[str, Any]) -> Value | str:
    """What the example's formatters make of its value; "missing" for nothing."""
    result = apply_chain(a_chain(example["formatters"]), example["value"])
    return "missing" if result is MISSING else result


def a_row(written: dict[str, Any]) -> MappingRow:
    """The mapping that an example writes down."""
    fields = dict(written)
    if "table" in fields:
        fields["table"] = a_table(fields["table"])
    fields["conditions"] = a_tree(fields.get("conditions", []))
    fields["formatters"] = a_chain(fields.get("formatters", []))
    for name in ("further_sources", "further_targets"):
        fields[name] = tuple(fields.get(name, ()))
    return MappingRow(id=1, position=0, **{"kind": "copy", **fields})


def a_chain(written: list[Any]) -> Any:
    """Formatters written as `name` or `name: {arguments}`."""
    pairs = [({entry: {}} if isinstance(entry, str) else entry) for entry in written]
    return compile_chain(
        [{"name": name, "arguments": given} for pair in pairs for name, given in pair.items()]
    )


def a_table(written: dict[str, Any]) -> TranslationTable:
    """A table whose rows are pairs, or lists of cells if it names its inputs."""
    fields, rows = dict(written), written["rows"]
    width = len(written.get("inputs", ()))
    cells = [tuple(map(str, row)) for row in rows]
    if width:
        fields["wide"] = tuple(TableRow(row[:width], row[width:]) for row in cells)
        fields |= {"rows": (), "inputs": tuple(written["inputs"]), "outputs": tuple(written["outputs"])}
    else:
        fields["rows"] = tuple(cells)
    return TranslationTable(**fields)


def _exact(value: Any) -> Any:
    """Numbers with all their digits, as messages have them."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return {name: _exact(item) for name, item in value.items()} if isinstance(value, dict) else value

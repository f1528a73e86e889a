"""Every example of docs/rules.md gives what the page says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from oneio.template_filters import FILTERS
from oneio.templating import compile_template
from routing.condition_tree import leaves
from routing.context import view
from routing.delays import DELAY_KINDS
from routing.formatters import FORMATTERS
from routing.formatters.date_patterns import SIGNS, compile_pattern
from routing.mapping import MappingError
from routing.mapping_rows import MAPPING_KINDS, MISSING_POLICIES, ONLY_ON
from routing.operators import OPERATORS
from routing.ownership import OWNERS
from routing.translation import UNMAPPED
from tests.routing.worked_examples import (
    PAGE,
    a_tree,
    examples,
    run_conditions,
    run_delays,
    run_files,
    run_formatters,
    run_lookups,
    run_mapping,
    run_ownership,
    run_references,
    run_rules,
)


def named(example: dict[str, Any]) -> str:
    """How a failing example is found."""
    return str(example["heading"])


@pytest.mark.parametrize("example", examples("mapping", "result"), ids=named)
def test_example_maps_to_its_result(example):
    assert run_mapping(example) == example["result"]


@pytest.mark.parametrize("example", examples("mapping", "held"), ids=named)
def test_example_is_held_as_it_says(example):
    with pytest.raises(MappingError) as held:
        run_mapping(example)

    assert example["held"] in str(held.value)


@pytest.mark.parametrize("example", examples("formatters", "result"), ids=named)
def test_example_formats_to_its_result(example):
    assert run_formatters(example) == example["result"]


@pytest.mark.parametrize("example", examples("conditions", "matches"), ids=named)
def test_example_matches_as_it_says(example):
    assert run_conditions(example) is example["matches"]


@pytest.mark.parametrize("example", examples("rules", "outcome"), ids=named)
def test_example_rules_decide_as_it_says(example):
    decision = run_rules(example)

    named_targets = {number: rule.get("target") for number, rule in enumerate(example["rules"], 1)}
    assert decision.fate == example["outcome"]
    assert [named_targets[route.rule.rule_id] for route in decision.routes] == example["targets"]
    assert decision.variables == example.get("variables", {})
    if "runtime" in example:
        assert [route.variables for route in decision.routes] == [example["runtime"]]


@pytest.mark.parametrize("example", examples("delays", "waits"), ids=named)
def test_example_waits_as_it_says(example):
    assert run_delays(example) == example["waits"]


@pytest.mark.parametrize("example", examples("sending", "owners"), ids=named)
def test_example_is_settled_as_it_says(example):
    settled = run_ownership(example)

    assert settled.attributes == example["sent"]
    assert {one.attribute: one.winner for one in settled.conflicts} == example["conflicts"]


@pytest.mark.parametrize("example", examples("attachments", "taken"), ids=named)
def test_example_takes_the_files_it_says(example):
    assert run_files(example) == example["taken"]


@pytest.mark.parametrize("example", examples("references", "names"), ids=named)
def test_example_names_the_tickets_it_says(example):
    assert run_references(example) == example["names"]


def test_every_further_feature_has_an_example():
    delays = {row["kind"] for example in examples("delays", "waits") for row in example["delays"]}
    reasons = {example["waits"].get("reason") for example in examples("delays", "waits")}
    owners = {owner for example in examples("owners") for owner in example["owners"].values()}
    written = [example["mapping"] for example in examples("mapping")]
    rows = [row for mapping in written for row in (mapping if isinstance(mapping, list) else [mapping])]
    tables = [row["table"] for row in rows if "table" in row]

    assert delays == set(DELAY_KINDS)
    assert reasons == {"time", "variable", "target", "order", None}
    assert owners == OWNERS
    assert {table.get("unmapped", "hold") for table in tables} == UNMAPPED


@pytest.mark.parametrize("example", examples("rules", "asks"), ids=named)
def test_example_asks_what_it_says(example):
    assert run_lookups(example) == [example["asks"]]


def test_every_kind_of_operator_has_an_example():
    written = [a_tree(example["conditions"]) for example in examples("conditions", "matches")]

    kinds = {leaf.compares.kind for tree in written for leaf in leaves(tree)}

    assert kinds == {operator.kind for operator in OPERATORS.values()}


def test_every_formatter_has_an_example():
    page = PAGE.read_text()
    shown = {example["heading"] for example in examples("formatters", "value")}

    assert shown - {"Patterns of dates"} == set(FORMATTERS)
    for name, formatter in FORMATTERS.items():
        said = page.partition(f"### {name}\n")[2].partition("###")[0]
        assert formatter.label in said
        assert [argument.name for argument in formatter.arguments if f"`{argument.name}`" not in said] == []


def test_every_filter_gives_what_the_page_says():
    [example] = examples("filters")
    attributes = {"attributes": example["message"]}

    given = {
        name: compile_template(pair[0]).render(view(attributes)) for name, pair in example["filters"].items()
    }

    assert given == {name: result for name, (_, result) in example["filters"].items()}
    assert set(given) == set(FILTERS)
    assert [name for name, pair in example["filters"].items() if f"| {name}" not in pair[0]] == []


def test_every_kind_and_choice_has_an_example():
    written = [example["mapping"] for example in examples("mapping")]
    rows = [row for mapping in written for row in (mapping if isinstance(mapping, list) else [mapping])]

    assert {row.get("kind", "copy") for row in rows} == MAPPING_KINDS
    assert {row.get("missing", "skip") for row in rows} == MISSING_POLICIES
    assert {row.get("only_on", "") for row in rows} == ONLY_ON


def test_every_sign_of_dates_is_explained():
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    summer = timezone(timedelta(hours=2), "CEST")
    moment = datetime(2025, 5, 1, 14, 7, 9, 123000, tzinfo=summer)

    assert {name for name, _ in rows} == {name for name in SIGNS if name == "SSS" or "S" not in name}
    assert {name: compile_pattern(name).write(moment) for name, _ in rows} == dict(rows)
    assert compile_pattern("XXX").write(moment.astimezone(UTC)) == "Z"

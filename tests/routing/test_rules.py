"""The rule book: loads an environment's rules once, and again when something about them has changed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from endpoints.canonical import Operation
from endpoints.models import Endpoint
from routing import compiled, versions
from routing.compiled import RoutingRule as CompiledRule
from routing.models import Condition, RoutingRule, RuleVersion, TranslationRow, TranslationTable
from routing.rules import RuleBook, condition_trees
from tests.conversations.world import make_table, publish
from tests.factories import make_endpoint, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> Endpoint:
    return make_endpoint()


@pytest.fixture
def target(source: Endpoint) -> Endpoint:
    return make_endpoint(environment=source.environment)


def candidates(book: RuleBook, source: Endpoint) -> list[CompiledRule]:
    """The rules in force for the incidents of an endpoint."""
    return list(book.of(source.environment_id).routing.candidates(source.pk, "incident"))


def queries(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as asked:
        work()
    return len(asked)


def test_published_rule_is_compiled_with_all_its_rows(source: Endpoint, target: Endpoint) -> None:
    table = make_table(source, {"1": "High"}, name="Priorities", unmapped="default", default="Low")
    rule = publish(
        source,
        target,
        [
            {"source": "priority", "target": "priority", "kind": "translate", "table": table},
            {"constant": "net", "target": "team", "kind": "constant", "category": "variable"},
            {"source": "title", "target": "last", "category": "conversation"},
        ],
        [
            {"path": "title", "operator": "exists"},
            {"path": "priority", "operator": "in", "values": ["1", "2"]},
        ],
        priority=7,
        operations=["create"],
    )

    [loaded] = candidates(RuleBook(), source)

    assert (loaded.rule_id, loaded.priority, loaded.target_endpoint_id) == (rule.pk, 7, target.pk)
    assert loaded.operations == {Operation.CREATE}
    assert [(one.path, one.operator, one.values) for one in loaded.conditions] == [
        ("title", "exists", ()),
        ("priority", "in", ("1", "2")),
    ]
    assert [row.target for row in (*loaded.variables, *loaded.outbound, *loaded.conversation)] == [
        "team",
        "priority",
        "last",
    ]
    made = loaded.outbound[0].table
    assert made is not None
    assert (made.name, made.rows, made.unmapped, made.default) == (
        "Priorities",
        (("1", "High"),),
        "default",
        "Low",
    )


def test_mapping_is_compiled_with_all_that_it_says(source: Endpoint, target: Endpoint) -> None:
    table = make_table(source, {}, name="Triage", inputs=["impact", "urgency"], outputs=["priority", "team"])
    TranslationRow.objects.create(table=table, sources=["1", "*"], targets=["P1", "Majors"])
    chain = [{"name": "truncate", "arguments": {"length": 20}}]
    rule = publish(
        source,
        target,
        [
            {
                "kind": "translate",
                "source": "impact",
                "further_sources": ["urgency"],
                "table": table,
                "target": "priority",
                "further_targets": ["assignment_group"],
                "formatters": chain,
                "only_on": "create",
                "missing": "default",
                "default": "P3",
            },
            {
                "kind": "multi_to_single",
                "source": "a",
                "further_sources": ["b"],
                "separator": " / ",
                "target": "location",
            },
        ],
    )

    [loaded] = candidates(RuleBook(), source)

    translated, joined = loaded.outbound
    assert loaded.rule_id == rule.pk
    assert translated.targets == ("priority", "assignment_group")
    assert translated.table is not None
    assert translated.table.find_row([{"1"}, {"2"}]) == ("P1", "Majors")
    assert translated.formatters[0].arguments == {"length": 20, "ellipsis": "…", "at_word": True}
    assert (translated.only_on, translated.missing, translated.default) == ("create", "default", "P3")
    assert (joined.further_sources, joined.between) == (("b",), " / ")


def test_conditions_of_a_mapping_are_its_own(source: Endpoint, target: Endpoint) -> None:
    critical = {"path": "priority", "operator": "starts_with", "value": "1"}
    publish(source, target, [{"source": "title", "target": "title", "conditions": [critical]}])

    [loaded] = candidates(RuleBook(), source)

    assert loaded.conditions == ()
    assert [condition.path for condition in loaded.outbound[0].conditions] == ["priority"]


def conditions_of(rule: RoutingRule, *rows: dict[str, Any]) -> Any:
    """A draft of the rule with these rows; `parent` is the number of an earlier one."""
    version = versions.draft_of(rule)
    made: list[Condition] = []
    for position, row in enumerate(rows):
        parent = made[row.pop("parent")] if "parent" in row else None
        made.append(Condition.objects.create(version=version, position=position, parent=parent, **row))
    return version.conditions.all()


HAS_TITLE = {"path": "title", "operator": "exists"}


def test_conditions_nest_as_their_rows_do(source: Endpoint, target: Endpoint) -> None:
    rows = conditions_of(
        publish(source, target),
        HAS_TITLE,
        {"group": "any"},
        {"path": "impact", "operator": "equals", "value": "1", "parent": 1},
        {"group": "none", "parent": 1},
        {**HAS_TITLE, "parent": 3},
    )

    trees = condition_trees(rows)

    title = compiled.Condition("title", "exists")
    none, high = compiled.Group("none", (title,)), compiled.Condition("impact", "equals", "1")
    assert trees == {None: (title, compiled.Group("any", (high, none)))}


def test_conditions_of_a_mapping_are_apart(source: Endpoint, target: Endpoint) -> None:
    rule = publish(source, target, [{"source": "title", "target": "title"}])
    mapping = versions.draft_of(rule).mappings.get()

    trees = condition_trees(conditions_of(rule, HAS_TITLE, {**HAS_TITLE, "mapping": mapping}))

    title = compiled.Condition("title", "exists")
    assert trees == {None: (title,), mapping.pk: (title,)}


@pytest.mark.parametrize(
    ("parents", "says"), [({1: 1}, "in itself"), ({1: 3, 3: 1}, "in itself"), ({1: 0}, "no group")]
)
def test_conditions_that_form_no_tree_are_refused(
    source: Endpoint, target: Endpoint, parents: dict[int, int], says: str
) -> None:
    found = conditions_of(
        publish(source, target),
        HAS_TITLE,
        {"group": "any"},
        {**HAS_TITLE, "parent": 1},
        {"group": "all", "parent": 1},
        {**HAS_TITLE, "parent": 3},
    )
    rows = list(found)

    for row, parent in parents.items():
        rows[row].parent = rows[parent]

    with pytest.raises(compiled.RuleError, match=says):
        condition_trees(rows)


def test_unchanged_rules_cost_one_small_query(source: Endpoint, target: Endpoint) -> None:
    publish(source, target, [{"source": "title", "target": "title"}])
    book = RuleBook()
    first = book.of(source.environment_id)

    assert queries(lambda: book.of(source.environment_id)) == 1
    assert book.of(source.environment_id) is first


def test_environment_without_rules_is_not_loaded_again(source: Endpoint) -> None:
    book = RuleBook()

    assert candidates(book, source) == []
    assert queries(lambda: book.of(source.environment_id)) == 1


def test_newly_published_rule_is_noticed(source: Endpoint, target: Endpoint) -> None:
    book = RuleBook()
    publish(source, target)
    assert len(candidates(book, source)) == 1

    publish(source, target)

    assert len(candidates(book, source)) == 2


def test_newly_published_version_is_noticed(source: Endpoint, target: Endpoint) -> None:
    rule, book = publish(source, target), RuleBook()
    assert [one.number for one in candidates(book, source)] == [1]

    publish_next(rule, source)

    assert [one.number for one in candidates(book, source)] == [2]


def publish_next(rule: RoutingRule, source: Endpoint) -> None:
    """Publish version 2, which drops."""
    version = RuleVersion.objects.create(
        rule=rule,
        environment=rule.environment,
        number=2,
        action="drop",
        source_endpoint=source,
        source_entity=source.entity_types.get(),
    )
    RuleVersion.objects.filter(pk=version.pk).update(published_at=version.rule.created_at, reason="test")
    RoutingRule.objects.filter(pk=rule.pk).update(current_version=version)


def test_draft_is_not_in_force(source: Endpoint) -> None:
    book = RuleBook()
    RuleVersion.objects.create(
        rule=make_rule(source.environment),
        environment=source.environment,
        number=1,
        action="drop",
        source_endpoint=source,
        source_entity=source.entity_types.get(),
    )

    assert candidates(book, source) == []


def test_new_row_of_a_table_is_noticed(source: Endpoint, target: Endpoint) -> None:
    table = make_table(source, {"1": "High"})
    publish(
        source, target, [{"source": "priority", "target": "priority", "kind": "translate", "table": table}]
    )
    book = RuleBook()
    candidates(book, source)

    TranslationRow.objects.create(table=table, position=1, source="2", target="Low")

    assert rows_of(book, source) == (("1", "High"), ("2", "Low"))


def rows_of(book: RuleBook, source: Endpoint) -> tuple[tuple[str, str], ...]:
    """The rows of the table that the one rule translates by."""
    [rule] = candidates(book, source)
    assert rule.outbound[0].table is not None
    return rule.outbound[0].table.rows


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: table.rows.filter(source="1").update(target="Highest"), (("1", "Highest"),)),
        (lambda table: table.rows.all().delete(), ()),
    ],
)
def test_changed_and_deleted_rows_are_noticed(
    source: Endpoint, target: Endpoint, change: Callable[[TranslationTable], object], expected: object
) -> None:
    table = make_table(source, {"1": "High"})
    publish(
        source, target, [{"source": "priority", "target": "priority", "kind": "translate", "table": table}]
    )
    book = RuleBook()
    candidates(book, source)

    change(table)

    assert rows_of(book, source) == expected


def test_changed_policy_of_a_table_is_noticed(source: Endpoint, target: Endpoint) -> None:
    table = make_table(source, {"1": "High"})
    publish(
        source, target, [{"source": "priority", "target": "priority", "kind": "translate", "table": table}]
    )
    book = RuleBook()
    candidates(book, source)

    TranslationTable.objects.filter(pk=table.pk).update(unmapped="pass")

    [rule] = candidates(book, source)
    assert rule.outbound[0].table is not None
    assert rule.outbound[0].table.unmapped == "pass"


def test_disabled_rule_routes_no_more_but_can_be_finished(source: Endpoint, target: Endpoint) -> None:
    rule, book = publish(source, target), RuleBook()
    assert len(candidates(book, source)) == 1

    RoutingRule.objects.filter(pk=rule.pk).update(enabled=False)

    assert candidates(book, source) == []
    assert book.of(source.environment_id).by_id[rule.pk].rule_id == rule.pk


def test_change_in_another_environment_loads_nothing(source: Endpoint, target: Endpoint) -> None:
    publish(source, target)
    book = RuleBook()
    candidates(book, source)

    elsewhere = make_endpoint()
    publish(elsewhere, make_endpoint(environment=elsewhere.environment))

    assert queries(lambda: book.of(source.environment_id)) == 1


def test_rules_of_another_environment_are_not_mixed_in(source: Endpoint, target: Endpoint) -> None:
    publish(source, target)
    elsewhere = make_endpoint()
    publish(elsewhere, make_endpoint(environment=elsewhere.environment))

    rules = RuleBook().of(source.environment_id)

    assert len(rules.by_id) == 1
    assert rules.routing.candidates(elsewhere.pk, "incident") == ()


def test_loading_costs_the_same_for_many_rules(source: Endpoint, target: Endpoint) -> None:
    table = make_table(source, {"1": "High"})
    mappings = [{"source": "priority", "target": "priority", "kind": "translate", "table": table}]
    publish(source, target, mappings)
    few = queries(lambda: RuleBook().of(source.environment_id))

    for _ in range(4):
        publish(source, target, mappings, [{"path": "title", "operator": "exists"}])

    assert queries(lambda: RuleBook().of(source.environment_id)) == few

"""Mappings: what each kind gives, and what is left out or held."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.compiled import MappingRow, TranslationTable
from routing.mapping import MappingError, evaluate, moved, sources

CONTEXT = {
    "attributes": {
        "title": "Printer on fire",
        "priority": "1 - Critical",
        "labels": ["hot", "cold"],
        "opened": datetime(2024, 5, 1, tzinfo=UTC),
        "hours": Decimal("1.50"),
        "cleared": None,
        "weird 'name'": "odd",
    },
    "codes": {"priority": "1"},
    "native": {"changes": [{"field": "a"}, {"field": "b"}]},
    "parameters": {"issue.key": "OPS-7"},
    "message": {"number": "INC1", "operation": "update"},
    "conversation": {"previous": "New"},
    "variables": {"team": "A"},
    "changed": {},
    "target": {"description": "What was there"},
}
PRIORITIES = (("1", "Highest"), ("2 - high", "High"))


def a_row(kind="copy", source="", **changes):
    return MappingRow(**{"id": 1, "position": 3, "kind": kind, "source": source, "target": "out", **changes})


def a_table(**changes):
    return TranslationTable(**{"name": "Priorities", "rows": PRIORITIES, **changes})


def mapped(row, **attributes):
    context = {**CONTEXT, "attributes": {**CONTEXT["attributes"], **attributes}}
    return evaluate([row], context).get("out", "left out")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("title", "Printer on fire"),
        ("Title", "Printer on fire"),
        ("opened", datetime(2024, 5, 1, tzinfo=UTC)),
        ("hours", Decimal("1.50")),
        ("labels", ["hot", "cold"]),
        ("labels[0]", "hot"),
        ("labels[*]", ["hot", "cold"]),
        ("native.changes[*].field", ["a", "b"]),
        ("cleared", None),
        ("codes.priority", "1"),
        ('parameters["issue.key"]', "OPS-7"),
        ("conversation.previous", "New"),
        ("absent", "left out"),
        ("absent[*]", "left out"),
    ],
)
def test_copy_gives_the_value_untouched(source, value):
    assert mapped(a_row("copy", source)) == value


def test_constant_is_always_itself():
    assert mapped(a_row("constant", constant="New")) == "New"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ message.number }}: {{ attributes.title }}", "INC1: Printer on fire"),
        ("{{ title | upcase }}", "PRINTER ON FIRE"),
        ("{{ Attributes.TITLE }}{{ attributes.TITLE }}", "Printer on fire"),
        ("${title} (${conversation.previous}, ${ hours })", "Printer on fire (New, 1.50)"),
        ('${parameters["issue.key"]}${labels[0]}${["weird \'name\'"]}', "OPS-7hotodd"),
        ("{{ absent }}", "left out"),
        ("${absent}", "left out"),
        ("[${absent}]", "[]"),
        ("{{ cleared }}", ""),
        ("{% if title contains 'Fax' %}x{% endif %}", ""),
        ("   ", "   "),
    ],
)
def test_template_gives_its_text(template, text):
    assert mapped(a_row("template", template=template)) == text


def test_failing_template_says_which_mapping():
    row = a_row("template", template="\n{{ title | plus: 1 }}")

    with pytest.raises(MappingError, match=r"^The template for out failed\. Line 2: A number") as failure:
        evaluate([row], CONTEXT)

    assert (failure.value.position, failure.value.target) == (3, "out")
    assert "Printer" not in str(failure.value)


def test_append_adds_a_line_to_target():
    row = a_row("append", template="By {{ variables.team }}", target="description")

    assert evaluate([row], CONTEXT) == {"description": "What was there\nBy A"}


def test_append_to_nothing_is_the_addition():
    assert mapped(a_row("append", "title")) == "Printer on fire"


def test_append_of_nothing_is_left_out():
    assert mapped(a_row("append", "absent")) == "left out"
    assert mapped(a_row("append", "cleared")) == "left out"


def test_append_rows_follow_each_other():
    rows = [a_row("append", "title", target="description"), a_row("append", "hours", target="description")]

    assert evaluate(rows, CONTEXT) == {"description": "What was there\nPrinter on fire\n1.50"}


def test_append_adds_to_an_earlier_row():
    assert evaluate([a_row("copy", "title"), a_row("append", "hours")], CONTEXT) == {
        "out": "Printer on fire\n1.50"
    }


@given(st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_append_can_be_repeated(held, addition):
    row = a_row("append", "text")
    once = evaluate([row], {"attributes": {"text": addition}, "target": {"out": held}})

    twice = evaluate([row], {"attributes": {"text": addition}, "target": {"out": held, **once}})

    assert twice == once


@pytest.mark.parametrize(
    ("value", "code", "translated"),
    [
        ("1 - Critical", "1", "Highest"),
        ("2 - HIGH", None, "High"),
        ("2 - High", "1", "High"),
        (1, None, "Highest"),
        (["2 - high", "1"], None, ["High", "Highest"]),
        ("", None, "left out"),
        (None, None, "left out"),
    ],
)
def test_translation_finds_value_then_code(value, code, translated):
    context = {"attributes": {"priority": value}, "codes": {"priority": code} if code else {}}

    found = evaluate([a_row("translate", "priority", table=a_table())], context)

    assert found.get("out", "left out") == translated


def test_translation_of_nothing_is_left_out():
    assert mapped(a_row("translate", "absent", table=a_table())) == "left out"


def test_translation_of_empty_can_have_a_row():
    table = a_table(rows=(("", "Unset"),))

    assert mapped(a_row("translate", "cleared", table=table)) == "Unset"


@pytest.mark.parametrize(
    ("policy", "value"), [({"unmapped": "pass"}, "P9"), ({"unmapped": "default", "default": "Low"}, "Low")]
)
def test_unmapped_value_follows_its_policy(policy, value):
    row = a_row("translate", "priority", table=a_table(**policy))

    assert evaluate([row], {"attributes": {"priority": "P9"}}) == {"out": value}


def test_unmapped_value_is_held_with_advice():
    row = a_row("translate", "priority", table=a_table())

    with pytest.raises(MappingError, match=r"^Table Priorities has no row for P9\. Add one, then retry\.$"):
        evaluate([row], {"attributes": {"priority": "P9"}})


def test_errors_show_little_of_a_value():
    row = a_row("translate", "title", table=a_table())

    with pytest.raises(MappingError) as failure:
        evaluate([row], {"attributes": {"title": "x" * 5_000}})

    assert len(str(failure.value)) < 200


def test_missing_source_leaves_the_earlier_row():
    rows = [a_row("constant", constant="fallback"), a_row("copy", "absent")]

    assert evaluate(rows, CONTEXT) == {"out": "fallback"}


def test_later_row_of_a_target_wins():
    rows = [a_row("constant", constant="fallback"), a_row("copy", "title")]

    assert evaluate(rows, CONTEXT) == {"out": "Printer on fire"}


def test_targets_may_be_dotted():
    assert evaluate([a_row("copy", "title", target="fields.summary")], CONTEXT) == {
        "fields.summary": "Printer on fire"
    }


def test_sources_are_paths_from_the_top():
    template = a_row("template", template="${Title}{{ hours }}{{ native.a.b }}")

    assert sources(template) == {"attributes.Title", "attributes.hours", "native.a.b"}
    assert sources(a_row("copy", "labels[0]")) == {"attributes.labels[0]"}
    assert sources(a_row("constant", constant="x")) == frozenset()


def test_moved_targets_read_what_changed():
    rows = [
        a_row("copy", "title", target="a"),
        a_row("template", template="{{ TITLE }} {{ hours }}", target="b"),
        a_row("copy", "native.title", target="c"),
        a_row("copy", "hours", target="d"),
        a_row("constant", constant="x", target="e"),
    ]

    assert moved(rows, {"Title": "before"}) == {"a", "b"}


def test_variables_move_with_their_sources():
    rows = [
        a_row("copy", "variables.Team", target="a"),
        a_row("template", template="{{ conversation.last }}", target="b"),
        a_row("copy", "variables.other", target="c"),
        a_row("copy", "codes.priority", target="d"),
    ]
    variables = [a_row("copy", "priority", target="team"), a_row("copy", "title", target="other")]
    conversation = [a_row("copy", "variables.team", target="last")]

    targets = moved(rows, {"priority"}, variables=variables, conversation=conversation)

    assert targets == {"a", "b", "d"}


@given(st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.text(), st.integers(), st.booleans())))
def test_copies_give_what_there_is(attributes):
    rows = [a_row("copy", name, target=name) for name in "abcd"]

    assert evaluate(rows, {"attributes": attributes}) == attributes


@given(st.text(), st.text())
def test_translation_ignores_case_for_all(value, code):
    table = a_table(rows=((value.casefold(), "found"),), unmapped="pass")

    assert evaluate([a_row("translate", "x", table=table)], {"attributes": {"x": value}}) == {"out": "found"}

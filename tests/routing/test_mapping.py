"""Mappings: what each kind gives, and what is left out or held."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.compiled import Condition, MappingRow, TranslationTable
from routing.formatters import compile_chain
from routing.mapping import MappingError, evaluate, moved, sources
from routing.translation import TableRow

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


def a_chain(*names):
    return compile_chain([{"name": name} for name in names])


def wide_table(**changes):
    rows = (("1 - Critical", "", "P1", "Majors"), ("1", "*", "P2", "Second"), ("*", "mail", "P3", "Mail"))
    return TranslationTable(
        **{
            "name": "Triage",
            "inputs": ("priority", "category"),
            "outputs": ("priority", "group"),
            "wide": tuple(TableRow(row[:2], row[2:]) for row in rows),
            **changes,
        }
    )


def triaged(table, **attributes):
    row = a_row(
        "translate", "priority", table=table, further_sources=("category",), further_targets=("group",)
    )
    return evaluate([row], {**CONTEXT, "attributes": attributes})


@pytest.mark.parametrize(
    ("attributes", "result"),
    [
        ({"priority": "1 - CRITICAL", "category": None}, ("P1", "Majors")),
        ({"priority": "1 - Critical", "category": "vpn"}, ("P2", "Second")),
        ({"priority": "2", "category": ["web", " Mail "]}, ("P2", "Second")),
        ({"category": "mail"}, ("P2", "Second")),
    ],
)
def test_first_fitting_row_fills_every_target(attributes, result):
    # The context's code behind priority is 1.
    found = triaged(wide_table(), **attributes)

    assert (found["out"], found["group"]) == result


def test_several_values_without_a_row_follow_the_policy():
    only = (TableRow(("x", "y"), ("a", "b")),)
    given_values = {"priority": "2", "category": "vpn"}

    assert triaged(wide_table(wide=only, unmapped="pass"), **given_values) == {"out": "2", "group": "vpn"}
    assert triaged(wide_table(wide=only, unmapped="default", default="?"), **given_values) == {
        "out": "?",
        "group": "?",
    }
    with pytest.raises(MappingError, match=r"Table Triage has no row for 2 \+ vpn\."):
        triaged(wide_table(wide=only), **given_values)


def test_no_values_at_all_need_no_row():
    only = (TableRow(("x", "y"), ("a", "b")),)

    assert triaged(wide_table(wide=only)) == {}
    assert triaged(wide_table(wide=only), category="") == {}


@given(
    st.lists(st.tuples(st.sampled_from("ab*"), st.sampled_from("ab*"), st.text(max_size=3)), max_size=5),
    st.sampled_from("ABc"),
    st.sampled_from("ab"),
)
def test_wide_table_gives_its_first_fitting_row(rows, first, second):
    table = TranslationTable(
        name="T",
        inputs=("x", "y"),
        outputs=("z",),
        wide=tuple(TableRow((one, two), (result,)) for one, two, result in rows),
    )
    fitting = [row[2] for row in rows if row[0] in ("*", first.lower()) and row[1] in ("*", second)]

    assert table.find_row([{first}, {second}]) == ((fitting[0],) if fitting else None)


@pytest.mark.parametrize(
    ("value", "separator", "parts"),
    [
        ("a; b;c", ";", ["a", "b;c"]),
        ("a", ";", ["a", "left out"]),
        (";b", ";", ["left out", "b"]),
        (["x", "y", "z"], ";", ["x", "y"]),
        ("a1b22c", r"/\d+/", ["a", "b22c"]),
        ("from 3 to 7", r"/from (\d) to (\d)/", ["3", "7"]),
        ("from 3", r"/from (\d) to (\d)/", ["left out", "left out"]),
        ("ab", "/x*/", ["ab", "left out"]),
        (None, ";", ["left out", "left out"]),
    ],
)
def test_split_gives_each_target_its_part(value, separator, parts):
    row = a_row("split", "text", separator=separator, further_targets=("more",))

    found = evaluate([row], {"attributes": {"text": value}})

    assert [found.get("out", "left out"), found.get("more", "left out")] == parts


def test_split_to_one_target_is_a_list():
    assert mapped(a_row("split", "text", separator="\\n"), text="a\n\n b") == ["a", "b"]
    assert mapped(a_row("split", "text", separator="/x/"), text="xx") == "left out"


def test_joined_values_leave_empty_ones_out():
    row = a_row("multi_to_single", "labels", further_sources=("cleared", "absent", "title"))

    assert mapped(row) == "hot, cold, Printer on fire"
    assert mapped(a_row("multi_to_single", "absent", further_sources=("cleared",))) == "left out"


def test_joined_values_stay_within_bounds():
    with pytest.raises(MappingError, match="Join fewer"):
        mapped(a_row("multi_to_single", "labels", separator="x" * 500), labels=["a"] * 3000)


def test_counter_without_a_number_is_held():
    row = a_row("counter", counter="changes")

    assert evaluate([row], {"counters": {"changes": 7}}) == {"out": 7}
    with pytest.raises(MappingError, match="number of the counter changes"):
        evaluate([row], CONTEXT)


def test_row_counts_only_for_its_action():
    rows = [a_row("constant", constant="new", only_on="create"), a_row("constant", constant="b", target="b")]

    assert evaluate(rows, CONTEXT, "create") == {"out": "new", "b": "b"}
    assert evaluate(rows, CONTEXT, "update") == {"b": "b"}
    assert evaluate(rows, CONTEXT) == {"b": "b"}


def test_row_counts_only_when_its_conditions_hold():
    critical = (Condition("priority", "starts_with", "1"),)
    row = a_row("copy", "title", conditions=critical)

    assert mapped(row) == "Printer on fire"
    assert mapped(row, priority="2 - High") == "left out"
    assert sources(row) == {"attributes.title", "attributes.priority"}
    assert moved([row], ["priority"]) == {"out"}


def test_every_target_moves_with_any_source():
    row = a_row(
        "translate", "priority", table=wide_table(), further_sources=("category",), further_targets=("group",)
    )

    assert moved([row], ["category"]) == {"out", "group"}


@pytest.mark.parametrize(
    ("missing", "result"), [("skip", {}), ("clear", {"out": None}), ("default", {"out": "none"})]
)
def test_missing_source_follows_the_row(missing, result):
    assert evaluate([a_row("copy", "absent", missing=missing, default="none")], CONTEXT) == result
    assert (
        evaluate([a_row("template", template="${absent}", missing=missing, default="none")], CONTEXT)
        == result
    )


def test_value_lost_in_formatters_is_missing():
    lost = compile_chain([{"name": "extract", "arguments": {"pattern": "INC"}}])

    with pytest.raises(MappingError, match=r"out must have a value, and title gives none") as held:
        mapped(a_row("copy", "title", formatters=lost, missing="hold"))

    assert (held.value.source, held.value.target) == ("title", "out")


def test_formatters_work_on_what_is_added():
    row = a_row("append", "title", target="description", formatters=a_chain("upper"))
    once = evaluate([row], CONTEXT)

    assert once == {"description": "What was there\nPRINTER ON FIRE"}
    assert evaluate([row], {**CONTEXT, "target": once}) == once


def test_failing_formatter_names_mapping_and_path():
    with pytest.raises(MappingError, match=r"^out cannot be made from title\. Formatter 1, Number: "):
        mapped(a_row("copy", "title", formatters=a_chain("number")))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(allow_nan=False)
ATTRIBUTES = st.dictionaries(st.sampled_from("abc"), LEAVES | st.lists(LEAVES, max_size=3))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["copy", "template", "append", "split", "multi_to_single", "translate"]),
            "source": st.sampled_from(["a", "b[*]", "c", "target.out"]),
            "target": st.sampled_from(["out", "more"]),
            "missing": st.sampled_from(["skip", "clear", "default", "hold"]),
            "formatters": st.sampled_from([(), a_chain("upper"), a_chain("first", "number")]),
            "table": st.sampled_from([a_table(), a_table(unmapped="pass"), a_table(unmapped="default")]),
        }
    ).map(lambda fields: a_row(template="${a}{{ b }}", separator=",", default="-", **fields)),
    max_size=4,
)


@given(ROWS, ATTRIBUTES)
def test_mapping_is_repeatable_and_changes_nothing(rows, attributes):
    context = {"attributes": attributes, "target": {"out": "held"}}
    before = deepcopy(context)

    def once():
        try:
            return evaluate(rows, context)
        except MappingError as error:
            return error.target, error.sentence

    assert once() == once()
    assert context == before

"""Templates of text and values alone: filled in to the very text that Liquid would give."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio.plain_templates import LONGEST_TEXT, MOST_SLOTS
from oneio.templating import TemplateError, compile_template

SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.just(UTC)),
)
ANYTHING = st.recursive(
    SIMPLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "size"]), inner),
    max_leaves=6,
)
TEMPLATES = [
    "{{ a }}",
    "{{ a.b }}-{{ b }}",
    "x {{- a -}} y",
    "{{ a.b.a | upcase }}: {{ b | strip | capitalize }}",
    "{{ a['b'] }}{{ absent }}{{ a.size }}{{ b.first }}",
    "{{ partial }}{{ forloop.index }}",
    "{{ 'a' | upcase }}{{ a[0] }}",
    "{{ a | downcase }}{{ b | append: 'z' }}",
]


@given(template=st.sampled_from(TEMPLATES), values=st.fixed_dictionaries({"a": ANYTHING, "b": ANYTHING}))
def test_text_is_the_one_that_liquid_gives(template, values):
    compiled = compile_template(template)

    text = compiled.render(values)

    assert text == replace(compiled, _plain=None).render(values)


@pytest.mark.parametrize(
    "template",
    ["{% if a %}{{ a }}{% endif %}", "{{ a.size }}", "{{ a | append: 'b' }}", "{{ a[b] }}", "{{ partial }}"],
)
def test_anything_more_is_left_to_liquid(template):
    assert compile_template(template)._plain is None


def test_usual_template_needs_no_liquid():
    compiled = compile_template("{{ message.number }}, opened for {{ attributes.reporter | upcase }}")

    text = replace(compiled, _liquid=None).render({"message": {"number": "INC1"}, "attributes": {}})

    assert text == "INC1, opened for "


def test_long_texts_keep_to_the_limits_of_liquid():
    longer = {"a": "ß" * LONGEST_TEXT}

    with pytest.raises(TemplateError, match="64 KiB"):
        compile_template("{{ a }}{{ a }}{{ a }}").render(longer)


def test_many_slots_are_left_to_liquid():
    assert compile_template("{{ a }}" * MOST_SLOTS)._plain is not None
    assert compile_template("{{ a }}" * (MOST_SLOTS + 1))._plain is None


def test_values_are_written_as_everywhere_else():
    values = {"at": datetime(2024, 5, 1, tzinfo=UTC), "hours": Decimal("1.50"), "on": True, "no": None}

    text = compile_template("{{ at }} {{ hours }} {{ on }} {{ no }}").render(values)

    assert text == "2024-05-01T00:00:00+00:00 1.50 true "

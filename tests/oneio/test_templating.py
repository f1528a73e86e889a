"""User-written templates: what they give, and that no template takes more than its bounds."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio import templating
from oneio.templating import COMPARED_PART, MAX_OUTPUT, MAX_WORK, TemplateError, compile_template

VALUES = {
    "attributes": {
        "title": "Printer & fire",
        "labels": ["hot", "urgent"],
        "hours": Decimal("1.50"),
        "opened": datetime(2024, 5, 1, 12, 30, tzinfo=UTC),
        "text": "x" * 20_000,
        "caller": {"name": "Beth", "vip": True},
        "tasks": [{"name": "b", "n": 2}, {"name": "a", "n": 1}, {"name": "b", "n": 3}],
        "nothing": None,
        "weird name": "odd",
    },
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ attributes.title }}!", "Printer & fire!"),
        ("{{ attributes['weird name'] }}", "odd"),
        ("{{ attributes.labels }}", "hot, urgent"),
        ("{{ attributes.labels[1] | upcase }}", "URGENT"),
        ("{{ attributes.hours }}", "1.50"),
        ("{{ attributes.opened }}", "2024-05-01T12:30:00+00:00"),
        ("{{ attributes.caller }}", '{"name": "Beth", "vip": true}'),
        ("{{ attributes.caller.vip }}", "true"),
        ("{{ attributes.nothing }}{{ attributes.absent.deeper }}", ""),
        ("{% if attributes.hours > 1 %}long{% else %}short{% endif %}", "long"),
        ("{% for l in attributes.labels %}{{ forloop.index }}{{ l }} {% endfor %}", "1hot 2urgent "),
        ("{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
        ("{% liquid\nassign a = 'x'\necho a\n%}", "x"),
        ("<b>{{ '<' }}</b>", "<b><</b>"),
    ],
)
def test_template_gives_its_text(source, text):
    assert compile_template(source).render(VALUES) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("attributes.hours | plus: 1", "2.50"),
        ("attributes.nothing | plus: 1", "1"),
        ("'12345678901234567890.5' | times: 2", "24691357802469135781.0"),
        ("7 | divided_by: 2", "3"),
        ("7.0 | divided_by: 2", "3.5"),
        ("7 | modulo: 4 | minus: 5 | abs", "2"),
        ("2.345 | round: 2", "2.35"),
        ("'3.7' | floor", "3"),
        ("'3.2' | ceil", "4"),
        ("5 | at_most: 3 | at_least: 4", "4"),
        ("attributes.opened | date: '%d.%m.%Y %H:%M'", "01.05.2024 12:30"),
        ("attributes.opened | date: '%H:%M', 'Europe/Berlin'", "14:30"),
        ("'2024-05-01T12:30:00Z' | date: '%d %B'", "01 May"),
        ("0 | date: '%Y'", "1970"),
        ("'soon' | date: '%Y'", "soon"),
        ("'now' | date: '%Y'", "now"),
        ("attributes.labels | join: '/'", "hot/urgent"),
        ("attributes.tasks | map: 'name' | uniq | sort | join: ','", "a,b"),
        ("attributes.tasks | uniq: 'name' | size", "2"),
        ("attributes.tasks | sum: 'n'", "6"),
        ("attributes.title | concat: attributes.absent | join: '/'", "Printer & fire"),
        ("attributes.tasks | where: 'name', 'a' | map: 'n' | first", "1"),
        ("attributes.labels | concat: attributes.labels | size", "4"),
        ("attributes.title | replace: 'r', 'rr'", "Prrinterr & firre"),
        ("'aba' | replace_first: 'a', 'x' | replace_last: 'a', 'y'", "xby"),
        ("attributes.title | append: '.' | prepend: '> '", "> Printer & fire."),
        ("'<p>Hi &amp; <b>you</b></p>' | strip_html", "Hi &amp; you"),
        ("'<a>' | escape", "&lt;a&gt;"),
        ("'&lt;a>' | escape_once", "&lt;a&gt;"),
        ("'a b/c' | url_encode", "a+b%2Fc"),
        ("'äö' | base64_encode | base64_decode", "äö"),
        ("'a \"b\"' | json", '"a \\"b\\""'),
        ("attributes.hours | json", "1.5"),
        ("attributes.absent | json", "null"),
        ("attributes.opened | json", '"2024-05-01T12:30:00+00:00"'),
        ("attributes.tasks | map: 'n' | json", "[2, 1, 3]"),
        ("attributes.hours | plus: 0.5 | json", "2"),
        ("attributes.text | truncate: 5", "xx..."),
        ("attributes.labels | slice: 0 | first", "hot"),
        ("attributes.absent | default: 'none'", "none"),
        ("false | default: 'x', allow_false: true", "false"),
        ("'a\nb' | newline_to_br | strip_newlines", "a<br />b"),
    ],
)
def test_filter_gives_its_value(expression, text):
    assert compile_template("{{ " + expression + " }}").render(VALUES) == text


TEN = "{% assign a = 'xxxxxxxxxx' %}"
LETTERS = "{% assign letters = attributes.text | split: '' %}"
BOMBS = {
    "replace": "{{ attributes.text | replace: 'x', attributes.text }}",
    "replace nothing": "{{ attributes.text | replace: '', attributes.text }}",
    "replace again": TEN + "{% assign a = a | replace: 'x', a %}" * 10 + "{{ a }}",
    "append": TEN + "{% assign a = a | append: a %}" * 60,
    "prepend": TEN + "{% assign a = a | prepend: a %}" * 60,
    "join": "{{ attributes.text | split: '' | join: attributes.text }}",
    "concat": "{% assign a = attributes.labels %}" + "{% assign a = a | concat: a %}" * 60,
    "times": "{% assign a = 99999 %}" + "{% assign a = a | times: a %}" * 60,
    "decimal times": "{% assign a = 9.9 %}" + "{% assign a = a | times: a %}" * 60,
    "exponent": "{{ '1e999999999' | ceil }}",
    "date width": "{{ attributes.opened | date: '%0999999999Y' }}",
    "date length": "{{ attributes.opened | date: attributes.text }}",
    "escape": "{% assign a = attributes.text | replace: 'x', '&' %}{{ a" + " | escape" * 50 + " }}",
    "loops": LETTERS + "{% for a in letters %}{% for b in letters %}{% endfor %}{% endfor %}",
    "loops in a row": "{% assign letters = attributes.text | slice: 0, 5000 | split: '' %}"
    + "{% for a in letters %}{% endfor %}" * 900,
    "work in a loop": LETTERS + "{% for a in letters %}" + "{% if 1 %}{% endif %}" * 900 + "{% endfor %}",
    "capture": "".join(
        f"{{% capture c{i} %}}{'{{ attributes.text }}' * 3}{{% endcapture %}}" for i in range(200)
    ),
    "capture itself": LETTERS
    + "{% for a in letters %}{% capture c %}{{ c }}{{ c }}aaa{% endcapture %}{% endfor %}",
    "contains in a list": "{% for a in few %}{% if letters contains 'z' %}{% endif %}{% endfor %}",
    "contains in records": "{% for a in few %}{% if records contains 'z' %}{% endif %}{% endfor %}",
    "contains in a text": "{% for a in few %}{% if big contains 'z' %}{% endif %}{% endfor %}",
    "same lists": "{% for a in few %}{% if letters == others %}{% endif %}{% endfor %}",
    "same texts": "{% for a in few %}{% if big == bigger %}{% endif %}{% endfor %}",
    "case": "{% for a in few %}{% case big %}{% when bigger %}{% endcase %}{% endfor %}",
    "name of a value": "{% for a in few %}{{ deep[big] }}{% endfor %}",
    "records": "{{ records | reverse | reverse | size }}",
    "distinct records": "{{ records | uniq | size }}",
    "records as text": "{{ records | upcase | size }}",
    "distinct": "{% assign a = letters" + " | uniq" * 40 + " %}",
    "entities": "{{ entities" + " | escape_once" * 9 + " | size }}",
    "escapes": "{{ big | url_encode | url_decode | url_encode | size }}",
    "spaces": "{{ spaces | squish | size }}{{ spaces | squish | size }}",
    "split": "{{ big | split: '' | size }}",
    "reads": "{% for a in few %}" + "{% assign b = deep.a.b.c.d %}" * 40 + "{% endfor %}",
    "copies": "{% for a in few %}{% for b in letters limit: 1 %}{% endfor %}{% endfor %}",
    "output": "{{ attributes.text }}" * 4,
    "output of lists": LETTERS + "{{ letters | concat: letters }}",
}


BIG = {
    "few": ["x"] * 2_000,
    "letters": [f"x{number}" for number in range(20_000)],
    "others": [f"x{number}" for number in range(20_000)],
    "records": [{"n": number} for number in range(20_000)],
    "deep": {"a": {"b": {"c": {}}}},
    "big": "x" * 1_000_000,
    "bigger": "x" * 1_000_001,
    "entities": "&amp;" * 200_000,
    "spaces": "a " * 500_000,
}


@pytest.fixture
def rendering(monkeypatch: pytest.MonkeyPatch):
    """The renderings of a test: what each has done, in units of work."""
    made: list[Any] = []

    class Watched(templating._Context):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(templating, "_Context", Watched)
    return made


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_end_early_with_a_sentence(source, rendering):
    template = compile_template(source)

    with pytest.raises(TemplateError, match=r"^Line 1: [A-Za-z'].*\.$"):
        template.render(VALUES | BIG)

    assert rendering[0].work <= MAX_WORK


class Counted(list):
    """A list that counts how many of its items were looked at."""

    looked_at = 0

    def __contains__(self, item: object) -> bool:
        self.looked_at += len(self)
        return super().__contains__(item)


def test_no_more_is_compared_than_was_counted(rendering):
    letters = Counted(["x"] * 5_000)
    template = compile_template("{% for a in few %}{% if letters contains 'z' %}{% endif %}{% endfor %}")

    with pytest.raises(TemplateError, match="too much work"):
        template.render(BIG | {"letters": letters})

    assert 0 < COMPARED_PART * letters.looked_at <= rendering[0].work


def test_usual_lists_are_looped_over_and_compared():
    tasks = [{"name": f"task {number}", "state": {"value": number}} for number in range(200)]
    source = "{% for t in tasks %}{% if t.name contains '7' and t.state.value != 3 %}x{% endif %}{% endfor %}"

    assert compile_template(source).render({"tasks": tasks}) == "x" * 38


HOSTILE = {
    "open": "{{ " * 10_000,
    "open in a comment": "{% comment %}" + "{{ " * 10_000,
    "spaces": "{{" + " " * 30_000 + "}}",
    "raw": "{% raw %}" * 3_000,
    "doc": "{% doc %}" * 3_000,
    "comment": "{% comment %}" * 2_500,
    "nested blocks": "{% if 1 %}" * 1_000 + "{% endif %}" * 1_000,
    "nested ranges": "{{ a" + " | plus: (1..2)" * 50 + " }}",
    "too long": "x" * 40_000,
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_sources_are_refused(source):
    with pytest.raises(TemplateError):
        compile_template(source)


@pytest.mark.parametrize("name", ["open", "open in a comment", "spaces", "raw", "doc", "too long"])
def test_what_slows_the_lexer_down_never_gets_there(name, monkeypatch):
    reached = []
    monkeypatch.setattr(templating._LENIENT, "from_string", reached.append)

    with pytest.raises(TemplateError):
        compile_template(HOSTILE[name])

    assert reached == []


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in (1..9) %}{% endfor %}",
        "{% for a in b limit: (1..9) %}{% endfor %}",
        "{% for a in b %}{% for c in (1..9) reversed %}{% endfor %}{% endfor %}",
        "{% assign a = (1..9) %}",
        "{{ (1..9) }}",
        "{% echo (1..9) %}",
        "{{ a | join: (1..9) }}",
        "{{ a | default: 1, allow_false: (1..9) }}",
        "{% if a == (1..9) %}{% endif %}",
        "{% if b %}{% elsif (1..9) contains 1 %}{% endif %}",
        "{% unless b %}{% else %}{{ (1..9) }}{% endunless %}",
        "{% case a %}{% when (1..9) %}{% endcase %}",
        "{% case (1..9) %}{% when 1 %}{% endcase %}",
        "{% cycle a, (1..9) %}",
        "{% capture a %}{{ (1..9) }}{% endcapture %}",
        "{% liquid\nassign a = (1..9)\n%}",
        "{% ifchanged %}{{ (1..9) }}{% endifchanged %}",
    ],
)
def test_ranges_are_refused_everywhere(source):
    with pytest.raises(TemplateError, match="Ranges"):
        compile_template(source)


@pytest.mark.parametrize("tag", ["include 'x'", "render 'x'", "tablerow a in b"])
def test_tags_that_load_are_refused(tag):
    with pytest.raises(TemplateError, match="cannot be read"):
        compile_template("{% " + tag + " %}")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a\n{{ b", r"Line 2: '\{\{' has no '\}\}'"),
        ("a\n\n{% if %}{% endif %}", "Line 3: The template cannot be read"),
        ("\n{{ a | uppercase }}", "Line 2: There is no filter 'uppercase'"),
        ("{% raw %}", "endraw"),
    ],
)
def test_mistakes_are_shown_with_their_line(source, says):
    with pytest.raises(TemplateError, match=says):
        compile_template(source)


def test_mistakes_at_run_time_hide_values():
    template = compile_template("\n{{ attributes.title | plus: 1 }}{{ attributes.labels | sort: 'x' }}")

    with pytest.raises(TemplateError, match="Line 2: A number was expected") as failure:
        template.render(VALUES)

    assert "Printer" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_unworkable_line_is_quoted_from_template():
    template = compile_template("{% if attributes.opened > 1 %}{% endif %}")

    with pytest.raises(
        TemplateError, match=r"Line 1: '\{% if attributes.opened > 1 %\}.*cannot be worked out"
    ):
        template.render(VALUES)


def test_broken_base64_is_an_error():
    with pytest.raises(TemplateError, match="cannot be worked out"):
        compile_template("{{ '/w==' | base64_decode }}").render(VALUES)


def test_dividing_by_zero_is_an_error():
    with pytest.raises(TemplateError, match="divided by 0"):
        compile_template("{{ 1 | divided_by: 0 }}").render(VALUES)


def test_unknown_time_zone_is_an_error():
    with pytest.raises(TemplateError, match="Europe/Berlin"):
        compile_template("{{ attributes.opened | date: '%H', 'Mars' }}").render(VALUES)


def test_strict_template_names_what_is_missing():
    template = compile_template("{{ attributes.absent }}", strict=True)

    with pytest.raises(TemplateError, match=r"attributes\.absent is undefined"):
        template.render(VALUES)


def test_strict_template_may_ask_and_default():
    template = compile_template(
        "{% if attributes.absent %}a{% endif %}{{ attributes.absent | default: 'b' }}", strict=True
    )

    assert template.render(VALUES) == "b"


def test_names_are_the_paths_it_reads():
    template = compile_template(
        "{{ attributes.title }}"
        "{% for l in native.labels %}{{ l.name | append: conversation.last }}{% endfor %}"
        "{% assign x = variables['weird name'] %}{{ x }}{{ attributes[conversation.which].deep }}"
    )

    assert template.names() == {
        "attributes.title",
        "native.labels",
        "conversation.last",
        'variables["weird name"]',
        "attributes",
        "conversation.which",
    }


def test_there_is_no_clock_to_read():
    assert compile_template("{{ now }}{{ today }}").render({}) == ""


def test_renderings_do_not_share_state():
    template = compile_template("{% increment n %}{{ seen }}{% assign seen = 'x' %}")

    assert [template.render({}), template.render({})] == ["0", "0"]


def test_long_values_may_be_shortened():
    values = {"attributes": {"text": "x" * 900_000}}

    assert compile_template("{{ attributes.text | truncate: 9 }}").render(values) == "xxxxxx..."


def test_line_endings_stay_as_they_are():
    template = compile_template("{% capture c %}{{ text }}{% endcapture %}{{ text }}\r\n{{ c }}")

    assert template.render({"text": "a\r\nb\rc"}) == "a\r\nb\rc\r\na\r\nb\rc"


@given(st.text(alphabet=st.characters(exclude_characters="{", exclude_categories=["Cs"]), max_size=200))
def test_text_without_braces_is_itself(text):
    assert compile_template(text).render({}) == text


@given(st.text(alphabet="{}%|: ax'-(.)[]1\n", max_size=80))
def test_any_source_renders_or_is_refused(source):
    text = ""

    with suppress(TemplateError):
        text = compile_template(source).render({"a": "x", "x": ["a", 1, None]})

    assert len(text.encode()) <= MAX_OUTPUT


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_whole_numbers_are_exact(a, b):
    text = compile_template("{{ a | times: b | plus: a | minus: b }}").render({"a": a, "b": b})

    assert int(text) == a * b + a - b

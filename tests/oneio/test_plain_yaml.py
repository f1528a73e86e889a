"""YAML is read as people mean it, and what they write comes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio import plain_yaml
from oneio.plain_yaml import PlainYamlError, dump, load
from tests.patience import comes_to_an_end

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.just("\n"))
SCALARS = TEXTS | st.integers() | st.booleans() | st.none()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert load(dump(document)) == document


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "1.10", "012", "0x1F", "1_000", "2024-05-01", "1:30", "="]
)
def test_words_of_people_stay_words(word: str) -> None:
    assert load(f"value: {word}") == {"value": word}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", r"line 2\)\. 'a' is there twice"),
        ("a: &x [1]\nb: *x", "Aliases are not allowed"),
        ("a: [", r"not valid YAML \(line"),
        ("? [a]\n: 1", "not valid YAML"),
        ("!!python/object:os.system {}", "not valid YAML"),
        ("a" * 100, "100 characters. Shorten it to 50"),
        ("!!bool abc", "not valid YAML"),
        (r'"\UFFFFFFFF"', "not valid YAML"),
        (r'a: "\0"', "cannot be stored"),
        (r'a: "\ud800"', "cannot be stored"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(PlainYamlError, match=said):
        load(text, longest=50)


def test_errors_never_quote_the_text() -> None:
    with pytest.raises(PlainYamlError) as caught:
        load("password: [secret-word")

    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "opening", ["[" * 100_000, "a: " + "[" * 50 + "]" * 50, "\n".join(" " * n + "a:" for n in range(99))]
)
def test_deep_nesting_is_refused_at_once(opening: str) -> None:
    with comes_to_an_end(), pytest.raises(PlainYamlError, match="nested deeper than 40 levels"):
        load(opening)


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_yaml, "MAX_NODES", 10)

    with pytest.raises(PlainYamlError, match="more than 10 values"):
        load("- a\n" * 20)

"""Texts in both languages: Atlassian documents and wiki text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.sandbox.jira.adf import BadDocumentError, check_document, to_text
from endpoints.sandbox.jira.wiki import to_document, to_html


def _document(*content: object) -> dict[str, object]:
    return {"type": "doc", "version": 1, "content": list(content)}


def _text(text: str, *marks: object) -> dict[str, object]:
    return {"type": "text", "text": text, "marks": list(marks)}


def _node(kind: str, *content: object, **attributes: object) -> dict[str, object]:
    node: dict[str, object] = {"type": kind}
    if content:
        node["content"] = list(content)
    return {**node, "attrs": attributes} if attributes else node


@pytest.mark.parametrize(
    "text",
    [
        "One line",
        "First\n\nSecond",
        "Line one\nline two",
        "h2. Title\n\nBody",
        "* one\n* two\n** inner\n* three",
        "# first\n#* bullet\n# second",
        "{code:python}\nx = 1\n\ny = 2\n{code}",
        "{quote}\nSaid\n{quote}",
        "----",
        "A *strong* and _slanted_ {{code}} word",
        "See [the page|https://example.com/a] or [https://example.com/b]",
        "Ask [~accountid:712020:abc] first",
        "snake_case_name and 2*3*4 stay",
    ],
)
def test_wiki_text_survives_a_document(text: str) -> None:
    document = to_document(text)

    check_document(document)
    assert to_text(document) == text


@given(st.text(st.characters(categories=("L", "N"), include_characters=" \n.,;-")))
def test_document_of_any_text_is_valid(text: str) -> None:
    document = to_document(text)

    check_document(document)
    assert to_text(document).split() == text.split()


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (_node("paragraph", _text("a", {"type": "strong"}, {"type": "em"})), "_*a*_"),
        (_node("paragraph", _text("a", {"type": "strike"}), _text("b", {"type": "underline"})), "-a-+b+"),
        (_node("paragraph", _text("a", {"type": "textColor", "attrs": {"color": "#fff"}})), "a"),
        (_node("paragraph", _node("emoji", shortName=":ok:"), _node("status", text="NEW")), ":ok:NEW"),
        (_node("paragraph", _node("inlineCard", url="https://a.example")), "[https://a.example]"),
        (_node("panel", _node("paragraph", _text("Note")), panelType="info"), "{panel}\nNote\n{panel}"),
        (_node("mediaSingle", _node("media", id="1", alt="a.png")), "!a.png!"),
        (_node("taskList", _node("taskItem", _text("do"))), "* do"),
        (
            _node(
                "table",
                _node("tableRow", _node("tableHeader", _node("paragraph", _text("H")))),
                _node("tableRow", _node("tableCell", _node("paragraph", _text("c")))),
            ),
            "||H||\n|c|",
        ),
    ],
)
def test_document_nodes_become_wiki_text(node: dict[str, object], text: str) -> None:
    document = _document(node)

    check_document(document)
    assert to_text(document) == text


@pytest.mark.parametrize(
    "value",
    [
        "text",
        None,
        {},
        {"type": "doc", "version": 2, "content": []},
        {"type": "doc", "version": 1},
        _document({"type": "marquee"}),
        _document("text"),
        _document(_node("paragraph", {"type": "text"})),
        _document(_node("paragraph", {"type": "text", "text": ""})),
        _document({"type": "paragraph", "content": "text"}),
        _document({"type": "paragraph", "content": [_text("a", "strong")]}),
        _document({"type": "heading", "attrs": 7}),
        _document({"type": ["paragraph"]}),
    ],
)
def test_other_values_are_no_documents(value: object) -> None:
    with pytest.raises(BadDocumentError):
        check_document(value)


def test_html_escapes_and_keeps_lines() -> None:
    assert to_html("a < b\nc\n\nd") == "<p>a &lt; b<br/>c</p>\n<p>d</p>"

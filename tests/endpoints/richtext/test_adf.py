"""Texts through Atlassian documents and out of wiki text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.richtext.adf import adf_to_text, normal, text_to_adf
from endpoints.richtext.wiki import wiki_to_text
from tests.patience import comes_to_an_end

PARTS = st.sampled_from(["\n", "\n\n", "* x", "# y", "https://a.example/b?c=d", " ", "[z]", "é😀", "\r\n"])
TEXTS = st.lists(st.one_of(PARTS, st.text(max_size=20)), max_size=12).map("".join)


def doc(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": list(content)}


def paragraph(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def item(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "listItem", "content": list(content)}


def inner_texts(node: dict[str, Any]) -> list[str]:
    own = [node["text"]] if node["type"] == "text" else []
    return own + [found for child in node.get("content", []) for found in inner_texts(child)]


@given(TEXTS)
def test_text_survives_a_document(value: str) -> None:
    document = text_to_adf(value)

    assert adf_to_text(document) == normal(value)
    assert all(inner_texts(document)), "Jira refuses empty text nodes"


def test_web_addresses_become_links() -> None:
    document = text_to_adf("see https://kb.acme.example/42.")

    [_, link, dot] = document["content"][0]["content"]
    assert link["marks"] == [{"type": "link", "attrs": {"href": "https://kb.acme.example/42"}}]
    assert dot["text"] == "."


def test_labelled_links_keep_their_address() -> None:
    link = text("the log", marks=[{"type": "link", "attrs": {"href": "https://logs.example"}}])

    assert adf_to_text(doc(paragraph(link))) == "the log (https://logs.example)"


def test_nested_lists_are_indented() -> None:
    inner = {"type": "bulletList", "content": [item(paragraph(text("inner")))]}
    numbered = {
        "type": "orderedList",
        "content": [item(paragraph(text("one")), inner), item(paragraph(text("two")))],
    }

    assert adf_to_text(doc(numbered)) == "1. one\n  * inner\n2. two"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "mention", "attrs": {"id": "1", "text": "@Mika"}}, "@Mika"),
        ({"type": "emoji", "attrs": {"shortName": ":smile:"}}, ":smile:"),
        ({"type": "date", "attrs": {"timestamp": "1795219200000"}}, "2026-11-21"),
        ({"type": "status", "attrs": {"text": "DONE"}}, "DONE"),
        ({"type": "inlineCard", "attrs": {"url": "https://a.example"}}, "https://a.example"),
        ({"type": "mediaInline", "attrs": {"id": "f1", "alt": "plan.pdf"}}, "[file: plan.pdf]"),
        ({"type": "somethingNew", "content": [{"type": "text", "text": "kept"}]}, "kept"),
    ],
)
def test_inline_nodes_stay_readable(node: dict[str, Any], expected: str) -> None:
    assert adf_to_text(doc(paragraph(node))) == expected


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "blockquote", "content": [paragraph(text("a")), paragraph(text("b"))]}, "> a\n> b"),
        ({"type": "rule"}, "----"),
        ({"type": "codeBlock", "content": [text("x = 1\ny = 2")]}, "x = 1\ny = 2"),
        ({"type": "expand", "attrs": {"title": "More"}, "content": [paragraph(text("a"))]}, "More\na"),
        (
            {
                "type": "taskList",
                "content": [
                    {"type": "taskItem", "attrs": {"state": "DONE"}, "content": [text("a")]},
                    {"type": "taskItem", "attrs": {"state": "TODO"}, "content": [text("b")]},
                ],
            },
            "[x] a\n[ ] b",
        ),
        (
            {
                "type": "table",
                "content": [
                    {
                        "type": "tableRow",
                        "content": [
                            {"type": "tableHeader", "content": [paragraph(text("h"))]},
                            {"type": "tableCell", "content": [paragraph(text("c"))]},
                        ],
                    }
                ],
            },
            "h | c",
        ),
    ],
)
def test_blocks_stay_readable(node: dict[str, Any], expected: str) -> None:
    assert adf_to_text(doc(node)) == expected


@pytest.mark.parametrize(
    ("wiki", "expected"),
    [
        (
            "plain\n\ntext: 2 * 3 = 6, [1], a_b_c, wow! that!",
            "plain\n\ntext: 2 * 3 = 6, [1], a_b_c, wow! that!",
        ),
        ("[the log|https://a.example/x]", "the log (https://a.example/x)"),
        ("[https://a.example|https://a.example|smart-link]", "https://a.example"),
        ("[~accountid:712020:aa] and [~mika]", "@712020:aa and @mika"),
        ("# a\n# b\n** c", "1. a\n2. b\n  * c"),
        ("# only a heading of a script", "# only a heading of a script"),
        ("{code:python}\n# a\n# b\n{code}", "# a\n# b"),
        ("h2. Title\n{quote}\nsaid\n{quote}", "Title\nsaid"),
        ("{color:#ff0000}red{color} {{mono}} !shot.png|width=20!", "red mono [file: shot.png]"),
        ("{code:a}b {code} {noformat}", "b  {noformat}"),
        ("{code} alone", "{code} alone"),
        (r"\[not a link\] \* C:\temp \\srv\share", r"[not a link] * C:\temp \\srv\share"),
        ("first \\\\ second", "first \n second"),
    ],
)
def test_wiki_text_becomes_readable(wiki: str, expected: str) -> None:
    assert wiki_to_text(wiki) == expected


@pytest.mark.parametrize(
    "part", ["[", "{code:1}", "[a|http:b|", "{{a", "{color:", "!a.bb|", "[^a", "# ", "https://."]
)
def test_hostile_text_takes_no_longer(part: str) -> None:
    with comes_to_an_end():
        wiki_to_text(part * 60_000)
        text_to_adf(part * 60_000)

"""Rich text from one form to another: what people read stays, what scripts do goes, documents are valid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.richtext.adf import adf_to_text, text_to_adf
from endpoints.richtext.building import MAX_DOCUMENT, DocumentTooLong
from endpoints.richtext.conversions import READERS, WRITERS
from endpoints.richtext.html_reading import html_to_adf
from endpoints.richtext.html_writing import adf_to_html
from endpoints.richtext.markdown_reading import markdown_to_adf
from endpoints.richtext.markdown_writing import adf_to_markdown
from endpoints.sandbox.jira.adf import check_document
from tests.patience import comes_to_an_end

TAGS = [
    *(
        "p",
        "div",
        "h2",
        "ul",
        "ol",
        "li",
        "blockquote",
        "table",
        "tr",
        "td",
        "th",
        "pre",
        "b",
        "i",
        "a",
        "code",
    ),
    *("br", "hr", "img", "script", "s", "u", "x-y"),
]
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        ['<a href="https://a.example/?b=1&amp;c">', "&lt;", "&nbsp;", "<!-- x -->", "<", "<!-", '<p title="']
    ),
    st.text(max_size=8),
)
SOUP = st.lists(PIECES, max_size=25).map("".join)
SIGNS = st.sampled_from(
    [*("*", "**", "_", "__", "~~", "`", "```\n", "# ", "- ", "1. ", "> ", "|", "\n|---|\n", "\n", "\n\n"),
     "  ", *("[a](https://a.example)", "https://b.example/x_y.", "\\", "<https://c.example>", "a_b"), "---\n"]
)  # fmt: skip
MARKED = st.lists(st.one_of(SIGNS, st.text(max_size=6)), max_size=20).map("".join)
WORDS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), include_characters="\n"), max_size=80)


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p>Mail is <b>down</b> &amp; <i>out</i></p>", "Mail is **down** & *out*"),
        ("One<br>two<p>three", "One\ntwo\n\nthree"),
        (
            "<h2>Steps</h2><ol><li>Stop<li>Start<ul><li>slowly</ul></ol>",
            "## Steps\n\n1. Stop\n2. Start\n   - slowly",
        ),
        ('See <a href="https://x.example/a?b">the page</a>', "See [the page](https://x.example/a?b)"),
        ('<a href="javascript:alert(1)">Click</a>', "Click"),
        ("<pre>a  b\n &lt;c&gt;</pre>", "```\na  b\n <c>\n```"),
        ("<blockquote>Is it <code>up</code>?</blockquote>", "> Is it `up`?"),
        (
            "<table><tr><th>Host<th>State</tr><tr><td>a|b<td>up</table>",
            "| Host | State |\n| --- | --- |\n| a\\|b | up |",
        ),
        ("a <x-y> b</x-y> <b> c </b> d", "a b **c** d"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("2 * 3 * 4 [x] snake_case _y_", "2 \\* 3 \\* 4 \\[x\\] snake_case \\_y\\_"),
        ("<p># no heading<p>1. no list<p>- no item", "\\# no heading\n\n1\\. no list\n\n\\- no item"),
        ("<style>b{}</style><script>x('<b>')</script>Text<!-- gone --> here", "Text here"),
        ('<img src="x" alt="Screenshot">', "\\[image: Screenshot\\]"),
        ("<li>alone</li>", "- alone"),
        ("3 < 4 and 5 > 4", "3 \\< 4 and 5 > 4"),
        ("<ul><li></li></ul>", ""),
    ],
)
def test_html_becomes_markdown(html, markdown):
    assert adf_to_markdown(html_to_adf(html)) == markdown


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        (
            "Mail is **down** and *out*, ~~up~~",
            "<p>Mail is <strong>down</strong> and <em>out</em>, <s>up</s></p>",
        ),
        ("# Title #\nLine one\nline two", "<h1>Title</h1><p>Line one<br>line two</p>"),
        (
            "- a\n  - b\n  more\n- c\n\nafter",
            "<ul><li>a<ul><li>b<br>more</li></ul></li><li>c</li></ul><p>after</p>",
        ),
        ("3. c\n4. d", "<ol><li>c</li><li>d</li></ol>"),
        ("> said\n> > deeper", "<blockquote><p>said</p><p>deeper</p></blockquote>"),
        ("```sql\nSELECT '<'\n```", "<pre><code>SELECT '&lt;'</code></pre>"),
        ("[a](https://x.example)", '<p><a href="https://x.example">a</a></p>'),
        ("https://y.example.", '<p><a href="https://y.example">https://y.example</a>.</p>'),
        ("[a](javascript:x)", "<p>a</p>"),
        ("`a*b*` \\*c\\*", "<p><code>a*b*</code> *c*</p>"),
        ("2*3*4 snake_case_name 5 * 6", "<p>2<em>3</em>4 snake_case_name 5 * 6</p>"),
        ("**open", "<p>**open</p>"),
        ("a|\n-|\nb|", "<table><tr><th><p>a</p></th></tr><tr><td><p>b</p></td></tr></table>"),
        ("***", "<hr>"),
        ("![shot](https://x.example/a.png)", "<p>[image: shot]</p>"),
    ],
)
def test_markdown_becomes_html(markdown, html):
    assert adf_to_html(markdown_to_adf(markdown)) == html


@given(SOUP)
def test_any_html_is_a_valid_document(html):
    document = html_to_adf(html)

    check_document(document)
    check_document(markdown_to_adf(adf_to_markdown(document)))
    assert not re.search(r"<(script|a href=\"(?!http|mailto|tel|ftp))", adf_to_html(document))


@given(MARKED)
def test_any_markdown_is_a_valid_document(markdown):
    document = markdown_to_adf(markdown)

    check_document(document)
    check_document(html_to_adf(adf_to_html(document)))


@given(WORDS)
def test_words_survive_every_form(text):
    document = text_to_adf(text)
    words = adf_to_text(document).split()

    assert adf_to_text(html_to_adf(adf_to_html(document))).split() == words
    assert adf_to_text(markdown_to_adf(adf_to_markdown(document))).split() == words


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize(
    "piece",
    [
        *("<a", "<b>x", "<br>", "<!--", "<pre>", '<a href="', "<ul><li>", "&", "</p", "a='b' ", "<a b="),
        *(
            "*a ",
            "**",
            "_a_",
            "[a](b ",
            "[",
            "`",
            "> ",
            "- ",
            "  \n",
            "  - a\n",
            "|-",
            " ",
            "a|\n",
            "http://",
            "#",
            "\\",
        ),
    ],
)
def test_hostile_text_is_read_in_bounded_time(form, piece):
    text = piece * (MAX_DOCUMENT // 4 // len(piece))

    with comes_to_an_end():
        document = READERS[form](text)
        for write in WRITERS.values():
            write(document)


@pytest.mark.parametrize("form", READERS)
def test_too_long_text_is_refused(form):
    with pytest.raises(DocumentTooLong):
        READERS[form]("x" * (MAX_DOCUMENT + 1))


def test_document_of_another_make_is_written_too():
    document = {
        "type": "doc",
        "version": 1,
        "content": [
            {
                "type": "panel",
                "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Note"}]}],
            },
            {
                "type": "paragraph",
                "content": [{"type": "mention", "attrs": {"text": "@Beth"}}, "odd", {"text": 1}],
            },
            {"type": "taskList", "content": []},
            {
                "type": "heading",
                "attrs": {"level": "x"},
                "content": [{"type": "text", "text": "H", "marks": "b"}],
            },
        ],
    }

    assert adf_to_html(document) == "<blockquote><p>Note</p></blockquote><p>@Beth</p><h1>H</h1>"
    assert adf_to_markdown(document) == "> Note\n\n@Beth\n\n# H"

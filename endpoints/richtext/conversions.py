"""Every way from one form of rich text to another, through an Atlassian document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from endpoints.richtext.adf import Node, adf_to_text, text_to_adf
from endpoints.richtext.building import check_length
from endpoints.richtext.html_reading import html_to_adf
from endpoints.richtext.html_writing import adf_to_html
from endpoints.richtext.markdown_reading import markdown_to_adf
from endpoints.richtext.markdown_writing import adf_to_markdown
from endpoints.richtext.wiki import wiki_to_text

READERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "text": lambda text: text_to_adf(check_length(text)),
    "html": html_to_adf,
    "markdown": markdown_to_adf,
    "wiki": lambda text: text_to_adf(wiki_to_text(check_length(text))),
}
"""Forms that are read from text, by name. Each raises DocumentTooLong."""
WRITERS: Mapping[str, Callable[[Node], Any]] = {
    "text": adf_to_text,
    "html": adf_to_html,
    "markdown": adf_to_markdown,
    "adf": dict,
}
"""Forms that a document is written in, by name."""

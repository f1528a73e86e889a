"""The formatter of rich text: HTML, Markdown, Atlassian documents, wiki text and plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from endpoints.canonical import Value
from endpoints.richtext.building import MAX_DOCUMENT, DocumentTooLong
from endpoints.richtext.conversions import READERS, WRITERS
from oneio.template_values import to_text
from routing.formatters.base import Argument, Formatter, FormatterError

ADF = "adf"


def convert(value: Value, *, reads: str, writes: str) -> Value:
    """The value, written as `reads`, as `writes`. An Atlassian document is a structure, or its JSON."""
    try:
        document = _document(value) if reads == ADF else READERS[reads](to_text(value))
    except DocumentTooLong:
        raise FormatterError(
            f"A rich text of more than {MAX_DOCUMENT} characters is not converted. Truncate it first."
        ) from None
    written: Value = WRITERS[writes](document)
    return written


def _document(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping) or value.get("type") != "doc":
        raise FormatterError("The value is no Atlassian document. Check what the source sends.")
    return value


DOCUMENTS = (
    Formatter(
        "convert",
        "Convert rich text",
        "From one form of rich text to another; an Atlassian document (ADF) is what Jira Cloud shows.",
        convert,
        (
            Argument("reads", "From", "choice", "html", choices=(*READERS, ADF)),
            Argument("writes", "To", "choice", "text", choices=tuple(WRITERS)),
        ),
        takes="value",
        weight=8,
    ),
)

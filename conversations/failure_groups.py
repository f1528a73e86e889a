"""What makes two failures the same: their kind and what was said, with all values taken out."""

from __future__ import annotations

import re

from oneio.crypto import keyed_hash

READ = 500
"""Characters of a text that count; what follows is mostly a trace or an echo of the request."""
KEY_LENGTH = 32
# The longest forms come first; each stands for a value that differs from ticket to ticket.
_VALUES = re.compile(
    r"""https?://\S+            # addresses
    | [\w.+-]+@[\w-]+\.[\w.]+   # people
    | "[^"]*" | '[^'\s][^']*' | “[^”]*” | „[^“]*“ | «[^»]*»   # what is quoted
    | \b[0-9a-f]{8}[0-9a-f-]*\b # long ids
    | \b\w*\d\w*(?:[-.:/]\w+)*  # numbers, ticket numbers, times
    """,
    re.VERBOSE | re.IGNORECASE,
)


def group_of(kind: str, failure: str, status: int | None, code: str, text: str) -> str:
    """The key of a failure's group: `kind` is why it is held (empty while it is retried), `text` what was
    said. Nobody can read the text from the key."""
    return keyed_hash("failure group", kind, failure, status or "", code, without_values(text)).hex()[
        :KEY_LENGTH
    ]


def without_values(text: str) -> str:
    """A text with a mark in place of every value, so that the same complaint reads the same."""
    return " ".join(_VALUES.sub("…", text[:READ]).split()).casefold()

"""Regular expressions that people write: RE2, so that none takes more than time linear to the text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from routing.errors import RuleError

MAX_REGEX = 500
REGEX_MEMORY = 1024 * 1024
"""Bytes that one regular expression may take while it runs."""


@lru_cache(maxsize=1024)
def compile_regex(source: str) -> Any:
    """The RE2 expression, ignoring case, `.` fitting line ends too. Raises RuleError on the field `value`."""
    if len(source) > MAX_REGEX:
        raise RuleError("value", f"The regular expression is too long. Shorten it to {MAX_REGEX} characters.")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.dot_nl = True
    options.max_mem = REGEX_MEMORY
    try:
        return re2.compile(source, options)
    except (re2.error, UnicodeError) as error:
        raise RuleError(
            "value",
            f"The regular expression cannot be read: {_reason(error)}. Correct it; look-ahead and"
            " back-references are not available.",
        ) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)

"""What the API's description describes: each address once, in its Production spelling."""

from typing import Any

DOCUMENTED = "/api/v1/"


def only_documented(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Without the QA addresses, which differ by their prefix alone, and without other spellings."""
    return [entry for entry in endpoints if entry[0].startswith(DOCUMENTED) and not entry[0].endswith("/")]

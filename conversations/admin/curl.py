"""A request as a command line to try by hand; credentials are left for the person to fill in."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

CREDENTIALS = "Authorization: $AUTHORIZATION"


def command(base_url: str, request: Mapping[str, Any]) -> str:
    """The curl command of a request as an attempt keeps it: method, path, query, headers and body."""
    query = urlencode(request.get("query") or {})
    path = str(request.get("path", ""))
    address = path if path.startswith(("https://", "http://")) else base_url.rstrip("/") + path
    parts = ["curl", "-X", shlex.quote(str(request.get("method", "GET")))]
    parts.append(shlex.quote(f"{address}?{query}" if query else address))
    parts += ["-H", f'"{CREDENTIALS}"', "-H", "'Accept: application/json'"]
    for name, value in (request.get("headers") or {}).items():
        parts += ["-H", shlex.quote(f"{name}: {value}")]
    return " ".join([*parts, *_body(request.get("body"))])


def _body(body: Any) -> list[str]:
    if body is None:
        return []
    if isinstance(body, str):
        return ["--data-raw", shlex.quote(body)]
    text = json.dumps(body, ensure_ascii=False)
    return ["-H", "'Content-Type: application/json'", "--data-raw", shlex.quote(text)]

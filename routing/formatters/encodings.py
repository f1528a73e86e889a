"""Formatters that encode: Base64, URLs, and a fingerprint."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from urllib.parse import quote, unquote

from routing.formatters.base import Formatter, FormatterError, bounded

_SPACE = re.compile(r"\s+")


def base64_encode(text: str) -> str:
    """The text's UTF-8 bytes in Base64."""
    data = text.encode()
    bounded(len(data) * 4 // 3 + 4)
    return base64.b64encode(data).decode()


def base64_decode(text: str) -> str:
    """The text that stands in Base64, with or without padding, also in the alphabet for addresses."""
    plain = _SPACE.sub("", text).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        raise FormatterError("The value is no text in Base64. Check what the source sends.") from None


def url_encode(text: str) -> str:
    """The text as a part of an address: every sign but letters, digits and -._~ escaped."""
    data = text.encode()
    bounded(3 * len(data))
    return quote(data, safe="")


def url_decode(text: str) -> str:
    """The text without an address's escapes; + is a space."""
    return unquote(text.replace("+", " "))


def sha256(text: str) -> str:
    """The text's SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


ENCODINGS = (
    Formatter("base64_encode", "Base64", "The text in Base64.", base64_encode),
    Formatter("base64_decode", "From Base64", "The text that stands in Base64.", base64_decode),
    Formatter("url_encode", "URL-encode", "The text as a part of an address.", url_encode),
    Formatter("url_decode", "URL-decode", "The text without an address's escapes.", url_decode),
    Formatter(
        "hash",
        "Fingerprint (SHA-256)",
        "64 digits, the same for the same text. Not for secrets: a short text can be guessed from it.",
        sha256,
    ),
)

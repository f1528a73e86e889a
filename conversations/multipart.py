"""Finds the first file in a multipart body and hands it on while it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, File, MultipartDecoder

from conversations.incoming import Malformed
from conversations.request_body import PIECE_BYTES

# What may lie between two parts or in the headers of one.
MAX_BUFFER_BYTES = PIECE_BYTES + 64 * 1024
MAX_PARTS = 50


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in: its name and type as sent (empty if not said) and its bytes as they arrive."""

    file_name: str
    content_type: str
    pieces: Iterator[bytes]


def is_multipart(content_type: str) -> bool:
    """Whether this Content-Type announces a form with files."""
    return parse_options_header(content_type)[0].lower() == "multipart/form-data"


def first_file(content_type: str, pieces: Iterator[bytes]) -> Upload:
    """The first file part of the body; what follows it is read and left aside. Raises Malformed.

    Reading the file's pieces raises Malformed when the form does not end as it should.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > 200:
        raise Malformed("The Content-Type of the form names no boundary, so its parts cannot be told apart.")
    events = _events(MultipartDecoder(boundary.encode(), MAX_BUFFER_BYTES, max_parts=MAX_PARTS), pieces)
    for event in events:
        if isinstance(event, File):
            return Upload(event.filename, event.headers.get("Content-Type", ""), _content(events))
    raise Malformed("The form has no file in it.")


def _content(events: Iterator[Event]) -> Iterator[bytes]:
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                break
    for _ in events:
        pass


def _events(decoder: MultipartDecoder, pieces: Iterator[bytes]) -> Iterator[Event]:
    try:
        for piece in pieces:
            decoder.receive_data(piece)
            while (event := decoder.next_event()) is not NEED_DATA:
                yield event
        decoder.receive_data(None)
        while not isinstance(decoder.next_event(), Epilogue):
            pass
    except (ValueError, AttributeError, RequestEntityTooLarge):
        raise Malformed("The form is not put together as multipart/form-data has to be.") from None

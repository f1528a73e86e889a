"""What a REST system is like, as frozen values: how it is asked, and where its answers hold what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeAlias

import re2

from endpoints.canonical import AttributeType, Operation, Visibility
from oneio.paths import MISSING, compile_path

# What the loader checks beyond the type.
PathText: TypeAlias = Annotated[str, "path"]
"""A path into a JSON document."""
NameText: TypeAlias = Annotated[str, "name"]
"""A path of names only, which can also be written to."""
TemplateText: TypeAlias = Annotated[str, "template"]
"""A Liquid template."""
UrlText: TypeAlias = Annotated[str, "url"]
"""A path below the base URL; its `{{ … }}` are quoted."""
PatternText: TypeAlias = Annotated[str, "pattern"]
"""A regular expression of google-re2; its first group, if it has one, is what counts."""
BodyTree: TypeAlias = Annotated[Any, "body"]
"""A JSON structure whose texts are Liquid templates."""
ZoneText: TypeAlias = Annotated[str, "zone"]
"""The name of a time zone, such as Europe/Helsinki."""


class AuthKind(StrEnum):
    """How requests prove who sends them."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    HEADER = "header"
    QUERY = "query"
    OAUTH2 = "oauth2"


@dataclass(frozen=True, slots=True)
class Auth:
    """`name` is the header or parameter that carries the API key, `prefix` what stands before the key.

    `token_url` is a path below the base URL or a whole URL; `parameters` go into the token request's form.
    """

    kind: AuthKind = AuthKind.NONE
    name: str = ""
    prefix: str = ""
    token_url: str = ""
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value stands: at a path of the body, in a header or in a query parameter."""

    SHORTHAND: ClassVar[str] = "path"
    path: PathText = ""
    header: str = ""
    parameter: str = ""
    pattern: PatternText = ""

    def find(self, body: Any, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Any:
        """The value, or MISSING. `headers` has lower-case names or ignores case."""
        value = self._raw(body, headers, parameters)
        if not self.pattern or value is MISSING or value is None:
            return value
        match = _pattern(self.pattern).search(str(value))
        return (*match.groups(""), match[0])[0] if match else MISSING

    def _raw(self, body: Any, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Any:
        if self.header:
            return headers.get(self.header.lower(), MISSING)
        if self.parameter:
            return parameters.get(self.parameter, MISSING)
        return compile_path(self.path).first(body) if self.path else MISSING


@dataclass(frozen=True, slots=True)
class OperationSource(Source):
    """Where a message says what happened; `values` turns the system's words into operations."""

    values: Mapping[str, Operation] = field(default_factory=dict)
    default: Operation | None = None


@dataclass(frozen=True, slots=True)
class VisibilitySource:
    """Where a comment says who may read it; what `values` does not know is `default`."""

    SHORTHAND: ClassVar[str] = "default"
    path: PathText = ""
    values: Mapping[str, Visibility] = field(default_factory=dict)
    default: Visibility = Visibility.INTERNAL


@dataclass(frozen=True, slots=True)
class ActorPaths:
    """Where a person's id, name and address stand."""

    id: PathText = ""
    name: PathText = ""
    email: PathText = ""


@dataclass(frozen=True, slots=True)
class CommentPaths:
    """Where a message's comments are (`path`, to each one or to a list) and, inside one, its parts."""

    path: PathText
    text: PathText = "$"
    id: PathText = ""
    at: PathText = ""
    author: ActorPaths = ActorPaths()
    visibility: VisibilitySource = VisibilitySource()


@dataclass(frozen=True, slots=True)
class FilePaths:
    """Where a message's files are (`path`, to each one or to a list) and, inside one, its parts. `content`
    is where its bytes stand as base64; files without them are fetched by `operations.download`."""

    path: PathText
    id: PathText = ""
    name: PathText = ""
    type: PathText = ""
    size: PathText = ""
    url: PathText = ""
    content: NameText = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute's field: `native` is its name in the system, written and (below `record`) read there.

    `path` says where it is read when that is elsewhere, from the message's root. `values` turns the
    system's codes into what people see. `type` is needed where the attribute is not a documented one.
    """

    SHORTHAND: ClassVar[str] = "native"
    native: NameText
    path: PathText = ""
    type: AttributeType | None = None
    values: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Times:
    """How times are written: `iso`, `epoch`, `epoch_ms` or a pattern such as `%d.%m.%Y %H:%M`.

    `zone` holds for times that carry none; when empty it is the endpoint's.
    """

    SHORTHAND: ClassVar[str] = "format"
    format: str = "iso"
    zone: ZoneText = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """How the system's messages are read. `record` is where the ticket's fields are, `$` the whole body.

    `effect_key` is where we find our own mark again; `effect_key_prefix` is what we wrote before it.
    """

    id: Source
    record: PathText = "$"
    number: Source = Source()
    link: Source = Source()
    entity_type: Source = Source()
    operation: OperationSource = OperationSource(default=Operation.UPDATE)
    actor: ActorPaths = ActorPaths()
    occurred_at: Source = Source()
    comments: tuple[CommentPaths, ...] = ()
    attachments: tuple[FilePaths, ...] = ()
    event_id: Source = Source()
    effect_key: PathText = ""
    effect_key_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a body holds when the request was carried out, for systems that answer 200 to everything."""

    path: PathText
    equals: Any = True


@dataclass(frozen=True, slots=True)
class Request:
    """One request and where its answer holds the id, number and link of what was made.

    A text of `query`, `headers` or `body` that is one `{{ path }}` keeps the value's type and is left out
    when there is none. `success` is empty for the endpoint's own codes. `repeatable` says that doing it
    twice does no more than once; by default that holds for everything but creates and comments.
    """

    path: UrlText
    method: Annotated[str, "method"] = "POST"
    query: Mapping[str, TemplateText] = field(default_factory=dict)
    headers: Mapping[str, TemplateText] = field(default_factory=dict)
    body: BodyTree = None
    id: Source = Source()
    number: Source = Source()
    link: Source = Source()
    success: frozenset[int] = frozenset()
    success_check: Check | None = None
    repeatable: bool | None = None


@dataclass(frozen=True, slots=True)
class Lookup(Request):
    """Finds what carries our mark: `items` leads to a list (or one), `id` and `number` are inside an item.

    `key` is where an item holds the mark; items without it do not count. `none` are statuses that mean
    that nothing was found. `settles_in` is in seconds.
    """

    method: Annotated[str, "method"] = "GET"
    items: PathText = "$"
    key: PathText = ""
    none: frozenset[int] = frozenset()
    settles_in: float = 0.0


@dataclass(frozen=True, slots=True)
class Fetch(Request):
    """Reads one ticket; `document` makes a message of the answer (as `answer`) that `inbound` can read."""

    method: Annotated[str, "method"] = "GET"
    document: BodyTree = "{{ answer }}"


@dataclass(frozen=True, slots=True)
class Find(Request):
    """Answers a rule's question; `items` leads to a list (or one), `id` and `number` are inside an item. Its
    templates know `criteria`, `record` (or `entity`), `wanted` attributes and how many at `most`."""

    method: Annotated[str, "method"] = "GET"
    items: PathText = "$"
    none: frozenset[int] = frozenset()


class FileForm(StrEnum):
    """How a file is handed on: as the body itself, as a part of a form, or as base64 in a JSON body."""

    RAW = "raw"
    FORM = "form"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class FileRequest(Request):
    """Hands a file on. `part` names its field in a form; inline, `body` has it at `{{ file.content }}`."""

    send: FileForm = FileForm.FORM
    part: str = "file"


@dataclass(frozen=True, slots=True)
class Download(Request):
    """Reads a file's bytes; its templates know `file.id` and `file.name`."""

    method: Annotated[str, "method"] = "GET"


@dataclass(frozen=True, slots=True)
class Operations:
    """The requests that a system knows."""

    create: Request | None = None
    update: Request | None = None
    comment: Request | None = None
    write_back: Request | None = None
    attach: FileRequest | None = None
    download: Download | None = None
    lookup: Lookup | None = None
    lookup_comment: Lookup | None = None
    lookup_file: Lookup | None = None
    fetch: Fetch | None = None
    find: Find | None = None
    check: Fetch | None = None


@dataclass(frozen=True, slots=True)
class RestDeclaration:
    """A whole REST system. `link` makes a ticket's address from `base_url`, `id` and `number`; `error` is
    where a refusal says why; `headers` go with every request."""

    inbound: Inbound
    operations: Operations = Operations()
    auth: Auth = Auth()
    attributes: Mapping[str, Field] = field(default_factory=dict)
    times: Times = Times()
    headers: Mapping[str, str] = field(default_factory=dict)
    link: TemplateText = ""
    error: PathText = ""


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)

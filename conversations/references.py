"""Finds the conversation of another system's ticket that a message names, by its id or its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias
from uuid import UUID

from django.db.models import Q

from conversations.models import Participant, ReplacedTicket
from endpoints.canonical import CanonicalMessage
from endpoints.configs import NamedTicket
from oneio.template_values import to_text
from routing.context import locate, view
from routing.decision import message_context

Name: TypeAlias = tuple[int, str]
"""An entity type, and the id or number of one of its tickets."""
NAME_LENGTH = 255


def names_in(message: CanonicalMessage, references: Sequence[NamedTicket]) -> Iterator[Name]:
    """The tickets that a message names, in the order of the references."""
    if not references:
        return
    seen = view(message_context(message, {}, {}, {}, {}))
    for reference in references:
        for value in locate(reference.path).all(seen):
            name = "" if value is None else to_text(value).strip()
            if 0 < len(name) <= NAME_LENGTH:
                yield reference.entity_type_id, name


def conversations_named(
    references: Sequence[NamedTicket], messages: Iterable[CanonicalMessage]
) -> dict[Name, UUID]:
    """The conversations of the tickets that these messages name. A name that fits tickets of several
    conversations, as a number that was given twice, fits none. Costs no query without references."""
    if not references:
        return {}
    wanted = {name for message in messages for name in names_in(message, references)}
    if not wanted:
        return {}
    written = {name for _, name in wanted}
    wherever = {reference.endpoint_id for reference in references}
    named = Q(external_id__in=written) | Q(number__in=written)
    columns = ("entity_type_id", "external_id", "number", "conversation_id")
    rows, former = (
        model._default_manager.filter(named, endpoint_id__in=wherever).order_by().values_list(*columns)
        for model in (Participant, ReplacedTicket)
    )
    found: dict[Name, set[UUID]] = {}
    for entity_type_id, external_id, number, conversation_id in rows.union(former):
        for name in wanted & {(entity_type_id, external_id), (entity_type_id, number)}:
            found.setdefault(name, set()).add(conversation_id)
    return {name: next(iter(ones)) for name, ones in found.items() if len(ones) == 1}

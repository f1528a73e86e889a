"""Resync: the last full state that a system told about its ticket is routed again.

It is a new message with the old content, so that it takes its place in the order like any other. What its
system is known to have told of those attributes is forgotten first: then all of them count as changed, and
each target is sent what differs from what we know it has.
"""

from __future__ import annotations

from django.db import transaction

from conversations.ingest import Arrival, store
from conversations.models import Conversation, Message, MessageState, Participant, ReplacedTicket
from endpoints.canonical import Operation
from oneio.wakeup import wake
from routing.changes import Shadow, from_json, to_json

WITHOUT_STATE = (MessageState.RECEIVED, MessageState.FAULTY, MessageState.QUARANTINED, MessageState.TEST)


class CannotResync(Exception):
    """There is nothing to route again, or not now. The text says why and what to do."""


def resync(participant: Participant) -> Message:
    """Route the last full state of this ticket again. Raises CannotResync.

    Locks in the order of the router: conversation, then participant.
    """
    with transaction.atomic():
        Conversation.objects.select_for_update(no_key=True).get(pk=participant.conversation_id)
        participant = Participant.objects.select_for_update(no_key=True, of=("self",)).get(pk=participant.pk)
        last = _last_full_state(participant)
        _forget(participant, last)
        _free_event_id(last)
        message = store(last.endpoint, _arrival(last))
        transaction.on_commit(wake, robust=True)
    return message


def _last_full_state(participant: Participant) -> Message:
    told = Message.objects.filter(endpoint_id=participant.endpoint_id)
    if told.filter(state=MessageState.RECEIVED).exists():
        raise CannotResync(
            f"Messages of {participant.endpoint} wait to be routed, and one of them may be newer than what "
            "would be sent again. Try again in a moment."
        )
    full = told.filter(
        conversation_id=participant.conversation_id, operation__in=[Operation.CREATE, Operation.UPDATE]
    )
    replaced = ReplacedTicket.objects.filter(
        conversation=participant.conversation_id, endpoint=participant.endpoint_id
    )
    full = full.exclude(external_id__in=replaced.values("external_id"))
    last: Message | None = (
        full.exclude(state__in=WITHOUT_STATE).select_related("body", "endpoint").order_by("-id").first()
    )
    if last is None or last.body.raw is None:
        raise CannotResync(
            f"{participant.endpoint} has told nothing that could be sent again: no create or update of this "
            "ticket is kept. Change the ticket there; that sends its state."
        )
    return last


def _forget(participant: Participant, last: Message) -> None:
    """All that the message tells is to be news; what it does not tell stays known."""
    shadow = from_json(participant.shadow)
    told = (last.body.canonical or {}).get("attributes", {})
    known = {name: value for name, value in shadow.known.items() if name not in told}
    codes = {name: code for name, code in shadow.codes.items() if name not in told}
    participant.shadow = to_json(Shadow(known, shadow.written, codes))
    participant.save(update_fields=["shadow"])


def _free_event_id(last: Message) -> None:
    """The same event comes again on purpose: it must not pass for a duplicate of itself."""
    if last.event_id:
        Message.objects.filter(endpoint_id=last.endpoint_id, event_id=last.event_id).update(event_id="")


def _arrival(last: Message) -> Arrival:
    body = last.body
    return Arrival(bytes(body.raw), body.content_type, body.parameters, body.headers)

"""The files that rules had sent to a ticket, and that follow to the new one in its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from conversations import filing
from conversations.models import Attempt, DeliveryState, Message, ReplayRules
from conversations.planning import Planned
from conversations.replay.subject import Effect, Place, Subject
from routing.compiled import RoutingRule
from routing.decision import Part, Route
from routing.files import CarriedFile
from routing.rules import version_of


def along(subject: Subject, creating: Effect, rules: str, own: Collection[Place]) -> list[Effect]:
    """The files that had arrived at the old ticket, oldest first, for the one that `creating` makes; without
    those among the message's `own` effects. Each goes by the rule that had sent it, if that still takes it,
    and if neither the file nor its message has been deleted."""
    rows = [row for row in subject.files_at(creating.target.id) if row.state == DeliveryState.DELIVERED]
    last = {(row.rule_id, row.endpoint_id, row.part): row for row in rows}
    missing = [row for place, row in last.items() if place not in own]
    if not missing:
        return []
    files = {file.key: file for file in filing.earlier(creating.planned.conversation)}
    told = Message.objects.filter(body__emptied_at=None).in_bulk([row.message_id for row in missing])
    luggage = _Luggage(subject, creating, rules, files, told)
    return [effect for row in missing if (effect := luggage.effect(row))]


@dataclass(frozen=True, slots=True)
class _Luggage:
    """What it takes to send the files again: those that are kept, and the messages that had brought them."""

    subject: Subject
    creating: Effect
    rules: str
    files: Mapping[str, CarriedFile]
    messages: Mapping[int, Message]

    def effect(self, row: Any) -> Effect | None:
        """What this delivery did, for the new ticket; None where that cannot be done."""
        message, file = self.messages.get(row.message_id), self.files.get(row.content.snapshot.get("file"))
        rule = self._rule(row)
        if not (message and file and rule and rule.files and rule.files.takes(file)):
            return None
        part, conversation = Part(row.part, file=file), self.creating.planned.conversation
        route = Route(rule, (part,), {})
        planned = Planned(message, conversation, route, part, self.creating.planned.facts)
        target = self.subject.tools.configs.with_entity(row.endpoint_id, rule.target_entity)
        return Effect(planned, target, row.content.snapshot, self.subject.earlier(planned))

    def _rule(self, row: Any) -> RoutingRule | None:
        """The rule that had sent it, in the version that the replay wants."""
        if self.rules == ReplayRules.RAN:
            tries = Attempt.objects.filter(delivery=row.pk, rule_version__isnull=False).order_by("-id")
            version_id = tries.values_list("rule_version_id", flat=True).first()
            return version_of(version_id) if version_id else None
        book = self.subject.tools.book.of(row.environment_id)
        rule = book.by_id.get(row.rule_id)
        if rule is None or rule.target_endpoint_id != row.endpoint_id:
            return None
        now = book.routing.candidates(rule.source_endpoint_id, rule.source_entity)
        return rule if rule in now else None

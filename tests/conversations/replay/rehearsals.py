"""Plans of replays for tests."""

from __future__ import annotations

from typing import Any

from conversations.models import Message, Replay
from conversations.replay import lifecycle
from conversations.replay.assessment import Wishes
from conversations.replay.planning import plan_some
from conversations.replay.running import run_one
from conversations.replay.subject import Tools
from routing.models import RoutingRule, RuleVersion
from tests.conversations.desk import Office

EVERYTHING = {"operations": ["create", "update", "comment"]}


def make_plan(place: Office, *messages: Message, by: Any = None, **fields: Any) -> Replay:
    """A replay of these messages, planned."""
    keys = [message.pk for message in messages]
    replay = lifecycle.create(place.environment, keys, lifecycle.Choice(**fields), by)
    tools = Tools()
    while plan_some(replay.pk, tools):
        pass
    replay.refresh_from_db()
    return replay


def run(replay: Replay, by: Any = None, **wishes: bool) -> Replay:
    """Start a plan and put into the queue what may go there now."""
    lifecycle.start(replay, Wishes(**wishes), by)
    return go_on(replay)


def go_on(replay: Replay) -> Replay:
    """Put into the queue what may go there now."""
    tools = Tools()
    while run_one(replay.pk, tools):
        pass
    replay.refresh_from_db()
    return replay


def findings(replay: Replay) -> list[tuple[str, str]]:
    """Part and finding of each item, in order."""
    return [(item.part, item.finding) for item in replay.items.all()]


def item_states(replay: Replay) -> list[str]:
    """The states of the items, in order."""
    return [item.state for item in replay.items.all()]


def change_rule(rule: RoutingRule, **fields: Any) -> None:
    """Another version of a rule is the current one."""
    old = rule.current_version
    assert old is not None
    version = RuleVersion.objects.get(pk=old.pk)
    version.pk, version.number, version.published_at = None, old.number + 1, None
    for name, value in fields.items():
        setattr(version, name, value)
    version.save()
    for mapping in old.mappings.all():
        mapping.pk, mapping.version = None, version
        mapping.save()
    rule.current_version = version
    rule.save()

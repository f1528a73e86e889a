"""The message queue's question: every filter finds what it names, and none reads the whole table."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.many_messages import Way, analyze, fill
from conversations import feed
from conversations.feed import Visible, Wanted
from conversations.models import DeliveryState, HoldReason, Message, MessageState
from endpoints.models import Endpoint
from oneio.models import Environment
from routing.models import RoutingRule
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_environment,
    make_message,
    make_participant,
    make_rule,
)
from tests.oneio.rows import make_version

pytestmark = pytest.mark.django_db
PAGE = 20
MANY = 20_000


def everything() -> Visible:
    return Visible(Endpoint.objects.all(), RoutingRule.objects.all())


def found(wanted: Wanted, visible: Visible | None = None) -> list[Message]:
    return list(feed.latest(visible or everything(), wanted, PAGE))


class Routed:
    """A message about INC0012 that went to OPS-88, because of a rule with a use case."""

    def __init__(
        self, state: str = DeliveryState.DELIVERED, environment: Environment | None = None, **fields: Any
    ) -> None:
        environment = environment or make_environment()
        self.source, self.target = (
            make_endpoint(environment=environment),
            make_endpoint(environment=environment),
        )
        self.rule = make_rule(environment, use_case="Incidents")
        make_version(self.rule, self.source, self.target)
        conversation = make_conversation(environment)
        make_participant(conversation, self.source, number="INC0012", external_id="abc")
        make_participant(conversation, self.target, number="OPS-88", external_id="10088")
        self.message = make_message(
            self.source,
            state=MessageState.ROUTED,
            conversation=conversation,
            number="INC0012",
            external_id="abc",
            entity_type="incident",
        )
        self.delivery = make_delivery(self.message, self.target, state, rule=self.rule, **fields)


def test_row_carries_deliveries_and_tickets():
    routed = Routed()

    [row] = found(Wanted())

    assert row == routed.message
    assert [(one["id"], one["state"], one["rule"]) for one in row.sent] == [
        (routed.delivery.pk, "delivered", routed.rule.pk)
    ]
    assert {one["number"] for one in row.tickets} == {"INC0012", "OPS-88"}


def test_page_costs_one_query():
    Routed()
    Routed(DeliveryState.HELD, hold_reason=HoldReason.REFUSED)

    with CaptureQueriesContext(connection) as queries:
        rows = found(Wanted())
        assert [row.tickets for row in rows]

    assert len(queries) == 1


@pytest.mark.parametrize("term", ["INC0012", "inc0012", "OPS-88", "abc", "10088"])
def test_ticket_of_any_system_is_found(term):
    routed = Routed()
    make_message(number="INC9999", external_id="xyz", state=MessageState.UNMATCHED)

    assert found(Wanted(term=term)) == [routed.message]


def test_ticket_that_no_rule_took_is_found():
    message = make_message(number="INC9999", external_id="xyz", state=MessageState.UNMATCHED)
    Routed()

    assert found(Wanted(term="xyz")) == found(Wanted(term="inc9999")) == [message]
    assert found(Wanted(term=message.response_id)) == [message]


def test_every_filter_finds_and_leaves_out():
    routed = Routed(DeliveryState.HELD, hold_reason=HoldReason.REFUSED)
    other = Routed()
    fitting = {
        "state": feed.NEEDS,
        "source": routed.source.pk,
        "target": routed.target.pk,
        "rule": routed.rule.pk,
        "environment": routed.message.environment_id,
    }

    for name, value in fitting.items():
        assert found(Wanted(**{name: value})) == [routed.message], name
    assert found(Wanted(**fitting)) == [routed.message]
    assert found(Wanted(**fitting, term="OPS-88")) == [routed.message]
    assert found(Wanted(source=routed.source.pk, target=other.target.pk)) == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("use_case", "Incidents", 1),
        ("use_case", "Changes", 0),
        ("source_entity", "incident", 1),
        ("source_entity", "problem", 0),
        ("target_entity", "incident", 1),
        ("target_entity", "problem", 0),
        ("state", "delivered", 1),
        ("state", "waiting", 0),
        ("state", "routed", 1),
        ("state", "echo", 0),
    ],
)
@pytest.mark.parametrize("term", ["", "OPS-88"])
def test_filter_narrows_with_and_without_a_ticket(term, name, value, number):
    Routed()

    assert len(found(Wanted(term=term, **{name: value}))) == number


def received(ago: timedelta) -> Message:
    """A message whose Response ID says that it came so long ago."""
    milliseconds = int((timezone.now() - ago).timestamp() * 1000)
    return make_message(body={"id": UUID(int=(milliseconds << 80) + (7 << 76) + (2 << 62))})


def test_time_narrows():
    old, new = received(timedelta(hours=3)), received(timedelta(minutes=1))
    hour_ago, later = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)

    assert found(Wanted(since=hour_ago)) == [new]
    assert found(Wanted(until=hour_ago)) == [old]
    assert found(Wanted(until=later)) == [new, old]
    assert found(Wanted(since=later)) == []
    assert found(Wanted(since=hour_ago, term=str(old.body_id))) == []


def test_write_back_is_found_by_the_endpoint_that_got_it():
    routed = Routed()
    make_delivery(routed.message, routed.source, DeliveryState.DELIVERED, rule=routed.rule, part="write_back")

    assert found(Wanted(target=routed.source.pk)) == [routed.message]


def test_pages_follow_each_other_without_gap():
    messages = [Routed().message for _ in range(3)]
    newest_first = messages[::-1]

    assert found(Wanted(before=newest_first[0].pk)) == newest_first[1:]
    assert found(Wanted(before=newest_first[0].pk, state="delivered")) == newest_first[1:]
    assert found(Wanted(before=newest_first[2].pk)) == []


def test_only_what_may_be_seen_is_found():
    mine, other = Routed(), Routed(DeliveryState.HELD, hold_reason=HoldReason.REFUSED)
    visible = Visible(
        Endpoint.objects.filter(environment=mine.message.environment),
        RoutingRule.objects.filter(environment=mine.message.environment),
    )

    for wanted in (Wanted(), Wanted(term="OPS-88"), Wanted(term="abc"), Wanted(use_case="Incidents")):
        assert found(wanted, visible) == [mine.message]
    for wanted in (
        Wanted(term=other.message.response_id),
        Wanted(state=feed.NEEDS),
        Wanted(rule=other.rule.pk),
    ):
        assert found(wanted, visible) == []


def busy_environment() -> list[Way]:
    """Two busy ways and a third that hardly any message takes."""
    environment = make_environment()
    ways = []
    for _ in range(3):
        source, target = make_endpoint(environment=environment), make_endpoint(environment=environment)
        rule = make_rule(environment, use_case="Incidents")
        make_version(rule, source, target)
        ways.append(Way(rule, source, target))
    fill(ways, MANY)
    analyze()
    return ways


def steps(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(step for part in plan.get("Plans", []) for step in steps(part))]


def rows_read(wanted: Wanted) -> int:
    """The most rows that one step of the query's plan has read, those it threw away included."""
    rows = feed.latest(everything(), wanted, PAGE)
    plan = json.loads(rows.explain(format="json", analyze=True))[0]["Plan"]
    thrown = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    return max(
        step["Actual Loops"] * (step["Actual Rows"] + sum(step.get(name, 0) for name in thrown))
        for step in steps(plan)
    )


def test_no_filter_reads_the_whole_table():
    ways = busy_environment()
    rare, busy = ways[-1], ways[0]
    last_hour = Wanted(since=timezone.now() - timedelta(hours=1))
    asked = [
        Wanted(),
        Wanted(before=MANY // 2),
        Wanted(term="INC0000042"),
        Wanted(term="TA-42"),
        Wanted(state=feed.NEEDS),
        *(Wanted(state=state) for state in ("routed", "unmatched", "echo", "test", "quarantined")),
        *(Wanted(state=state) for state in ("delivered", "waiting", "cancelled", "skipped", "verifying")),
        *(Wanted(source=way.source.pk) for way in (rare, busy)),
        *(Wanted(target=way.target.pk) for way in (rare, busy)),
        *(Wanted(rule=way.rule.pk, source=way.source.pk) for way in (rare, busy)),
        Wanted(use_case="Incidents"),
        last_hour,
        replace(last_hour, state=feed.NEEDS),
        replace(last_hour, target=busy.target.pk),
        Wanted(until=timezone.now() - timedelta(days=2)),
    ]

    read = {str(wanted): rows_read(wanted) for wanted in asked}

    assert {wanted: rows for wanted, rows in read.items() if rows > MANY / 20} == {}

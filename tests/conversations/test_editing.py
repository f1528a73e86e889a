"""Editing: a person corrects what a held delivery sends; only that, encrypted, and written down."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from conversations import deliveries
from conversations.admin.editing import EditForm, outgoing_of
from conversations.models import Attempt, Delivery, PayloadView
from conversations.sender import Outgoing
from endpoints.canonical import Value
from routing.models import Mapping, RuleVersion
from tests.conversations.world import Line, make_table, publish, states
from tests.factories import make_delivery
from tests.signed_in import signed_in

Work = Callable[..., None]
TITLE = {"source": "title", "target": "title"}
SYS_ID = "a" * 32
WRITTEN = "Written by a person"


@pytest.fixture
def held(line: Line, work: Work) -> Delivery:
    """A create that Jira refuses, waiting for a person."""
    publish(line.snow, line.jira_endpoint, [TITLE], write_back=False)
    line.jira.fault(method="POST", path="/issue$", status=400, times=1)
    line.incident(SYS_ID)
    work()
    delivery = Delivery.objects.get()
    assert delivery.state == "held"
    return delivery


def url(delivery: Delivery, page: str = "edit") -> str:
    return f"/admin/conversations/delivery/{delivery.pk}/{page}/"


def post(delivery: Delivery, client: Client | None = None, **data: str) -> Any:
    client = client or signed_in("operator", delivery.environment)
    return client.post(url(delivery), {"value-0": WRITTEN, "reason": "Too short", **data})


def test_form_shows_what_the_rule_would_send(held: Delivery) -> None:
    page = signed_in("operator", held.environment).get(url(held)).content.decode()

    assert "Core switch drops uplink" in page
    assert PayloadView.objects.filter(subject="delivery", key=str(held.pk)).exists()


def test_edited_value_is_sent_instead(held: Delivery, line: Line, work: Work) -> None:
    post(held, retry="yes")
    work()

    assert states() == ["delivered"]
    assert line.issue["fields"]["summary"] == WRITTEN


def test_edited_value_is_encrypted_and_not_in_the_history(held: Delivery) -> None:
    post(held)

    with connection.cursor() as cursor:
        cursor.execute("SELECT overrides FROM conversations_deliverycontent")
        stored = bytes(cursor.fetchone()[0])
    assert WRITTEN.encode() not in stored
    assert LogEntry.objects.get().change_message == "Edited title: Too short"
    assert Delivery.objects.get().state == "held"


def test_edit_needs_a_reason(held: Delivery) -> None:
    answer = post(held, reason="")

    assert answer.status_code == 200
    assert Delivery.objects.get().content.overrides is None


def test_rules_own_value_is_no_edit(held: Delivery) -> None:
    post(held)

    post(held, **{"value-0": "Core switch drops uplink"})

    assert Delivery.objects.get().content.overrides is None


@pytest.mark.parametrize("role", ["viewer", ""])
def test_only_operators_who_read_payloads_edit(held: Delivery, role: str) -> None:
    other = held.environment if role else make_delivery().environment

    answer = post(held, signed_in(role or "operator", other))

    assert answer.status_code in {302, 403}
    assert Delivery.objects.get(pk=held.pk).content.overrides is None


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "queued"},
        {"state": "delivered"},
        {"state": "held", "hold_reason": "internal", "in_doubt_since": datetime(2026, 1, 1, tzinfo=UTC)},
        {"state": "held", "hold_reason": "expired"},
        {"state": "held", "hold_reason": "refused", "part": "write_back"},
    ],
    ids=str,
)
@pytest.mark.django_db
def test_what_is_not_certainly_unsent_is_not_edited(fields: dict[str, Any]) -> None:
    delivery = make_delivery(**fields)

    assert not deliveries.edit(delivery, {"title": "x"})

    assert Delivery.objects.get().content.overrides is None


def test_value_that_cannot_be_mapped_may_be_written(line: Line, work: Work) -> None:
    table = make_table(line.snow, {"a": "b"}, unmapped="hold")
    translated = {"kind": "translate", "source": "title", "table": table, "target": "description"}
    publish(line.snow, line.jira_endpoint, [TITLE, translated], write_back=False)
    line.incident(SYS_ID)
    work()
    held = Delivery.objects.get(hold_reason="mapping")
    title, description = outgoing_of(held)
    assert (title.problem, "has no row" in description.problem) == ("", True)

    post(held, **{"value-0": str(title.value), "value-1": WRITTEN, "retry": "yes"})
    work()

    assert line.issue["fields"]["description"] == WRITTEN


def test_update_sends_an_edited_value_that_did_not_move(line: Line, work: Work) -> None:
    publish(line.snow, line.jira_endpoint, [TITLE], write_back=False)
    line.incident(SYS_ID)
    work()
    line.jira.fault(method="PUT", path="/issue/", status=400, times=1)
    line.incident(SYS_ID, "update", short_description="Down")
    work()

    post(Delivery.objects.latest("id"), retry="yes")
    work()

    assert line.issue["fields"]["summary"] == WRITTEN


def publish_next(delivery: Delivery, title: str) -> RuleVersion:
    """Another version of the delivery's rule, which sends that title."""
    first = RuleVersion.objects.get(rule=delivery.rule)
    same = ("environment", "source_endpoint", "source_entity", "target_endpoint", "target_entity")
    fields = {name: getattr(first, name) for name in same}
    version = RuleVersion.objects.create(rule=delivery.rule, number=2, **fields)
    Mapping.objects.create(version=version, position=0, kind="constant", constant=title, target="title")
    RuleVersion.objects.filter(pk=version.pk).update(published_at=Now(), reason="test")
    delivery.rule.current_version = version
    delivery.rule.save()
    return version


def test_retry_as_it_was_uses_the_version_that_ran(held: Delivery, line: Line, work: Work) -> None:
    publish_next(held, "New")

    deliveries.repeat([held])
    work()

    assert set(Attempt.objects.values_list("rule_version__number", flat=True)) == {1}
    assert line.issue["fields"]["summary"] == "Core switch drops uplink"


def test_retry_uses_the_current_version(held: Delivery, line: Line, work: Work) -> None:
    publish_next(held, "New")

    deliveries.retry([held])
    work()

    assert line.issue["fields"]["summary"] == "New"


def test_repeat_of_what_never_ran_uses_the_current_version(held: Delivery) -> None:
    Attempt.objects.all().delete()

    deliveries.repeat([held])

    assert Delivery.objects.get().rule_version is None


@pytest.mark.parametrize(
    ("like", "text", "value"),
    [
        ("a", "b", "b"),
        (None, "b", "b"),
        (3, "4", Decimal(4)),
        (3, "", None),
        (True, "False", False),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-05-01T12:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        (["a"], '["b", "c"]', ["b", "c"]),
    ],
    ids=str,
)
def test_text_becomes_a_value_of_the_same_kind(like: Value, text: str, value: Value) -> None:
    form = EditForm([Outgoing("x", like)], None, {"value-0": text, "reason": "r"})

    assert form.is_valid()
    assert form.overrides() == {"x": value}


@pytest.mark.parametrize(
    ("like", "text"),
    [(3, "three"), (True, "perhaps"), (datetime(2026, 1, 1, tzinfo=UTC), "soon"), (["a"], "[")],
    ids=str,
)
def test_text_of_another_kind_is_refused(like: Value, text: str) -> None:
    form = EditForm([Outgoing("x", like)], None, {"value-0": text, "reason": "r"})

    assert not form.is_valid()
    assert "Write" in form.errors["value-0"][0]


def test_lines_as_browsers_send_them_are_no_edit() -> None:
    form = EditForm([Outgoing("x", "one\ntwo")], None, {"value-0": "one\r\ntwo", "reason": "r"})

    assert form.is_valid()
    assert (form.edited(), form.overrides()) == ([], {})

"""The remote ticket system does what it is asked as often as it is asked, and remembers it."""

from typing import Any

from endpoints.adapters.rest import declaration_from_text
from tests.faults import target
from tests.faults.target import Applied, TicketSystem


def create(system: TicketSystem, key: str = "key", title: str = "A1-000") -> Any:
    return system.carry_out("POST", "/tickets", {"ticket": {"title": title}, "effect_key": key})[1]


def test_every_create_makes_a_ticket() -> None:
    system = TicketSystem()

    first, second = create(system), create(system)

    assert first["id"] != second["id"]
    assert len(system.tickets) == 2


def test_lookup_finds_what_bears_the_key() -> None:
    system = TicketSystem()
    create(system, "one")
    create(system, "other")

    found = system.carry_out("GET", "/tickets?effect_key=other", {})[1]["found"]

    assert [ticket["id"] for ticket in found] == ["T2"]


def test_comment_lookup_finds_the_comment() -> None:
    system = TicketSystem()
    create(system)
    system.carry_out("POST", "/tickets/T1/comments", {"text": "A1-003", "effect_key": "c"})

    found = system.carry_out("GET", "/tickets/T1/comments?effect_key=c", {})[1]["found"]

    assert [comment["id"] for comment in found] == ["T1-C1"]


def test_journal_keeps_the_order() -> None:
    system = TicketSystem()
    create(system)
    system.carry_out("PUT", "/tickets/T1", {"ticket": {"title": "A1-001"}})
    system.carry_out("POST", "/tickets/T1/comments", {"text": "A1-003", "effect_key": "c"})

    assert system.journal == [
        Applied("create", "T1", "A1-000", "key"),
        Applied("update", "T1", "A1-001", ""),
        Applied("comment", "T1", "A1-003", "c"),
    ]
    assert system.titles() == {"T1": "A1-001"}


def test_unknown_ticket_is_not_found() -> None:
    status, _ = TicketSystem().carry_out("PUT", "/tickets/T9", {"ticket": {}})

    assert status.startswith("404")


def test_only_one_declaration_can_be_asked() -> None:
    askable, mute = (declaration_from_text(text).operations.lookup for text in (target.ASKABLE, target.MUTE))

    assert askable is not None
    assert mute is None

"""A document that is wrong says where and why, all at once."""

import pytest

from routing.portable.reading import Unimportable, read
from tests.routing.portable.example import FULL


def refused(text: str) -> list[str]:
    with pytest.raises(Unimportable) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("oneio: 1", "oneio: 2", "oneio: The first line must be 'oneio: 1'"),
        ("use_case", "usecase", "usecase: The key 'usecase' is not known."),
        ("priority: 5", "priority: high", "priority: “high”"),
        ("supersede: true", "supersede: maybe", "supersede: “maybe”"),
        ("[2 - High, High]", "[2 - High]", "tables.Priorities.rows[1]: A row is a pair"),
        ("to: [Network, NOC]", "to: [Network]", "tables.Teams.rows[0]: The row has another number of values"),
        ("only_on: create", "only_on: never", "outgoing[0].only_on: Value 'never'"),
        ("from: servicenow/incident\n    to", "to", "from: The rule takes nothing."),
        ("    delays:\n      - {", "    delays:\n      {", "delays: This must be a list."),
        ("attachments: {max_bytes: 1024}", "attachments: all", "attachments: This must be a mapping"),
    ],
)  # fmt: skip
def test_every_mistake_names_its_place(old: str, new: str, said: str) -> None:
    assert old in FULL

    said_all = [
        sentence.removeprefix("rules.incident-to-jira.") for sentence in refused(FULL.replace(old, new, 1))
    ]
    assert any(sentence.startswith(said) for sentence in said_all)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(refused(FULL.replace("priority: 5", "priority: x").replace("use_case", "usecase"))) == 2


@pytest.mark.parametrize("text", ["", "[]", "5", "rules: 7", "a: [", "rules: {x: 1}"])
def test_what_is_no_document_is_refused(text: str) -> None:
    assert refused(text)


def test_numbers_are_the_text_that_was_written() -> None:
    rule = read(FULL).rules[0]

    assert rule.conditions[1].below[0].fields["values"] == ["1", "2 - High"]

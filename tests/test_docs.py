"""The documentation is true: links lead somewhere, examples work, and tables name what the code has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

from conversations.admin.looks import DELIVERIES, MESSAGES
from conversations.models import (
    DeliveryState,
    HoldReason,
    MessageState,
    Reason,
    ReplayFinding,
    ReplayState,
)
from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import Action, Command, EndpointConfig, EntityConfig, Received, Reference
from endpoints.adapters.jira import JiraAdapter
from endpoints.adapters.rest import RestAdapter, declaration
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import ATTRIBUTES, EntityKind, Operation, Visibility
from endpoints.models import AlertKind
from oneio.state import CHECKOUT, new_keys
from oneio.template_filters import FILTERS
from routing.context import ROOTS
from routing.models import MappingCategory, MappingKind, MissingPolicy, RuleAction, UnmappedPolicy
from routing.operators import OPERATORS
from routing.portable.reading import read as read_configuration

DOCS = CHECKOUT / "docs"
README = CHECKOUT / "README.md"
PAGES = [README, CHECKOUT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
OUR_APPS = frozenset({"oneio", "endpoints", "routing", "conversations"})
KINDS = ("incident", "problem", "request", "change", "task", "configuration_item", "event")
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
OPTION = re.compile(r"--[a-z][a-z-]+")


def text_of(name: str) -> str:
    """A page below docs/."""
    return (DOCS / name).read_text()


def without_code(text: str) -> str:
    """A page without its code, which may look like links, headings and tables."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """What a heading's link is called."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The anchors of a page."""
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where a page leads within the project: file and anchor."""
    for address in LINK.findall(without_code(page.read_text())):
        if not urlsplit(address).scheme:
            path, _, place = address.partition("#")
            yield (page.parent / path).resolve() if path else page, place


def example(page: str, name: str) -> str:
    """The code block that follows the mark of that name."""
    found = re.search(rf"<!-- example: {name} -->\s*```\w*\n(.*?)```", text_of(page), re.DOTALL)
    assert found, f"{page} has no example {name}"
    return found[1]


def section(page: str, heading: str) -> str:
    """What stands between a heading and the next one of its rank or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,3}} |\Z)", text_of(page), re.M | re.S)
    assert found, f"{page} has no section {heading}"
    return found[2]


def tables(text: str) -> list[list[list[str]]]:
    """The rows of each table, without its head, as plain cells."""
    blocks = re.findall(r"^\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    return [
        [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in block.splitlines()]
        for block in blocks
    ]


def table(page: str, heading: str, number: int = 0) -> dict[str, list[str]]:
    """A table of a section: first cell to the others; no first cell may stand twice."""
    rows = tables(section(page, heading))[number]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def endpoint(**settings: str) -> EndpointConfig:
    """An endpoint that exchanges incidents."""
    return EndpointConfig(
        id=1,
        name="Example",
        base_url="https://desk.example.com",
        timezone=ZoneInfo("Europe/Helsinki"),
        settings=settings,
        secrets={},
        entities=(EntityConfig("incident", EntityKind.INCIDENT, "incident"),),
    )


def received(body: str, **parameters: str) -> Received:
    """A message with this JSON body."""
    return Received(json.loads(body), parameters, {}, NOW)


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(CHECKOUT)}: {target.name}#{place}"
        for page in PAGES
        for target, place in links(page)
        if not target.is_file() or (place and place not in anchors(target))
    ]

    assert broken == []


def test_every_page_is_found_from_the_readme() -> None:
    seen, waiting = {README}, [README]

    while waiting:
        new = {target for target, _ in links(waiting.pop()) if target.suffix == ".md"} - seen
        seen |= new
        waiting += new

    assert set(PAGES) - seen == set()


def test_broken_link_and_unknown_anchor_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here it is\n[a](gone.md) [b](#here-it-is) [c](#nowhere)\n```\n[d](code.md)\n```\n")

    found = list(links(page))

    assert found == [(tmp_path / "gone.md", ""), (page, "here-it-is"), (page, "nowhere")]
    assert anchors(page) == {"here-it-is"}


def test_picture_says_what_it_shows() -> None:
    root = ElementTree.fromstring((DOCS / "flow.svg").read_text())
    names = {child.tag.rpartition("}")[2]: child.text for child in root}

    assert len(str(names["desc"])) > 100
    assert "prefers-color-scheme: dark" in str(names["style"])
    assert re.search(r"!\[.{100,}\]\(docs/flow\.svg\)", README.read_text())


def test_settings_named_in_pages_exist() -> None:
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("reference/settings.md"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"ONEIO_[A-Z_]*[A-Z]", page.read_text())}

    assert named - known == set()


def test_rules_page_has_every_operator() -> None:
    found = table("reference/rules.md", "Conditions")

    assert {name: cells[0] for name, cells in found.items()} == {
        operator.name: operator.label for operator in OPERATORS.values()
    }


def test_rules_page_has_every_kind_of_mapping() -> None:
    page = "reference/rules.md"

    assert set(table(page, "Mappings")) == set(MappingCategory.values)
    assert set(table(page, "Mappings", 1)) == set(MappingKind.values)
    assert set(table(page, "Mappings", 2)) == set(MissingPolicy.values)
    assert set(table(page, "Mappings", 3)) == set(UnmappedPolicy.values)
    assert set(table(page, "When a rule takes a message")) == set(RuleAction.values)


def test_rules_page_has_every_path_and_filter() -> None:
    filters = section("reference/rules.md", "Templates").partition("Filters:")[2].partition("\n\n")[0]

    assert set(table("reference/rules.md", "Paths")) == set(ROOTS)
    assert set(re.findall(r"`(\w+)`", filters)) == set(FILTERS)


@pytest.mark.parametrize("kind", EntityKind)
def test_rules_page_has_every_attribute(kind: EntityKind) -> None:
    found = table("reference/rules.md", "Attributes")
    column = KINDS.index(kind)

    documented = {name for name, cells in found.items() if cells[column] == "x"}

    assert documented == {definition.name for definition in ATTRIBUTES[kind]}


def test_states_page_has_every_state() -> None:
    messages = table("reference/states.md", "Messages")
    deliveries = table("reference/states.md", "Deliveries")

    assert set(messages) == set(MessageState.values)
    assert set(deliveries) == set(DeliveryState.values)


def test_states_page_has_every_state_of_replays() -> None:
    found = table("reference/states.md", "Replays")

    assert {name: cells[0] for name, cells in found.items()} == dict(ReplayState.choices)


def test_states_page_uses_the_words_of_the_lists() -> None:
    words = {**table("reference/states.md", "Messages"), **table("reference/states.md", "Deliveries")}
    shown = [(state, look.word) for looks in (MESSAGES, DELIVERIES) for state, look in looks.items()]

    assert [(state, word) for state, word in shown if not words[state][0].startswith(word)] == []


@pytest.mark.parametrize(
    ("heading", "choices"),
    [
        ("Why a delivery waits or was left out", Reason.choices),
        ("Why a delivery is held", HoldReason.choices),
        ("What replaying something would do", ReplayFinding.choices),
        ("Alerts", AlertKind.choices),
    ],
)
def test_states_page_has_every_reason(heading: str, choices: Iterable[tuple[str, str]]) -> None:
    found = table("reference/states.md", heading)

    assert {name: cells[0] for name, cells in found.items()} == dict(choices)


def test_commands_page_has_every_command() -> None:
    headings = set(re.findall(r"^### (\w+)$", text_of("reference/commands.md"), re.MULTILINE))
    ours = {name for name, app in get_commands().items() if app in OUR_APPS}

    assert headings == ours


@pytest.mark.parametrize("name", [name for name, app in get_commands().items() if app in OUR_APPS])
def test_commands_page_has_every_option(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    parser = command.create_parser("manage.py", name)
    common = {*_options(BaseCommand().create_parser("manage.py", name)), "--skip-checks"}

    options = _options(parser) - common

    assert set(OPTION.findall(section("reference/commands.md", name))) == options


def _options(parser: ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def test_commands_page_has_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)

    assert {name.removeprefix("make ") for name in table("reference/commands.md", "make")} == set(targets)


def test_rest_page_has_every_key() -> None:
    words = set(re.findall(r"`([\w]+)`", text_of("how-to/connect-any-rest-system.md")))
    parts = [part for part in vars(declaration).values() if isinstance(part, type) and is_dataclass(part)]

    missing = {f"{part.__name__}.{item.name}" for part in parts for item in fields(part)} - {
        f"{part.__name__}.{word}" for part in parts for word in words
    }

    assert len(parts) > 10
    assert missing == set()


def test_rest_example_reads_its_message() -> None:
    page = "how-to/connect-any-rest-system.md"
    adapter = RestAdapter(endpoint(declaration=example(page, "rest-declaration")))

    message = adapter.read(received(example(page, "rest-message")))

    assert (message.external_id, message.number) == ("4711", "SD-4711")
    assert message.attributes["status"] == "In Progress"
    assert message.effect_key == "k2j4"
    assert message.comments[0].visibility is Visibility.PUBLIC
    assert message.link == "https://desk.example.com/tickets/4711"


def test_rest_example_makes_the_request_shown() -> None:
    page = "how-to/connect-any-rest-system.md"
    config = endpoint(declaration=example(page, "rest-declaration"))
    mapped = {"title": "Mail is down", "status": "New", "priority": "High"}
    partner = Reference("9c57", "INC0010001")

    plan = RestAdapter(config).render(
        Command(Action.CREATE, config.entities[0], "k2j4", attributes=mapped, partner=partner)
    )

    assert plan.steps[0].path == "/api/tickets"
    assert plan.steps[0].body == json.loads(example(page, "rest-create"))


def test_servicenow_example_is_read() -> None:
    body = example("how-to/connect-servicenow.md", "servicenow-payload")

    message = ServiceNowAdapter(endpoint()).read(received(body))

    assert message.operation is Operation.UPDATE
    assert (message.number, message.attributes["status"], message.codes["status"]) == (
        "INC0010001",
        "In Progress",
        "2",
    )
    assert message.attributes["created_at"] == datetime(2025, 11, 21, 8, 0, tzinfo=UTC)
    assert message.comments[0].visibility is Visibility.PUBLIC


def test_jira_address_names_the_issue() -> None:
    [address] = re.findall(r"^https://oneio\S+auth_token=\S+$", text_of("how-to/connect-jira.md"), re.M)
    parameters = dict(parse_qsl(urlsplit(address).query))
    token = parameters.pop("auth_token")
    body = json.dumps({"webhookEvent": "comment_created", "comment": {"id": "1", "body": "Hello"}})

    message = JiraAdapter(endpoint()).read(
        received(body, **{name: {"issue.id": "10001", "issue.key": "OPS-1"}[name] for name in parameters})
    )

    assert token == "PASSWORD"
    assert list(parameters.values()) == ["${issue.id}", "${issue.key}"]
    assert (message.external_id, message.number) == ("10001", "OPS-1")


def test_connecting_pages_name_every_setting_of_the_form() -> None:
    texts = {
        "servicenow": text_of("how-to/connect-servicenow.md"),
        "jira": text_of("how-to/connect-jira.md"),
        "rest": text_of("how-to/connect-any-rest-system.md"),
    }
    said = {kind: re.sub(r"\W+", " ", text).casefold() for kind, text in texts.items()}

    missing = [
        (kind, setting.label)
        for kind, adapter in ADAPTERS.items()
        for setting in adapter.settings
        if re.sub(r"\W+", " ", re.split(", | or ", setting.label)[0]).casefold() not in said[kind]
    ]

    assert missing == []


def test_configuration_example_is_a_document() -> None:
    document = read_configuration(example("how-to/move-configuration.md", "configuration"))

    assert [row.fields["target"] for row in document.rules[0].mappings] == [
        "caller",
        "title",
        "priority",
        "description",
    ]


def test_commands_named_in_pages_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text())}

    assert len(named) > 10
    assert named - set(get_commands()) == set()


@pytest.mark.slow
def test_production_example_passes_the_deploy_check() -> None:
    block = re.search(r"```sh\n(ONEIO_ENV=.*?)```", text_of("how-to/run-in-production.md"), re.DOTALL)
    assert block
    given = dict(line.split("=", 1) for line in block[1].splitlines())
    given.pop("ONEIO_STATE_DIR")
    command = [sys.executable, "manage.py", "check", "--deploy"]

    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=os.environ | given | new_keys(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "security." not in done.stderr

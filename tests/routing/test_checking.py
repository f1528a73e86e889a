"""Checks of the rules in the database: on the rule's page and by command."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from routing import versions
from routing.checking import check_draft, check_environment
from routing.models import Condition, RoutingRule
from tests.conversations.world import publish
from tests.factories import make_endpoint, make_environment
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db


def a_rule(owned: bool = True, **fields: Any) -> RoutingRule:
    """A published rule from ServiceNow to Jira whose mapping misspells its source."""
    environment = make_environment()
    source = make_endpoint("servicenow", environment, name="ServiceNow")
    target = make_endpoint("jira", environment, name="Jira")
    rule = publish(source, target, [{"source": "titel", "target": "title"}], operations=["update"], **fields)
    RoutingRule.objects.filter(pk=rule.pk).update(owner=make_user() if owned else None)
    return rule


def checked(*options: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    out = StringIO()
    try:
        call_command("check_rules", *options, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_adapters_say_what_they_know() -> None:
    rule = a_rule()

    [finding] = check_environment(rule.environment_id)

    assert finding.sentence == "ServiceNow incident has no titel. Is title meant?"


def test_draft_is_checked_in_place_of_its_version() -> None:
    rule = a_rule()
    draft = versions.draft_of(rule)
    draft.mappings.update(source="title")

    assert check_draft(rule) == []
    assert len(check_environment(rule.environment_id)) == 1


def test_version_that_cannot_run_is_an_error() -> None:
    rule = a_rule()
    Condition.objects.create(version=versions.draft_of(rule), path="title", operator="regex", value="(")

    finding = check_draft(rule)[0]

    assert (finding.severity, finding.field) == ("error", "value")


def test_page_shows_what_is_found() -> None:
    rule = a_rule()
    versions.draft_of(rule)

    answer = signed_in().get(f"/admin/routing/routingrule/{rule.pk}/change/")

    assert "Is title meant?" in answer.content.decode()


def test_command_says_warnings_and_succeeds() -> None:
    a_rule()

    code, said = checked("--environment", "production")

    assert (code, said.startswith("WARNING")) == (0, True)


def test_command_fails_on_an_error() -> None:
    rule = a_rule(owned=False)

    code, said = checked("--json")

    first = json.loads(said)[0]
    assert (code, first["severity"], first["field"]) == (1, "error", "owner")
    assert (first["rule"], first["environment"]) == (rule.name, "production")


def test_command_finds_nothing_in_no_rules() -> None:
    assert checked() == (0, "Nothing was found.\n")


def test_command_refuses_an_unknown_organization() -> None:
    with pytest.raises(CommandError, match="no such environment"):
        checked("--organization", "nobody")

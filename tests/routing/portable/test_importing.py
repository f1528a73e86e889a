"""A document comes in as a whole or not at all, and says what it changes."""

from typing import Any

import pytest

from endpoints.models import Endpoint
from oneio.models import Environment
from routing import versions
from routing.models import Condition, RoutingRule, RuleVersion, TranslationTable
from routing.portable import writing
from routing.portable.importing import Options, Report, import_document
from routing.portable.reading import Unimportable, read
from tests.factories import make_endpoint, make_environment
from tests.routing.portable.example import FULL, systems
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def environment() -> Environment:
    made = make_environment()
    systems(made)
    return made


def bring(environment: Environment, text: str = FULL, trial: bool = False, **options: Any) -> Report:
    owner = {"by": make_user()} if options.get("publish") else {}
    return import_document(environment, read(text), Options(**(owner | options)), trial=trial)


def fates(report: Report) -> dict[str, str]:
    return {change.name: change.fate for change in report.changes}


def test_everything_of_a_document_comes_in(environment: Environment) -> None:
    report = bring(environment)

    draft = RuleVersion.objects.get(rule__slug="incident-to-jira")
    assert set(fates(report).values()) == {"new"}
    assert draft.mappings.count() == 4
    assert draft.conditions.filter(group="all").get().parent == draft.conditions.get(group="any")
    assert draft.mappings.get(target="title").conditions.get().value == "New"
    assert (draft.supersede, draft.delays.get().seconds, draft.attachment_mapping.max_bytes) == (
        True,
        60,
        1024,
    )


def test_what_came_in_goes_out_the_same(environment: Environment) -> None:
    bring(environment)
    rule = RoutingRule.objects.get(slug="incident-to-jira")
    written = writing.text(writing.single_rule_document(rule, rule.versions.get()))

    report = bring(environment, written)

    assert set(fates(report).values()) == {"same"}


def test_document_moves_to_another_environment(environment: Environment) -> None:
    bring(environment)
    other = make_environment()

    report = bring(other, writing.text(writing.environment_document(environment)))

    assert fates(report) == {"servicenow": "new", "jira": "new", "Priorities": "new", "Teams": "new",
                             "incident-to-jira": "new"}  # fmt: skip
    assert writing.environment_document(other) == writing.environment_document(environment)


def test_trial_says_all_and_changes_nothing(environment: Environment) -> None:
    report = bring(environment, trial=True)

    assert fates(report)["incident-to-jira"] == "new"
    assert not RoutingRule.objects.exists()
    assert not TranslationTable.objects.exists()


def test_changes_are_told_place_by_place(environment: Environment) -> None:
    bring(environment)
    changed = FULL.replace("[2 - High, High]", "[2 - High, Top]").replace(
        "source: reporter", "source: opened_by"
    )

    report = bring(environment, changed)

    told = [str(one) for change in report.changes for one in change.differences]
    assert told == ["rows › 2 - High: High → Top", "variables › caller › source: reporter → opened_by"]


def test_nothing_comes_in_if_something_cannot(environment: Environment) -> None:
    broken = FULL.replace("to: jira/incident", "to: zendesk/ticket")

    with pytest.raises(Unimportable, match=r"rules\.incident-to-jira\.to: There is no endpoint 'zendesk'"):
        bring(environment, broken)

    assert not TranslationTable.objects.exists()
    assert not RoutingRule.objects.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("servicenow/incident\n    to", "servicenow/problem\n    to", "no entity type 'problem'. Write one"),
        ("table: Priorities", "table: Prio", "There is no table 'Prio'"),
        ("operator: in", "operator: like", "no operator 'like'"),
        ("seconds: 60", "seconds: 0", "time_delay_has_a_time"),
    ],
)  # fmt: skip
def test_what_cannot_be_resolved_is_named(environment: Environment, old: str, new: str, said: str) -> None:
    assert old in FULL

    report = bring(environment, FULL.replace(old, new), trial=True)

    assert said in " ".join(map(str, report.problems))


def test_unknown_owner_leaves_the_rule_without(environment: Environment) -> None:
    report = bring(environment, FULL.replace("use_case:", "owner: nobody\n    use_case:"))

    assert "There is no account 'nobody' here" in report.notes[0]
    assert RoutingRule.objects.get().owner is None


def test_owner_is_found_by_name(environment: Environment) -> None:
    ada = make_user()

    bring(environment, FULL.replace("use_case:", f"owner: {ada.username}\n    use_case:"))

    assert RoutingRule.objects.get().owner == ada


def test_import_can_publish_what_changed(environment: Environment) -> None:
    bring(environment, publish=True, reason="Promoted from QA")

    rule = RoutingRule.objects.get()
    assert rule.current_version is not None
    assert rule.current_version.reason == "Promoted from QA"


ASKING = FULL.replace("use_case: Incidents", "test_before_publish: true")


def test_demand_for_a_test_moves_with_the_rule(environment: Environment) -> None:
    bring(environment, ASKING)
    rule = RoutingRule.objects.get()

    written = writing.text(writing.environment_document(environment))

    assert rule.test_before_publish
    assert "test_before_publish: true" in written


@pytest.mark.parametrize("text", [ASKING, FULL])
def test_import_publishes_nothing_untested_that_asks_for_a_test(environment: Environment, text: str) -> None:
    bring(environment, ASKING)

    with pytest.raises(Unimportable, match="asks for a test before it is published"):
        bring(environment, text.replace("priority: 5", "priority: 6"), publish=True, reason="CHG1")


def test_same_rule_keeps_its_version_and_draft(environment: Environment) -> None:
    bring(environment, publish=True, reason="First")
    rule = RoutingRule.objects.get()
    draft = versions.draft_of(rule)
    Condition.objects.create(version=draft, path="impact", operator="exists")

    report = bring(environment, publish=True, reason="Again")

    assert fates(report)["incident-to-jira"] == "same"
    assert rule.versions.count() == 2
    assert draft.conditions.filter(path="impact", parent=None).exists()


def test_replaced_draft_is_announced(environment: Environment) -> None:
    bring(environment, publish=True, reason="First")
    versions.draft_of(RoutingRule.objects.get())

    report = bring(environment, FULL.replace("priority: 5", "priority: 6"), trial=True)

    assert report.changes[-1].note == "It replaces the draft that this rule has now."


def test_existing_endpoint_stays_unless_overwritten(environment: Environment) -> None:
    text = writing.text(writing.environment_document(environment))
    Endpoint.objects.filter(slug="jira").update(base_url="https://jira.prod.example")

    kept, overwritten = bring(environment, text), bring(environment, text, overwrite_endpoints=True)

    assert fates(kept)["jira"] == "kept"
    assert fates(overwritten) == {"servicenow": "same", "jira": "changed"}
    assert Endpoint.objects.get(slug="jira").base_url != "https://jira.prod.example"


def test_documents_hold_no_secret(environment: Environment) -> None:
    endpoint = make_endpoint(environment=environment)
    endpoint.credentials.secrets = {"password": "geheim-123"}
    endpoint.credentials.save()

    assert "geheim-123" not in writing.text(writing.environment_document(environment))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{api_token: swordfish}", "endpoints.new.settings.api_token: This is a secret"),
        ("[api_token]", "endpoints.new.settings: This has another form"),
    ],
)
def test_secrets_never_become_settings(environment: Environment, settings: str, said: str) -> None:
    text = f"oneio: 1\nendpoints:\n  new: {{name: New, type: jira, settings: {settings}}}"

    with pytest.raises(Unimportable) as refused:
        bring(environment, text)

    assert str(refused.value).startswith(said)
    assert not Endpoint.objects.filter(slug="new").exists()

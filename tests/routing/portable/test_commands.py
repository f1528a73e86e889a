"""Configuration goes to a file and comes from one."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from oneio.models import Environment
from routing.models import RoutingRule
from tests.factories import make_environment
from tests.routing.portable.example import FULL, systems

pytestmark = pytest.mark.django_db


@pytest.fixture
def environment() -> Environment:
    made = make_environment()
    systems(made)
    return made


def run(name: str, environment: Environment, *arguments: str, **options: Any) -> str:
    out = StringIO()
    place = {"environment": environment.kind, "organization": environment.organization.slug}
    call_command(name, *arguments, **place, **options, stdout=out)
    return out.getvalue()


def document(tmp_path: Path, text: str = FULL) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_exported_file_can_be_imported(environment: Environment, tmp_path: Path) -> None:
    run("import_config", environment, document(tmp_path))
    file = tmp_path / "out.yaml"

    run("export_config", environment, output=file)

    said = run("import_config", environment, str(file))
    assert "= Rule incident-to-jira is the same." in said
    assert "All of it is in." in said


def test_one_rule_is_exported_with_its_tables(environment: Environment, tmp_path: Path) -> None:
    run("import_config", environment, document(tmp_path))

    text = run("export_config", environment, rule="incident-to-jira")

    assert "Priorities:" in text
    assert "Teams:" not in text
    assert "base_url" not in text


def test_dry_run_tells_and_changes_nothing(environment: Environment, tmp_path: Path) -> None:
    said = run("import_config", environment, document(tmp_path), dry_run=True)

    assert "+ Rule incident-to-jira is new." in said
    assert "Nothing was changed: this was a dry run." in said
    assert not RoutingRule.objects.exists()


def test_refused_import_says_all_of_it(environment: Environment, tmp_path: Path) -> None:
    broken = FULL.replace("jira/incident", "zendesk/ticket")

    with pytest.raises(CommandError, match=r"no endpoint 'zendesk'(.|\n)*Nothing was changed"):
        run("import_config", environment, document(tmp_path, broken))


def test_publishing_needs_a_reason(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Say why"):
        run("import_config", environment, document(tmp_path), publish=True)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_file_that_cannot_be_read_is_told(environment: Environment, name: str) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        run("import_config", environment, name)


def test_unknown_rule_is_told(environment: Environment) -> None:
    with pytest.raises(CommandError, match="There is no rule nothing"):
        run("export_config", environment, rule="nothing")

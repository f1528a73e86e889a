"""The house rules that no other tool checks: sizes, floors, and a reference that names every setting."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from oneio.state import CHECKOUT

PACKAGES = ("oneio", "endpoints", "routing", "conversations")
FUNCTION_LINES = 60
MODULE_LINES = 500
SETTING = re.compile(r"ONEIO_[A-Z_]*[A-Z]|DATABASE_URL")
REFERENCE = CHECKOUT / "docs" / "reference" / "settings.md"


def modules(*folders: str) -> list[Path]:
    """The Python modules of these folders, migrations left out."""
    found = [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def settings_in(source: str) -> set[str]:
    """The environment variables of ours whose names stand in a module as whole strings."""
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and SETTING.fullmatch(text)}


def documented() -> list[str]:
    """The variables that have a line of their own in the reference, in its order."""
    return re.findall(r"^\| `([A-Z_]+)` \|", REFERENCE.read_text(), re.MULTILINE)


def test_no_function_is_too_long() -> None:
    long = {
        f"{path.relative_to(CHECKOUT)}:{name}": lines
        for path in modules(*PACKAGES)
        for name, lines in functions(path.read_text())
        if lines > FUNCTION_LINES
    }

    assert long == {}


def test_no_module_is_too_long() -> None:
    sizes = {path.relative_to(CHECKOUT): len(path.read_text().splitlines()) for path in modules(*PACKAGES)}

    assert len(sizes) > 100
    assert {str(path): lines for path, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(CHECKOUT))
        for path in modules(*PACKAGES)
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_floors_look_down_only() -> None:
    run = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", run, "--no-logo", "--no-cache"]

    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_every_setting_is_documented_and_nothing_else() -> None:
    read = set().union(*(settings_in(path.read_text()) for path in modules(*PACKAGES, "scripts")))
    read |= settings_in((CHECKOUT / "manage.py").read_text())

    assert len(read) > 20
    assert set(documented()) == read


def test_setting_is_documented_once() -> None:
    assert len(documented()) == len(set(documented()))


def test_long_function_and_undocumented_setting_are_noticed() -> None:
    source = "def page():\n" + "    x = 1\n" * FUNCTION_LINES + "import os\nos.environ.get('ONEIO_NEW')\n"

    assert list(functions(source)) == [("page", FUNCTION_LINES + 1)]
    assert settings_in(source) == {"ONEIO_NEW"}

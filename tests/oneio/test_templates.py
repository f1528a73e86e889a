"""Our pages use only classes that exist: Unfold's stylesheet is built already and ours is written by hand."""

import re
from pathlib import Path

import pytest
import unfold
from django.template.loader import get_template

from oneio.state import CHECKOUT

TEMPLATES = sorted((CHECKOUT / "templates").rglob("*.html"))
PYTHON = sorted(
    path
    for app in ("oneio", "endpoints", "routing", "conversations")
    for path in (CHECKOUT / app).glob("admin/*.py")
)
SCRIPTS = sorted((CHECKOUT / "static/oneio").glob("*.js"))
# Names that mark an element for a script or a font and carry no style of their own.
UNSTYLED = {"material-symbols-outlined"}


def styled() -> set[str]:
    """Every class that a stylesheet of the admin knows."""
    sheets = [
        Path(unfold.__file__).parent / "static/unfold/css/styles.css",
        CHECKOUT / "static/oneio/oneio.css",
    ]
    names: set[str] = set()
    for sheet in sheets:
        for name in re.findall(r"\.((?:\\.|[\w-])+)", sheet.read_text()):
            names.add(re.sub(r"\\(.)", r"\1", name))
    return names


def used(text: str) -> set[str]:
    """The classes that a template, or HTML in Python, names; parts that are filled in are left out."""
    found: set[str] = set()
    for value in re.findall(r'(?<!:)class="([^"]*)"', text):
        without_tags = re.sub(r"{%.*?%}|{{.*?}}", " ", value)
        found |= {name for name in without_tags.split() if "{" not in name}
    return found


@pytest.mark.parametrize("path", [*TEMPLATES, *PYTHON], ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_class_is_styled(path):
    unknown = used(path.read_text()) - styled() - UNSTYLED

    assert not unknown


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_can_be_read(path):
    assert get_template(str(path.relative_to(CHECKOUT / "templates")))


def test_unknown_class_would_be_found():
    assert used('<p class="mb-6 oi-nowhere {% if x %}oi-red{% endif %}">') - styled() == {"oi-nowhere"}


def test_every_class_of_ours_is_used():
    css = (CHECKOUT / "static/oneio/oneio.css").read_text()
    text = "\n".join(path.read_text() for path in [*TEMPLATES, *PYTHON, *SCRIPTS])

    names = set(re.findall(r"\.(oi-[\w-]+)", css))
    made_by_placeholder = re.compile(r"oi-(mark|bar|green|blue|amber|red|grey|production|qa)\b")
    unused = {name for name in names if name not in text and not made_by_placeholder.match(name)}

    assert not unused

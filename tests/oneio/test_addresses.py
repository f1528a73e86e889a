"""Whatever is typed into a search or an address, every list answers, and the palette too."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

import oneio.urls  # noqa: F401 (loads every page)
from tests.conversations.test_feed import Routed
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
TERMS = {
    "NUL": "INC\0",
    "wildcards": "%_\\",
    "quotes": "'\";--",
    "emoji": "🙂",
    "marks": "\u202e\ufeff\u0301",
    "very long": "a" * 5000,
    "huge number": "9" * 40,
    "blank": " \t\n",
}
"""What databases, addresses and pages stumble over."""
OTHERS = (
    "before",
    "ticket",
    "first",
    "endpoint",
    "reason",
    "rule",
    "kind",
    "tab",
    "environment",
    "state",
    "p",
)
"""What addresses of lists say beside what is searched."""
LISTS = ["admin:index", "needs_you", "why", "golden_tickets"]


def lists() -> list[str]:
    """Every list of the admin, and our own."""
    models = (model._meta for model in admin.site._registry)
    named = [f"admin:{one.app_label}_{one.model_name}_changelist" for one in models]
    return [*named, *LISTS]


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS.keys())
def test_every_list_answers_whatever_is_searched(term: str) -> None:
    Routed()
    client = signed_in()

    failed = [
        name for name in lists() if client.get(reverse(name), {"q": term}, follow=True).status_code != 200
    ]

    assert failed == []


@pytest.mark.parametrize("term", [TERMS["NUL"], TERMS["huge number"]], ids=["NUL", "huge number"])
def test_every_list_answers_whatever_its_address_says(term: str) -> None:
    Routed()
    client = signed_in()
    said = dict.fromkeys(OTHERS, term)

    failed = [name for name in lists() if client.get(reverse(name), said, follow=True).status_code != 200]

    assert failed == []


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS.keys())
def test_palette_answers_whatever_is_typed(term: str) -> None:
    Routed()

    answer = signed_in().get("/admin/search/", {"s": term, "extended": "1"})

    assert answer.status_code == 200

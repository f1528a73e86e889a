"""The effect key: one name for one effect, whatever is tried again."""

from typing import Any
from uuid import UUID

import pytest

from conversations.effects import KEY_CHARACTERS, effect_key

RESPONSE, OTHER = (UUID(f"0194c6d2-0000-7000-8000-00000000000{last}") for last in (1, 2))
KEY = effect_key(RESPONSE, 7, 3, "record")


def test_same_effect_has_the_same_key() -> None:
    assert effect_key(str(RESPONSE), 7, 3, "record") == KEY


@pytest.mark.parametrize(
    "other",
    [
        (OTHER, 7, 3, "record"),
        (RESPONSE, 8, 3, "record"),
        (RESPONSE, 7, 4, "record"),
        (RESPONSE, 7, 3, "comment:0"),
        (RESPONSE, 7, 3, "record", 1),
        (RESPONSE, 73, 0, "record"),
    ],
)
def test_another_effect_has_another_key(other: Any) -> None:
    assert effect_key(*other) != KEY


def test_key_fits_where_systems_keep_it() -> None:
    # ServiceNow's correlation_display and a Jira label: short, no space, no capital.
    assert len(KEY) == KEY_CHARACTERS == 26
    assert KEY.isalnum()
    assert KEY.islower()


def test_key_cannot_be_made_without_our_secret(settings: Any) -> None:
    settings.HASH_KEY = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="

    assert effect_key(RESPONSE, 7, 3, "record") != KEY

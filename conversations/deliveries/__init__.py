"""Owns every change of a delivery's state: what a finished try leads to, and what a person decides."""

from conversations.deliveries.conflicts import take
from conversations.deliveries.delayed import wake
from conversations.deliveries.interventions import (
    cancel,
    edit,
    hold,
    is_editable,
    repeat,
    replay,
    retry,
    skip,
)
from conversations.deliveries.results import finish, give_up
from conversations.deliveries.superseding import supersede

__all__ = [
    "cancel",
    "edit",
    "finish",
    "give_up",
    "hold",
    "is_editable",
    "repeat",
    "replay",
    "retry",
    "skip",
    "supersede",
    "take",
    "wake",
]

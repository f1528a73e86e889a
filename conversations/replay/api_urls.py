"""The addresses of replays in the management API."""

from __future__ import annotations

from django.urls import path

from conversations.replay.api import CancelReplay, OneReplay, Replays, RunReplay

PLACE = "<slug:organization>/<slug:environment>/replays"
urlpatterns = [
    path(PLACE, Replays.as_view(), name="manage-replays"),
    path(f"{PLACE}/<uuid:pk>", OneReplay.as_view(), name="manage-replay"),
    path(f"{PLACE}/<uuid:pk>/run", RunReplay.as_view(), name="manage-replay-run"),
    path(f"{PLACE}/<uuid:pk>/cancel", CancelReplay.as_view(), name="manage-replay-cancel"),
]

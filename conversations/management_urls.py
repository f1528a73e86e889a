"""The addresses of the management API that read messages."""

from __future__ import annotations

from django.urls import path

from conversations.management_api import GoldenTicketsView, RuleTestView

_ENVIRONMENT = "<slug:organization>/<slug:environment>"
urlpatterns = [
    path(f"{_ENVIRONMENT}/rules/<slug:rule>/test", RuleTestView.as_view(), name="manage-rule-test"),
    path(f"{_ENVIRONMENT}/golden", GoldenTicketsView.as_view(), name="manage-golden"),
]

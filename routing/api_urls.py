"""The addresses of the management API."""

from __future__ import annotations

from django.urls import path

from routing.api import Configuration

urlpatterns = [
    path("<slug:organization>/<slug:environment>/config", Configuration.as_view(), name="manage-config"),
]

"""The addresses of the inbound API: Production, the same for QA under /qa, and its description."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from conversations.api import Attachments, Messages, MessageState, Nothing
from oneio.models import EnvironmentKind


def addresses(prefix: str, environment: str) -> list[URLPattern]:
    """The documented addresses of one environment."""
    kind = {"environment": environment}
    return [
        path(f"{prefix}api/v1/messages", Messages.as_view(), kind),
        path(f"{prefix}api/v1/messages/<uuid:response_id>", MessageState.as_view(), kind),
        path(f"{prefix}api/v1/attachments", Attachments.as_view(), kind),
    ]


def aliases(prefix: str, environment: str) -> list[URLPattern]:
    """Other spellings of the message address in use; no redirects, which would lose the body."""
    kind = {"environment": environment}
    return [path(f"{prefix}{name}", Messages.as_view(), kind) for name in ("api", "api/", "api/v1/messages/")]


documented = addresses("", EnvironmentKind.PRODUCTION)
urlpatterns = [
    *documented,
    *aliases("", EnvironmentKind.PRODUCTION),
    *addresses("qa/", EnvironmentKind.QA),
    *aliases("qa/", EnvironmentKind.QA),
    path("api/v1/schema", SpectacularAPIView.as_view(patterns=documented), name="receiver-schema"),
    path("api/v1/docs", SpectacularSwaggerView.as_view(url_name="receiver-schema"), name="receiver-docs"),
    re_path(r"^(?:qa/)?api/", Nothing.as_view()),
]

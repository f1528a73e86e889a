"""The roof: which address leads to which page."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("conversations.api_urls")),
    path("admin/", admin.site.urls),
]

"""The roof: which address leads to which page."""

from django.contrib import admin
from django.urls import include, path

from oneio.home.search import search

urlpatterns = [
    path("manage/v1/", include("routing.api_urls")),
    path("", include("conversations.api_urls")),
    path("admin/search/", admin.site.admin_view(search)),  # before Unfold's own, which the menu names
    path("admin/", admin.site.urls),
]

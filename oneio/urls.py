"""The roof: which address leads to which page."""

from django.contrib import admin
from django.urls import include, path

from conversations.admin import golden_pages, needs_you, rule_test, why
from conversations.admin.editor.page import urls as editor_urls
from oneio.admin.switch import choose
from oneio.home.search import search
from oneio.login_page import login

admin.autodiscover()

handler500 = "oneio.error_pages.failed"

urlpatterns = [
    path("manage/v1/", include("routing.api_urls")),
    path("manage/v1/", include("conversations.management_urls")),
    path("manage/v1/", include("conversations.replay.api_urls")),
    path("", include("conversations.api_urls")),
    path("admin/login/", login),  # before Django's own, which pages name
    path("admin/choose-environment/", admin.site.admin_view(choose), name="choose-environment"),
    path("admin/search/", admin.site.admin_view(search)),  # before Unfold's own, which the menu names
    path("admin/needs-you/", needs_you.view, name="needs_you"),
    path("admin/needs-you/plan/", needs_you.plan_view, name="needs_you_plan"),
    path("admin/rules/<int:pk>/test/", rule_test.view, name="routing_rule_test"),
    path("admin/golden/", golden_pages.view, name="golden_tickets"),
    path("admin/golden/save/<int:pk>/", golden_pages.save_view, name="golden_save"),
    path("admin/why/", why.search_view, name="why"),
    path("admin/why/<int:pk>/", why.story_view, name="conversations_message_why"),
    *editor_urls(),
    path("admin/", admin.site.urls),
]

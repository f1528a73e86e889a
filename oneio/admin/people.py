"""Users and groups: accounts that sign in. What they may do is said on each environment's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from guardian.conf.settings import ANONYMOUS_USER_NAME
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from oneio import logins
from oneio.admin.base import note

if TYPE_CHECKING:
    BaseUserAdmin = DjangoUserAdmin[User]

    class UnfoldMixin:
        """Stands for Unfold's look, which has no types."""

else:
    from unfold.admin import ModelAdmin as UnfoldMixin

    BaseUserAdmin = DjangoUserAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(BaseUserAdmin, UnfoldMixin):
    """People who sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Access", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("Seen", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    actions = ["let_in"]
    empty_title = "No user found"
    empty_text = "Users sign in here. Roles are given on the page of each environment."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Everybody but the stand-in for visitors, which nobody may edit."""
        return super().get_queryset(request).exclude(username=ANONYMOUS_USER_NAME)

    @admin.action(description="Let in again after failed logins", permissions=["change"])
    def let_in(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Forget their failed logins: whoever was refused may try again at once."""
        gone = sum(logins.free(user.get_username()) for user in users)
        note(request, list(users), "Let in again after failed logins")
        self.message_user(
            request,
            f"Failed logins forgotten: {gone}. Whoever is still refused shares an address with others who "
            "failed; manage.py free_login --address lets an address in again.",
        )


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, UnfoldMixin):
    """Groups of people."""

    fields = ["name"]
    empty_title = "No group yet"
    empty_text = "A group gathers people. Add one if several share the same duties."

"""What every admin page shares: rows through the one door, permissions from roles, helpful empty lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst

from oneio import access
from oneio.access import Permission
from oneio.admin import changes, switch
from oneio.models import Environment, Organization

if TYPE_CHECKING:
    from django.contrib import admin

    UnfoldAdmin = admin.ModelAdmin[Any]
    UnfoldTabularInline = admin.TabularInline[Any, Any]
    TenantModelForm = ModelForm[Any]
else:
    from unfold.admin import ModelAdmin as UnfoldAdmin
    from unfold.admin import TabularInline as UnfoldTabularInline

    TenantModelForm = ModelForm

TENANT_FIELDS = frozenset({"environment", "organization"})


def allowed(request: HttpRequest, permission: Permission) -> frozenset[int]:
    """The ids of the environments in which the user holds `permission`; asked once per request."""
    known: dict[Permission, frozenset[int]] = request.__dict__.setdefault("_allowed_environments", {})
    if permission not in known:
        rows = access.environments(request.user, permission)
        known[permission] = frozenset(rows.values_list("pk", flat=True))
    return known[permission]


def environment_id_of(row: Any) -> int:
    """The environment that a row lies in, through the row it hangs on where it has none itself."""
    for link in access.path_to_environment(type(row)).split("__")[:-1]:
        row = getattr(row, link)
    return int(row.environment_id)


def may(request: HttpRequest, permission: Permission, row: Any = None) -> bool:
    """Whether the user holds `permission` where `row` lies, or anywhere if no row is given."""
    if row is None:
        return bool(request.user.is_active and request.user.is_superuser) or bool(
            allowed(request, permission)
        )
    environment_id = row.pk if isinstance(row, Environment) else environment_id_of(row)
    return environment_id in allowed(request, permission)


def may_administer(request: HttpRequest) -> bool:
    """Whether the user is an administrator somewhere: for entries of the menu."""
    return may(request, Permission.ADMINISTER)


def note(request: HttpRequest, rows: Sequence[Model], what: str) -> None:
    """Write down who did `what` to these rows; it shows in their history and on Home."""
    if rows:
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, what)  # type: ignore[arg-type]


def decisions_on(row: Model) -> QuerySet[LogEntry]:
    """What people did to this row, latest first. The row itself must have come through the door."""
    kind = ContentType.objects.get_for_model(type(row))
    return LogEntry.objects.filter(content_type=kind, object_id=str(row.pk)).select_related("user")


class RoleMixin:
    """Permissions of an admin class or inline, from the user's roles."""

    to_view: ClassVar[Permission] = Permission.VIEW
    to_change: ClassVar[Permission] = Permission.INTEGRATE

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Shown in menus and searches."""
        return may(request, self.to_view)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """May be read."""
        return may(request, self.to_view, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """May be added."""
        return may(request, self.to_change, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """May be changed."""
        return may(request, self.to_change, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """May be deleted."""
        return may(request, self.to_change, obj)


class ReadOnlyMixin(RoleMixin):
    """Nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class EnvironmentAdmin(RoleMixin, UnfoldAdmin):
    """Rows that lie in an environment. `empty_title` and `empty_text` stand on an empty list."""

    empty_title = "Nothing here yet"
    empty_text = ""
    list_filter_submit = True
    list_per_page = 50
    compressed_fields = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the user may see, through the one door; in a list only of the environment they work in."""
        rows: QuerySet[Any] = access.readable(request.user, self.model, self.to_view)
        environment = switch.chosen(request) if self._lists(request) else None
        if environment is not None:
            rows = rows.filter(**{access.path_to_environment(self.model): environment})
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, which the browser's tab calls by what it lists."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> Any:
        """The columns; without the environment where the bar above names the only one shown."""
        columns: Sequence[Any] = super().get_list_display(request)
        if self._lists(request) and switch.chosen(request):
            return [column for column in columns if column != "environment_name"]
        return columns

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only what lies in environments that the user may change."""
        return super().formfield_for_foreignkey(db_field, request, **offered(db_field, request, kwargs))

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Which fields were changed, for histories and Home."""
        if add:
            return super().construct_change_message(request, form, formsets, add)
        return changes.sentence(form, formsets) or "Saved without a change"

    def _lists(self, request: HttpRequest) -> bool:
        """Whether this shows a list or acts on all it holds; not on rows that were named one by one."""
        if self.model in (Environment, Organization) or request.resolver_match is None:
            return False
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        named = request.method == "POST" and request.POST.get("select_across") != "1"
        return request.resolver_match.url_name == name and not named


class RoleInline(RoleMixin, UnfoldTabularInline):
    """Rows edited on the page of the row they hang on; what that allows, these allow."""

    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the user may see, through the one door."""
        rows: QuerySet[Any] = access.readable(request.user, self.model, self.to_view)
        return rows

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Each field says what it is: in a table the label stands above the column, not beside the field."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs.setdefault("aria-label", str(field.label or db_field.verbose_name))
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only what lies in environments that the user may change."""
        return super().formfield_for_foreignkey(db_field, request, **offered(db_field, request, kwargs))


def offered(db_field: Any, request: HttpRequest, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A choice field's arguments, its rows cut down to those in environments the user may change."""
    model = db_field.remote_field.model
    try:
        access.path_to_environment(model)
    except LookupError:
        if model is not Environment:
            return kwargs
    return {"queryset": access.readable(request.user, model, Permission.INTEGRATE)} | kwargs


class TenantForm(TenantModelForm):
    """Checks the database's constraints beforehand and says what is wrong beside the field.

    `constraint_words` maps a constraint's name to (field, sentence) where Django's own words would not help.
    """

    constraint_words: ClassVar[dict[str, tuple[str, str]]] = {}

    def complete(self) -> None:
        """Set what follows from other fields before constraints are checked: the organization."""
        environment_id = getattr(self.instance, "environment_id", None)
        if environment_id is not None and self.instance.organization_id is None:
            self.instance.organization_id = self.instance.environment.organization_id

    def _post_clean(self) -> None:
        """Django's own words about constraints are replaced by ours."""
        without = partial(self.instance.full_clean, validate_constraints=False)
        self.instance.__dict__["full_clean"] = without
        try:
            super()._post_clean()  # type: ignore[misc]
        finally:
            del self.instance.__dict__["full_clean"]

    def validate_unique(self) -> None:
        """Check every constraint whose fields are known, those of the tenant included."""
        super().validate_unique()
        self.complete()
        exclude = set(self._get_validation_exclusions()) - self._known_fields()  # type: ignore[attr-defined]
        for constraint in self.instance._meta.constraints:
            try:
                constraint.validate(type(self.instance), self.instance, exclude=exclude)
            except ValidationError as error:
                self._say(constraint, error)

    def _known_fields(self) -> set[str]:
        """Fields that are no part of the form but have their value."""
        names = {field.name for field in self.instance._meta.fields if not field.primary_key}
        invalid = set(self.errors or {})
        return names - set(self.fields) - invalid

    def _say(self, constraint: Any, error: ValidationError) -> None:
        field, sentence = self.constraint_words.get(constraint.name, ("", ""))
        fields = [field] if field else list(getattr(constraint, "fields", ()))
        place = next((name for name in fields if name in self.fields), None)
        self.add_error(place, sentence or error.messages)

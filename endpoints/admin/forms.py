"""The endpoint's form: its own fields, and those that its type's adapter declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from endpoints import outbound_secrets
from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import EntityConfig, Setting
from endpoints.admin.receiver import NewPasswordField
from endpoints.models import Endpoint, EntityType, Reference
from oneio.admin.base import TenantForm

STORED = "Stored. Leave empty to keep it."
UNREADABLE = "What is stored cannot be read. Enter it again."
NO_SECRETS = (
    "No secrets can be stored now. {} If that key is lost, whoever runs oneio makes new ones with manage.py"
    " rotate_keys --new-data-keys; then enter the secrets again and save."
)


class CodesField(forms.CharField):
    """HTTP codes as people write them: 409, 422."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        """The list as text."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[int]:
        """The codes as a sorted list of numbers."""
        parts = str(value or "").replace(",", " ").split()
        if not all(part.isdecimal() and 100 <= int(part) <= 599 for part in parts):
            raise forms.ValidationError("Write HTTP codes between 100 and 599, for example 409, 422.")
        return sorted({int(part) for part in parts})

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other codes were written."""
        return super().has_changed(self.prepare_value(initial), data)


class EndpointForm(TenantForm):
    """An endpoint of one type; `kind` and `declared` are set by `form_for`."""

    kind: ClassVar[str]
    declared: ClassVar[tuple[Setting, ...]]
    constraint_words = {
        "endpoint_name_once": (
            "name",
            "Another endpoint of this environment has this name. Choose a different one.",
        ),
        "endpoint_slug_once": (
            "slug",
            "Another endpoint of this environment has this short name. Choose a different one.",
        ),
    }
    base_url = forms.URLField(
        label="Base URL",
        max_length=500,
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget,
        help_text="Where the system is, for example https://acme.service-now.com.",
    )
    success_codes = CodesField(
        label="Codes that mean success",
        required=False,
        help_text="HTTP codes, separated by commas. Leave empty for 200, 201, 202 and 204.",
    )
    unrecoverable_codes = CodesField(
        label="Codes that need a person at once",
        required=False,
        help_text="HTTP codes after which a delivery is not tried again but waits for a person.",
    )
    receiver_password = NewPasswordField(
        label="Password", required=False, help_text="What the system uses to post its tickets to us."
    )

    class Meta:
        model = Endpoint
        fields: ClassVar[list[str]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = outbound_secrets.stored(self.instance) if self.instance.pk else outbound_secrets.Stored()
        self.missing_secrets = {setting.name for setting in self.declared if setting.secret} - stored.names
        self.secrets_are_lost = bool(stored.problem)
        for setting in self.declared:
            field = self.fields.get(field_name(self.kind, setting))
            if field is not None:
                field.initial = (
                    self.instance.settings.get(setting.name, setting.default) if not setting.secret else ""
                )
                if setting.secret and (stored.problem or setting.name in stored.names):
                    field.help_text = f"{setting.help} {UNREADABLE if stored.problem else STORED}"

    @property
    def secret_names(self) -> set[str]:
        """The fields whose values are never written down."""
        secret = {field_name(self.kind, setting) for setting in self.declared if setting.secret}
        return {*secret, "receiver_password"}

    def clean(self) -> dict[str, Any]:
        """Ask for what the type requires, where it applies."""
        cleaned = super().clean() or self.cleaned_data
        for setting in self.declared:
            name = field_name(self.kind, setting)
            if self._is_missing(setting, cleaned) and name not in self.errors:
                self.add_error(name, f"{setting.label} is needed. {setting.help}")
        if self.secrets_are_lost:
            self._ask_for_secrets_again(cleaned)
        return cleaned

    def settings(self) -> dict[str, str]:
        """The settings as entered, defaults for those left empty."""
        given = {
            setting.name: self.cleaned_data.get(field_name(self.kind, setting)) or setting.default
            for setting in self.declared
            if not setting.secret
        }
        return {name: value for name, value in given.items() if value}

    def secrets(self) -> dict[str, str]:
        """The secrets as entered; empty ones are to stay as they are."""
        return {
            setting.name: self.cleaned_data.get(field_name(self.kind, setting), "")
            for setting in self.declared
            if setting.secret
        }

    def _ask_for_secrets_again(self, cleaned: Mapping[str, Any]) -> None:
        """What is entered takes the place of what cannot be read: it must not be nothing by oversight."""
        secret = [setting for setting in self.declared if setting.secret and self._applies(setting, cleaned)]
        names = [field_name(self.kind, setting) for setting in secret]
        if obstacle := outbound_secrets.obstacle(self.instance):
            self.add_error(None, NO_SECRETS.format(obstacle))
        elif names and not any(cleaned.get(name) for name in names):
            self.add_error(names[0], UNREADABLE)

    def _is_missing(self, setting: Setting, cleaned: Mapping[str, Any]) -> bool:
        if not setting.required or not self._applies(setting, cleaned):
            return False
        if cleaned.get(field_name(self.kind, setting)) or setting.default:
            return False
        return not setting.secret or setting.name in self.missing_secrets

    def _applies(self, setting: Setting, cleaned: Mapping[str, Any]) -> bool:
        if setting.only_if is None:
            return True
        other, value = setting.only_if
        return bool(cleaned.get(f"{self.kind}_{other}") == value)


def field_name(kind: str, setting: Setting) -> str:
    """The form field's name of a setting; also a name that Alpine can use."""
    return f"{kind}_{setting.name}"


@cache
def form_for(kind: str) -> type[EndpointForm]:
    """The form of one endpoint type."""
    declared = ADAPTERS[kind].settings if kind in ADAPTERS else ()
    fields = {field_name(kind, setting): _field(setting) for setting in declared}
    return type(f"{kind}EndpointForm", (EndpointForm,), {"kind": kind, "declared": declared, **fields})


def conditional_fields() -> dict[str, str]:
    """For all types: when a field is shown, as an expression over the other fields."""
    return {
        field_name(kind, setting): f"{kind}_{setting.only_if[0]} == '{setting.only_if[1]}'"
        for kind, adapter in ADAPTERS.items()
        for setting in adapter.settings
        if setting.only_if
    }


def _field(setting: Setting) -> forms.Field:
    common: dict[str, Any] = {"label": setting.label, "required": False, "help_text": setting.help}
    if setting.choices:
        return forms.ChoiceField(choices=setting.choices, widget=UnfoldAdminSelectWidget, **common)
    if setting.secret and not setting.multiline:
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        return forms.CharField(widget=widget, strip=False, **common)
    widget_class = UnfoldAdminTextareaWidget if setting.multiline else UnfoldAdminTextInputWidget
    return forms.CharField(widget=widget_class, **common)


class EntityTypeForm(TenantForm):
    """One entity type of an endpoint. Those offered for a new endpoint are saved unless removed."""

    constraint_words = {
        "entity_type_once_per_endpoint": ("name", "This endpoint has an entity type of this name already.")
    }

    class Meta:
        model = EntityType
        fields = ["name", "kind", "remote_name", "resolving_value", "status"]

    def has_changed(self) -> bool:
        """An offered row counts as entered."""
        offered = self.instance.pk is None and bool(self.initial.get("name"))
        return offered or super().has_changed()

    def complete(self) -> None:
        """An entity type lives where its endpoint does."""
        endpoint = self.instance.endpoint
        self.instance.environment_id = endpoint.environment_id
        self.instance.organization_id = endpoint.organization_id


class ReferenceForm(TenantForm):
    """One field in which an endpoint's messages name another system's ticket."""

    constraint_words = {
        "reference_names_another_endpoint": (
            "referenced_entity",
            "A ticket of this endpoint itself is found by its own id. Choose an entity type of another one.",
        ),
        "reference_entity_of_its_endpoint": (
            "referenced_entity",
            "This belongs to another organization or environment. Choose one of this environment.",
        ),
        "reference_once_per_endpoint": ("path", "This field is looked up for this entity type already."),
    }

    class Meta:
        model = Reference
        fields = ["path", "referenced_entity", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields.get("referenced_entity")
        if choice is not None:
            choice.queryset = choice.queryset.select_related("endpoint").order_by("endpoint__name", "name")
            choice.label_from_instance = lambda entity: f"{entity.name} of {entity.endpoint.name}"

    def complete(self) -> None:
        """A reference lives where its endpoint does, and names the endpoint of its entity type."""
        endpoint = self.instance.endpoint
        self.instance.environment_id = endpoint.environment_id
        self.instance.organization_id = endpoint.organization_id
        if self.instance.referenced_entity_id is not None:
            self.instance.referenced_endpoint_id = self.instance.referenced_entity.endpoint_id


def offered_entities(kind: str) -> list[dict[str, str]]:
    """The entity types that a new endpoint of this type begins with."""
    return [_initial(entity) for entity in ADAPTERS[kind].default_entities] if kind in ADAPTERS else []


def _initial(entity: EntityConfig) -> dict[str, str]:
    return {
        "name": entity.name,
        "kind": entity.kind.value,
        "remote_name": entity.remote_name,
        "resolving_value": entity.resolving_value,
        "status": "active",
    }

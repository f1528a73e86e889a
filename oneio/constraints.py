"""Database constraints that Django lacks: foreign keys over several columns, and choices that hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps as installed_apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.backends.ddl_references import Statement, Table


def known(field: str, choices: type[models.TextChoices] | list[str], table: str) -> models.CheckConstraint:
    """The constraint that `field` holds one of its choices; Django itself checks that in forms only."""
    values = choices if isinstance(choices, list) else list(choices.values)
    return models.CheckConstraint(
        condition=models.Q(**{f"{field}__in": values}), name=f"{table}_{field}_is_known"
    )


class CompositeForeignKey(models.BaseConstraint):
    """`fields` of this table must stand together in one row of `to`: a link cannot cross tenants.

    The first field is the link itself; the others are columns that both rows must agree on. The target
    needs a unique constraint over `to_fields`. A NULL in any of the fields switches the check off.
    """

    default_violation_error_message = (
        "This belongs to another organization or environment. Choose one of this environment."
    )

    def __init__(self, *, fields: Sequence[str], to: str, to_fields: Sequence[str], name: str) -> None:
        super().__init__(name=name)
        self.fields, self.to, self.to_fields = tuple(fields), to, tuple(to_fields)

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        # The target's unique constraint may be made later in the same migration: always added at its end.
        schema_editor.deferred_sql.append(self._statement(model, schema_editor))

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        self.create_sql(model, schema_editor)

    def _statement(self, model: Any, schema_editor: Any) -> Statement:
        target = (
            model._meta.apps.get_model(self.to)
            if self._is_known(model)
            else installed_apps.get_model(self.to)
        )
        return Statement(
            "ALTER TABLE %(table)s ADD CONSTRAINT %(name)s FOREIGN KEY (%(columns)s) "
            "REFERENCES %(target)s (%(target_columns)s) DEFERRABLE INITIALLY IMMEDIATE",
            table=Table(model._meta.db_table, schema_editor.quote_name),
            name=schema_editor.quote_name(self.name),
            columns=self._columns(model, self.fields, schema_editor),
            target=schema_editor.quote_name(target._meta.db_table),
            target_columns=self._columns(target, self.to_fields, schema_editor),
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        return Statement(
            "ALTER TABLE %(table)s DROP CONSTRAINT %(name)s",
            table=Table(model._meta.db_table, schema_editor.quote_name),
            name=schema_editor.quote_name(self.name),
        )

    def validate(self, model: Any, instance: Any, exclude: Any = None, using: str = DEFAULT_DB_ALIAS) -> None:
        values = [getattr(instance, model._meta.get_field(name).attname) for name in self.fields]
        if (exclude and set(self.fields) & set(exclude)) or None in values:
            return
        target = installed_apps.get_model(self.to)
        if not target._base_manager.filter(**dict(zip(self.to_fields, values, strict=True))).exists():
            raise ValidationError({self.fields[0]: self.get_violation_error_message()})

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, kwargs | {"fields": self.fields, "to": self.to, "to_fields": self.to_fields}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompositeForeignKey) and self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((self.name, self.fields, self.to, self.to_fields))

    def _is_known(self, model: Any) -> bool:
        try:
            model._meta.apps.get_model(self.to)
        except LookupError:
            return False
        return True

    @staticmethod
    def _columns(model: Any, names: Sequence[str], schema_editor: Any) -> str:
        columns = [schema_editor.quote_name(model._meta.get_field(name).column) for name in names]
        return ", ".join(columns)

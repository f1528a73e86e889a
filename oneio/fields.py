"""Encrypted model fields: sealed when saved, opened when first read, useless to a query."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.query_utils import DeferredAttribute

from oneio.crypto import Place, decrypt, encrypt


class Ciphertext(bytes):
    """A value as the database holds it, not opened yet."""

    def __repr__(self) -> str:
        return f"<encrypted, {len(self)} bytes>"

    __str__ = __repr__


class EncryptedAttribute(DeferredAttribute):
    """Opens the stored value on first access and keeps it on the instance."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = instance.__dict__.get(self.field.attname) if instance is not None else None
        if value is None:
            value = super().__get__(instance, cls)
        if not isinstance(value, Ciphertext):
            return value
        opened = self.field.open(value, instance)  # type: ignore[attr-defined]
        instance.__dict__[self.field.attname] = opened
        return opened

    def __set__(self, instance: Any, value: Any) -> None:
        # Python asks this class before the instance's own dictionary only if it can set, too.
        instance.__dict__[self.field.attname] = value


class EncryptedField(models.BinaryField):  # type: ignore[type-arg]
    """Bytes, encrypted for the row's organization, table, column and primary key.

    The model needs an `organization_id` and a primary key that is known before saving (UUIDv7). Filters,
    ordering, `values()` and `update()` on the field raise FieldError.
    """

    descriptor_class = EncryptedAttribute
    deflates = True

    def to_bytes(self, value: Any) -> bytes:
        """The plaintext bytes of a Python value."""
        return bytes(value)

    def to_value(self, data: bytes) -> Any:
        """The Python value of plaintext bytes."""
        return data

    def open(self, ciphertext: bytes, instance: Any) -> Any:
        """The Python value that `ciphertext` holds for this row. Raises Undecryptable."""
        return self.open_at(ciphertext, instance.organization_id, instance.pk)

    def open_at(self, ciphertext: bytes, organization_id: int, primary_key: object) -> Any:
        """The same for a row that was read without its model."""
        return self.to_value(decrypt(bytes(ciphertext), self._place(organization_id, primary_key)))

    def seal_at(self, value: Any, organization_id: int, primary_key: object) -> Ciphertext:
        """A Python value as the row with this key is to hold it, for rows written without their model."""
        place = self._place(organization_id, primary_key)
        return Ciphertext(encrypt(self.to_bytes(value), place, deflate=self.deflates))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        if value is None or isinstance(value, Ciphertext):
            return value
        row: Any = model_instance
        return self.seal_at(value, row.organization_id, row.pk)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is not None and not isinstance(value, Ciphertext):
            self._refuse("written by a query; save the row instead")
        return super().get_db_prep_value(value, connection, prepared)

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else self._refuse("searched")

    def get_transform(self, lookup_name: str) -> Any:
        self._refuse("searched")

    def _place(self, organization_id: int, primary_key: object) -> Place:
        return Place(organization_id, self.model._meta.db_table, str(self.column), primary_key)

    def _refuse(self, what: str) -> NoReturn:
        raise FieldError(f"{self.model.__name__}.{self.name} is encrypted: it cannot be {what}.")


class EncryptedTextField(EncryptedField):
    """Text, encrypted; it is short or, as a token is, random."""

    deflates = False

    def to_bytes(self, value: Any) -> bytes:
        return str(value).encode()

    def to_value(self, data: bytes) -> str:
        return data.decode()


class EncryptedJSONField(EncryptedField):
    """A JSON document, encrypted; integers keep their digits."""

    def to_bytes(self, value: Any) -> bytes:
        try:
            return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME)
        except TypeError:  # such as an integer of more than 64 bits
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def to_value(self, data: bytes) -> Any:
        return _read_json(data.decode())


# Made once, and told the encoding: `json.loads` of bytes first guesses it.
_read_json = json.JSONDecoder().decode


class EncryptedQuerySet(models.QuerySet[Any]):
    """Refuses to sort by or to hand out encrypted columns as bare values, its own and those behind links."""

    def order_by(self, *field_names: Any) -> Any:
        self._refuse_encrypted(field_names, "sorted by")
        return super().order_by(*field_names)

    def _values(self, *fields: Any, **expressions: Any) -> Any:
        every = [field.name for field in self.model._meta.concrete_fields]
        self._refuse_encrypted(fields or every, "read without its row")
        return super()._values(*fields, **expressions)  # type: ignore[misc]

    def _refuse_encrypted(self, names: Any, what: str) -> None:
        for name in names:
            field = self._field_behind(name) if isinstance(name, str) else None
            if isinstance(field, EncryptedField):
                field._refuse(what)

    def _field_behind(self, name: str) -> Any:
        try:
            path = name.lstrip("-").split(LOOKUP_SEP)
            return self.query.names_to_path(path, self.model._meta)[1]
        except FieldError:
            return None  # an annotation, "?", or a mistake that Django names better

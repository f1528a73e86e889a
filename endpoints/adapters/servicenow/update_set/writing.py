"""Writes records as the XML that ServiceNow imports as a retrieved update set.

The form is that of exports: one `sys_remote_update_set` in the state *loaded*, and for each record one
`sys_update_xml` whose payload is the record's own XML. Ids depend on names only, so that importing a newer
file updates what an older one brought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TypeAlias
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

AUTHOR = "oneio"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(frozen=True, slots=True)
class Link:
    """The value of a reference field."""

    sys_id: str
    shown: str


Fields: TypeAlias = "Mapping[str, str | bool | Link]"
GLOBAL = Link("global", "Global")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `kind` is what an update set calls its type, `name` what people know it by."""

    table: str
    kind: str
    name: str
    fields: Fields = field(default_factory=dict)
    context: str = ""
    """Tells records of one table and name apart, such as the same header of two methods."""

    @property
    def sys_id(self) -> str:
        """32 hex digits, the same in every file."""
        return sys_id(self.table, self.context, self.name)

    @property
    def link(self) -> Link:
        """How other records refer to this one."""
        return Link(self.sys_id, self.name)


def sys_id(*parts: str) -> str:
    """An id that belongs to these names."""
    return blake2b("\0".join(parts).encode(), digest_size=16, person=b"oneio").hexdigest()


def written(name: str, description: str, records: Sequence[Record], now: datetime) -> bytes:
    """The file's content."""
    at = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    root = Element("unload", unload_date=at)
    header = Link(sys_id("sys_remote_update_set", name), name)
    _fill(
        SubElement(root, "sys_remote_update_set", action="INSERT_OR_UPDATE"),
        {
            "application": GLOBAL,
            "application_name": "Global",
            "application_scope": "global",
            "description": description,
            "name": name,
            "remote_sys_id": sys_id("sys_update_set", name),
            "state": "loaded",
            **_audit("sys_remote_update_set", header.sys_id, at),
        },
    )
    for record in records:
        _fill(SubElement(root, "sys_update_xml", action="INSERT_OR_UPDATE"), _update(record, header, at))
    ElementTree.indent(root)
    return f"{HEAD}\n{ElementTree.tostring(root, encoding='unicode')}\n".encode()


def _update(record: Record, header: Link, at: str) -> Fields:
    payload = _payload(record, at)
    name = f"{record.table}_{record.sys_id}"
    return {
        "action": "INSERT_OR_UPDATE",
        "application": GLOBAL,
        "category": "customer",
        "name": name,
        "payload": payload,
        "remote_update_set": header,
        "replace_on_upgrade": False,
        "target_name": record.name,
        "type": record.kind,
        "update_domain": "global",
        "update_guid": sys_id(payload),
        **_audit("sys_update_xml", sys_id("sys_update_xml", name), at),
    }


def _payload(record: Record, at: str) -> str:
    root = Element("record_update", table=record.table)
    _fill(
        SubElement(root, record.table, action="INSERT_OR_UPDATE"),
        {
            **record.fields,
            **_audit(record.table, record.sys_id, at),
            "sys_name": record.name,
            "sys_package": GLOBAL,
            "sys_scope": GLOBAL,
            "sys_update_name": f"{record.table}_{record.sys_id}",
        },
    )
    return HEAD + ElementTree.tostring(root, encoding="unicode")


def _audit(table: str, own_id: str, at: str) -> dict[str, str]:
    return {
        "sys_class_name": table,
        "sys_created_by": AUTHOR,
        "sys_created_on": at,
        "sys_id": own_id,
        "sys_mod_count": "0",
        "sys_updated_by": AUTHOR,
        "sys_updated_on": at,
    }


def _fill(element: Element, fields: Fields) -> None:
    for name, value in sorted(fields.items()):
        if isinstance(value, Link):
            SubElement(element, name, display_value=value.shown).text = value.sys_id
        else:
            SubElement(element, name).text = str(value).lower() if isinstance(value, bool) else value

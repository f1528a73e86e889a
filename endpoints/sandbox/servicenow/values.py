"""Field values on the way in and out: what `sysparm_display_value` and `sysparm_input_display_value` mean."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from endpoints.sandbox.servicenow.query import Record
from endpoints.sandbox.servicenow.records import SYS_ID, Records
from endpoints.sandbox.servicenow.schema import DISPLAY_ZONE, TABLES, TIME_FIELDS, TIME_FORMAT, Table


def is_true(text: str | None) -> bool:
    """Read a boolean parameter; clients write it in any case."""
    return (text or "").strip().lower() == "true"


def display_value(records: Records, table: Table, name: str, value: str) -> str:
    """Return what a person sees of a value."""
    if not value:
        return ""
    if name in table.references:
        return records.display(table, name, value)
    if name in table.choices:
        return table.choices[name].get(value, value)
    return _move(value, UTC, DISPLAY_ZONE) if name in TIME_FIELDS else value


class Renderer:
    """Writes records as one request wants them.

    `display` is "true", "false" or "all"; `fields` the (dot-walked) fields asked for, empty for all of them.
    """

    def __init__(self, records: Records, base_url: str, params: Mapping[str, str]) -> None:
        self._records = records
        self._base_url = base_url
        self._display = params.get("sysparm_display_value", "").strip().lower()
        self._links = not is_true(params.get("sysparm_exclude_reference_link"))
        self._fields = [name.strip() for name in params.get("sysparm_fields", "").split(",") if name.strip()]

    def record(self, table: Table, record: Record) -> dict[str, Any]:
        """Return one record as it goes into `result`."""
        names = self._fields or sorted(table.fields)
        known = [name for name in names if self._records.knows(table.name, name)]
        return {name: self._value(*self._walk(table, record, name)) for name in known}

    def _walk(self, table: Table, record: Record, path: str) -> tuple[Table, str, str]:
        *steps, name = path.split(".")
        value = self._records.value(table.name, record, path)
        for step in steps:
            table = TABLES[table.references[step]]
        return table, name, value

    def _value(self, table: Table, name: str, value: str) -> Any:
        shown = display_value(self._records, table, name, value)
        link = self._link(table, name, value)
        if self._display == "all":
            return {"display_value": shown, "value": value, **link}
        if self._display == "true":
            return {"display_value": shown, **link} if link else shown
        return {**link, "value": value} if link else value

    def _link(self, table: Table, name: str, value: str) -> dict[str, str]:
        if not (self._links and value and name in table.references):
            return {}
        return {"link": f"{self._base_url}/api/now/table/{table.references[name]}/{value}"}


class InputReader:
    """Reads the JSON body of a POST, PUT or PATCH into raw values; unknown fields are ignored."""

    def __init__(self, records: Records, params: Mapping[str, str]) -> None:
        self._records = records
        self._display = is_true(params.get("sysparm_input_display_value"))

    def values(self, table: Table, body: Mapping[str, Any]) -> dict[str, str]:
        """Return the raw values of the fields the table has."""
        return {name: self._raw(table, name, _text(body[name])) for name in table.fields if name in body}

    def _raw(self, table: Table, name: str, text: str) -> str:
        if name in table.references:
            return self._reference(table.references[name], text)
        if not self._display:
            return text
        if name in table.choices:
            return next((value for value, shown in table.choices[name].items() if shown == text), text)
        return _move(text, DISPLAY_ZONE, UTC) if name in TIME_FIELDS else text

    def _reference(self, target: str, text: str) -> str:
        if not text or (SYS_ID.fullmatch(text) and not self._display):
            return text
        display = TABLES[target].display
        names = {text.casefold()}

        def meant(row: Record) -> bool:
            return not names.isdisjoint({row[display].casefold(), row.get("user_name", "").casefold()})

        found = self._records.store.rows(target, meant)
        if found:
            return str(found[0]["sys_id"])
        return text if self._records.store.get(target, text) else ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return _text(value.get("value", value.get("display_value")))
    return "" if value is None else str(value)


def _move(text: str, source: Any, target: Any) -> str:
    try:
        moment = datetime.strptime(text, TIME_FORMAT).replace(tzinfo=source)
    except ValueError:
        return text
    return moment.astimezone(target).strftime(TIME_FORMAT)

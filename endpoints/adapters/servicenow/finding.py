"""Answers a rule's questions from ServiceNow's tables: a user by e-mail, the recent changes of a CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import Question, Step
from endpoints.adapters.exchange import Speaker
from endpoints.adapters.servicenow import fields
from endpoints.adapters.servicenow.lookup import no_list
from endpoints.adapters.servicenow.reading import attributes_of, cell_of, parse_time
from endpoints.adapters.servicenow.rendering import READ_QUERY, TABLE_API
from endpoints.canonical import Attributes, Value
from endpoints.outcomes import Failure, Outcome, Result

_NAMING = ("sys_id", "number")


def find(question: Question, speaker: Speaker) -> Sequence[Attributes] | Outcome:
    """The table's records in which every column equals what is asked for, newest first."""
    columns = {_column(question, name): text for name, text in question.criteria.items()}
    table = question.entity.remote_name if question.entity else question.record
    answer = speaker.ask(
        Step("find", "GET", f"{TABLE_API}/{quote(table, safe='')}", _query(question, columns)),
        complaint=no_list,
    )
    if not answer.confirmed:
        return answer.outcome
    records = [record for record in answer.body["result"] if isinstance(record, Mapping)]
    # ServiceNow drops conditions on columns that it does not know, and then returns any records.
    unknown = [column for column in columns if records and column not in records[0]]
    if unknown:
        return _not_there(table, unknown)
    found = [record for record in records if all(_bears(record, *each) for each in columns.items())]
    return [_answer(question, record) for record in found]


def _query(question: Question, columns: Mapping[str, str]) -> dict[str, str]:
    conditions = [f"{column}={text.replace('^', '^^')}" for column, text in columns.items()]
    return {
        **READ_QUERY,
        "sysparm_query": "^".join([*conditions, "ORDERBYDESCsys_created_on"]),
        "sysparm_limit": str(question.limit),
        "sysparm_fields": ",".join(_wanted(question, columns)),
    }


def _wanted(question: Question, columns: Mapping[str, str]) -> list[str]:
    """The columns to read; none for all. Columns of referenced records come only where they are named."""
    named = [_column(question, name) for name in question.attributes]
    if not named and not any("." in column for column in columns):
        return []
    kind = question.entity.kind if question.entity else None
    usual = named or list(fields.COLUMNS[kind] if kind else ())
    return list(dict.fromkeys([*_NAMING, *usual, *columns]))


def _column(question: Question, name: str) -> str:
    """An attribute's column; `configuration_item.name` walks to the record that it refers to."""
    if question.entity is None:
        return name
    if name == "id":
        return "sys_id"
    first, *further = name.split(".")
    return ".".join([fields.column_of(question.entity.kind, first), *further])


def _bears(record: Mapping[str, Any], column: str, text: str) -> bool:
    cell = cell_of(record[column])
    return text.strip().casefold() in (cell.value.strip().casefold(), cell.display.strip().casefold())


def _answer(question: Question, record: Mapping[str, Any]) -> dict[str, Value]:
    named: dict[str, Value] = {"id": cell_of(record.get("sys_id")).value}
    if number := cell_of(record.get("number")).value:
        named["number"] = number
    if question.entity:
        attributes, codes = attributes_of(question.entity.kind, record)
    else:
        attributes, codes = _columns(record)
    return {**attributes, **named, "codes": dict(codes)}


def _columns(record: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
    """A record of any other table: what people see of each column, and the values behind."""
    cells = {name: cell_of(raw) for name, raw in record.items()}
    shown: dict[str, Value] = {
        name: (parse_time(cell.value) or cell.display) if cell.paired else cell.display
        for name, cell in cells.items()
    }
    return shown, {name: cell.value for name, cell in cells.items() if cell.value != cell.display}


def _not_there(table: str, columns: Sequence[str]) -> Outcome:
    detail = (
        f"ServiceNow's table {table} shows no {', '.join(columns)}. Correct the lookup's criteria or rights."
    )
    return Outcome(Result.REJECTED, Failure.CONFIGURATION, code="unknown_column", detail=detail)

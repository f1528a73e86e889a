"""ServiceNow's encoded queries: text in, a filter and an order out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Record = dict[str, str]
Predicate = Callable[[Record], bool]

_SEPARATOR = re.compile(r"(?<!\^)\^(?!\^)")
_CONDITION = re.compile(
    r"(?P<field>[a-z0-9_]+(?:\.[a-z0-9_]+)*)"
    r"(?P<operator>NOT IN|DOES NOT CONTAIN|NOT LIKE|STARTSWITH|ENDSWITH|CONTAINS|ISNOTEMPTY|ISEMPTY|"
    r"ANYTHING|LIKE|IN|!=|>=|<=|=|>|<)(?P<value>.*)",
    re.DOTALL,
)
_JOIN = re.compile(
    r"JOIN(?P<table>\w+)\.(?P<field>\w+)=(?P<other>\w+)\.(?P<other_field>\w+)!(?P<rest>.*)", re.DOTALL
)
_RELATED = re.compile(
    r"RLQUERY(?P<table>\w+)\.(?P<field>\w+),(?P<compare>>=|<=|!=|=|>|<)?(?P<count>\d*)(?:,m2m)?"
)


class Reader(Protocol):
    """What a query needs to know about the data."""

    def knows(self, table: str, path: str) -> bool:
        """Say whether a table has a field; `path` may walk over references."""

    def value(self, table: str, record: Record, path: str) -> str:
        """Return the value at a path, empty when a reference leads nowhere."""

    def rows(self, table: str) -> list[Record]:
        """Return all records of a table."""


@dataclass
class Query:
    """A parsed query: `groups` are alternatives; each is a list of predicates that must all hold."""

    groups: list[list[Predicate]]
    order: list[tuple[str, bool]] = field(default_factory=list)

    def accepts(self, record: Record) -> bool:
        """Say whether the record is asked for."""
        return any(all(predicate(record) for predicate in group) for group in self.groups)


def parse(text: str, table: str, reader: Reader) -> Query:
    """Read an encoded query; conditions on unknown fields are dropped, as ServiceNow does."""
    order: list[tuple[str, bool]] = []
    groups = [
        _Parser(table, reader, order).group(_SEPARATOR.split(alternative))
        for alternative in text.split("^NQ")
    ]
    return Query(groups, order)


def sort(records: Sequence[Record], query: Query, table: str, reader: Reader) -> list[Record]:
    """Return the records in the order the query asks for."""
    result = list(records)
    for path, descending in reversed(query.order):
        result.sort(key=lambda record: _sort_key(reader.value(table, record, path)), reverse=descending)
    return result


class _Parser:
    """Reads the terms of one alternative."""

    def __init__(self, table: str, reader: Reader, order: list[tuple[str, bool]]) -> None:
        self._table = table
        self._reader = reader
        self._order = order

    def group(self, terms: list[str]) -> list[Predicate]:
        predicates: list[list[Predicate]] = []
        while terms:
            term = terms.pop(0)
            if term.startswith("ORDERBY"):
                self._add_order(term)
            elif term.startswith(("JOIN", "RLQUERY")):
                predicates.append([self._sub_query(term, terms)])
            elif predicate := self._condition(term.removeprefix("OR")):
                if term.startswith("OR") and predicates:
                    predicates[-1].append(predicate)
                else:
                    predicates.append([predicate])
        return [_any_of(each) for each in predicates]

    def _add_order(self, term: str) -> None:
        descending = term.startswith("ORDERBYDESC")
        path = term.removeprefix("ORDERBYDESC" if descending else "ORDERBY")
        if self._reader.knows(self._table, path):
            self._order.append((path, descending))

    def _condition(self, term: str) -> Predicate | None:
        match = _CONDITION.fullmatch(term.replace("^^", "^"))
        if not match or not self._reader.knows(self._table, match["field"]):
            return None
        path, wanted, holds = match["field"], match["value"], OPERATORS[match["operator"]]
        return lambda record: holds(self._reader.value(self._table, record, path), wanted)

    def _sub_query(self, term: str, terms: list[str]) -> Predicate:
        if match := _JOIN.fullmatch(term):
            return self._join(
                match, [match["rest"], *_take_until(terms, ("ORDERBY", "JOIN", "RLQUERY", "EQ"))]
            )
        inner = _take_until(terms, ("ENDRLQUERY",))
        del terms[:1]
        match = _RELATED.fullmatch(term)
        return self._related(match, inner) if match else lambda record: True

    def _join(self, match: re.Match[str], terms: list[str]) -> Predicate:
        holds = _all_of(_Parser(match["other"], self._reader, []).group(terms))
        keys = {row.get(match["other_field"], "") for row in self._reader.rows(match["other"]) if holds(row)}
        return lambda record: bool(record.get(match["field"])) and record[match["field"]] in keys

    def _related(self, match: re.Match[str], terms: list[str]) -> Predicate:
        holds = _all_of(_Parser(match["table"], self._reader, []).group(terms))
        rows = [row for row in self._reader.rows(match["table"]) if holds(row)]
        compare = COUNT_COMPARISONS[match["compare"] or "="]

        def enough(record: Record) -> bool:
            count = sum(row.get(match["field"]) == record["sys_id"] for row in rows)
            return compare(count, int(match["count"] or 0))

        return enough


def _take_until(terms: list[str], ends: tuple[str, ...]) -> list[str]:
    taken = []
    while terms and not terms[0].startswith(ends):
        taken.append(terms.pop(0))
    return taken


def _any_of(predicates: list[Predicate]) -> Predicate:
    return lambda record: any(predicate(record) for predicate in predicates)


def _all_of(predicates: list[Predicate]) -> Predicate:
    return lambda record: all(predicate(record) for predicate in predicates)


def _sort_key(value: str) -> tuple[int, float, str]:
    try:
        return (0, float(value), "")
    except ValueError:
        return (1, 0.0, value.casefold())


def _same(value: str, wanted: str) -> bool:
    return value.casefold() == wanted.casefold()


def _contains(value: str, wanted: str) -> bool:
    return wanted.casefold() in value.casefold()


def _one_of(value: str, wanted: str) -> bool:
    return any(_same(value, each.strip()) for each in wanted.split(","))


def _less(value: str, wanted: str) -> bool:
    return bool(value) and _sort_key(value) < _sort_key(wanted)


def _more(value: str, wanted: str) -> bool:
    return bool(value) and _sort_key(value) > _sort_key(wanted)


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": _same,
    "!=": lambda value, wanted: not _same(value, wanted),
    ">": _more,
    ">=": lambda value, wanted: _more(value, wanted) or _same(value, wanted),
    "<": _less,
    "<=": lambda value, wanted: _less(value, wanted) or _same(value, wanted),
    "IN": _one_of,
    "NOT IN": lambda value, wanted: not _one_of(value, wanted),
    "STARTSWITH": lambda value, wanted: value.casefold().startswith(wanted.casefold()),
    "ENDSWITH": lambda value, wanted: value.casefold().endswith(wanted.casefold()),
    "LIKE": _contains,
    "CONTAINS": _contains,
    "NOT LIKE": lambda value, wanted: not _contains(value, wanted),
    "DOES NOT CONTAIN": lambda value, wanted: not _contains(value, wanted),
    "ISEMPTY": lambda value, wanted: not value,
    "ISNOTEMPTY": lambda value, wanted: bool(value),
    "ANYTHING": lambda value, wanted: True,
}
COUNT_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "=": lambda count, wanted: count == wanted,
    "!=": lambda count, wanted: count != wanted,
    ">": lambda count, wanted: count > wanted,
    ">=": lambda count, wanted: count >= wanted,
    "<": lambda count, wanted: count < wanted,
    "<=": lambda count, wanted: count <= wanted,
}

"""Records of the simulated ServiceNow and what the platform does by itself when one is written."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from endpoints.sandbox.app import Refused
from endpoints.sandbox.servicenow.query import Query, Record, parse, sort
from endpoints.sandbox.servicenow.schema import JOURNAL_FIELDS, SYSTEM_FIELDS, TABLES, TIME_FORMAT, Table
from endpoints.sandbox.servicenow.seeds import seed_records
from endpoints.sandbox.store import Store

SYS_ID = re.compile(r"[0-9A-Za-z]{32}")
ATTACHMENT_CONTENT = "sys_attachment_content"
FIRST_NUMBER = 10001
# Journal text is read in sys_journal_field; the fields themselves stay empty but present.
UNSTORED_FIELDS = frozenset({*JOURNAL_FIELDS, "comments_and_work_notes"})


@dataclass
class Written:
    """What one insert or update did, for business rules."""

    table: Table
    operation: str
    actor: str
    record: Record
    before: Record
    changes: list[str]
    journal: list[Record] = field(default_factory=list)


BeforeRule = Callable[[Written], None]
AfterRule = Callable[[Written], None]


def api_error(status: int, message: str, detail: str | None) -> Refused:
    """Return a refusal in ServiceNow's form."""
    return Refused(status, {"error": {"message": message, "detail": detail}, "status": "failure"})


def no_record() -> Refused:
    """Return the refusal for a record that does not exist."""
    detail = "Record doesn't exist or ACL restricts the record retrieval"
    return api_error(404, "No Record found", detail)


def table_named(name: str) -> Table:
    """Return a table's description; raises Refused 400 for an unknown one."""
    if name not in TABLES:
        raise api_error(400, f"Invalid table {name}", None)
    return TABLES[name]


def now() -> str:
    """Return the present in UTC as ServiceNow writes it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


class Records:
    """Reads and writes records.

    `before` rules may refuse a write, `after` rules react to it in the same transaction.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.before: list[BeforeRule] = []
        self.after: list[AfterRule] = []

    def seed(self) -> None:
        """Fill a new instance with people, groups and configuration items."""
        with self.store.transaction():
            for table in TABLES.values():
                if not self.store.keys(table.name):
                    for values in seed_records(table.name):
                        self.insert(table, values, "system")

    def get(self, table: Table, sys_id: str) -> Record:
        """Return one record; raises Refused 404."""
        record: Record | None = self.store.get(table.name, sys_id)
        if record is None:
            raise no_record()
        return record

    def find(self, table: Table, query: Query) -> list[Record]:
        """Return the records a query accepts, in its order."""
        return sort(self.store.rows(table.name, query.accepts), query, table.name, self)

    def parse(self, table: Table, text: str) -> Query:
        """Read an encoded query for a table."""
        return parse(text, table.name, self)

    def insert(self, table: Table, values: Mapping[str, str], actor: str) -> Record:
        """Create a record from raw values; raises Refused when the sys_id exists or a rule forbids it."""
        with self.store.transaction():
            record = self._new_record(table, values, actor)
            if self.store.get(table.name, record["sys_id"]):
                raise api_error(403, "Operation Failed", f"Unique Key violation detected in {table.name}")
            _work_out(table, {}, record, actor, self)
            changes = [name for name in table.fields if record[name] and name not in SYSTEM_FIELDS]
            written = Written(table, "insert", actor, record, {}, changes)
            return self._write(written, values)

    def update(self, table: Table, sys_id: str, values: Mapping[str, str], actor: str) -> Record:
        """Change a record; nothing happens when no value differs and no journal text is given."""
        with self.store.transaction():
            before = self.get(table, sys_id)
            record = before | {name: text for name, text in values.items() if _settable(table, name)}
            _work_out(table, before, record, actor, self)
            changes = [name for name in table.fields if record[name] != before[name]]
            if not changes and not _journal_texts(values):
                return before
            record |= {"sys_updated_on": now(), "sys_updated_by": actor}
            record["sys_mod_count"] = str(int(before["sys_mod_count"]) + 1)
            return self._write(Written(table, "update", actor, record, before, changes), values)

    def delete(self, table: Table, sys_id: str) -> None:
        """Remove a record and its attachments; raises Refused 404."""
        with self.store.transaction():
            self.get(table, sys_id)
            for attachment in self.attachments(table.name, sys_id):
                self.store.delete("sys_attachment", attachment["sys_id"])
                self.store.delete(ATTACHMENT_CONTENT, attachment["sys_id"])
            self.store.delete(table.name, sys_id)
            self.store.delete(ATTACHMENT_CONTENT, sys_id)

    def journal(self, sys_id: str) -> list[Record]:
        """Return the comments and work notes of a record, oldest first."""
        return self.store.rows("sys_journal_field", lambda entry: entry["element_id"] == sys_id)

    def attachments(self, table: str, sys_id: str) -> list[Record]:
        """Return the attachments of a record, oldest first."""
        return self.store.rows(
            "sys_attachment", lambda file: (file["table_name"], file["table_sys_id"]) == (table, sys_id)
        )

    def user_id(self, user_name: str) -> str:
        """Return the sys_id of a user, empty when there is none."""
        users = self.store.rows("sys_user", lambda user: user["user_name"] == user_name)
        return users[0]["sys_id"] if users else ""

    def display(self, table: Table, name: str, value: str) -> str:
        """Return what people see of a reference: the display value of the record it leads to."""
        target = TABLES[table.references[name]]
        record = self.store.get(target.name, value)
        return record[target.display] if record else ""

    def knows(self, table: str, path: str) -> bool:
        """Say whether a field exists; part of what a query needs."""
        name, _, rest = path.partition(".")
        if table not in TABLES or name not in TABLES[table].fields:
            return False
        return not rest or (
            name in TABLES[table].references and self.knows(TABLES[table].references[name], rest)
        )

    def value(self, table: str, record: Record, path: str) -> str:
        """Return the value at a path; part of what a query needs."""
        name, _, rest = path.partition(".")
        if not rest:
            return record.get(name, "")
        target = TABLES[table].references[name]
        referred = self.store.get(target, record.get(name, ""))
        return self.value(target, referred, rest) if referred else ""

    def rows(self, table: str) -> list[Record]:
        """Return all records of a table; part of what a query needs."""
        return self.store.rows(table)

    def _new_record(self, table: Table, values: Mapping[str, str], actor: str) -> Record:
        record = {**dict.fromkeys(table.fields, ""), **table.defaults}
        record |= {name: text for name, text in values.items() if _settable(table, name)}
        given = values.get("sys_id", "")
        record["sys_id"] = given if SYS_ID.fullmatch(given) else uuid.uuid4().hex
        record |= {"sys_class_name": table.name, "sys_domain": "global", "sys_mod_count": "0"}
        record |= {"sys_created_on": now(), "sys_created_by": actor, "sys_updated_by": actor}
        record["sys_updated_on"] = record["sys_created_on"]
        if table.is_task:
            record["number"] = record["number"] or self._next_number(table)
            record["opened_at"] = record["opened_at"] or record["sys_created_on"]
            record["opened_by"] = self.user_id(actor)
        return record

    def _next_number(self, table: Table) -> str:
        return f"{table.prefix}{self.store.next_number(table.name, FIRST_NUMBER):07d}"

    def _write(self, written: Written, values: Mapping[str, str]) -> Record:
        for rule in self.before:
            rule(written)
        table, record = written.table, written.record
        self.store.put(table.name, record["sys_id"], record)
        for element, text in _journal_texts(values).items():
            written.journal.append(self._add_journal(written, element, text))
        for rule in self.after:
            rule(written)
        return record

    def _add_journal(self, written: Written, element: str, text: str) -> Record:
        table = TABLES["sys_journal_field"]
        entry = dict.fromkeys(table.fields, "")
        entry |= {"sys_id": uuid.uuid4().hex, "element": element, "value": text, "name": written.table.name}
        entry |= {"element_id": written.record["sys_id"], "sys_mod_count": "0", "sys_domain": "global"}
        entry |= {"sys_created_by": written.actor, "sys_created_on": now(), "sys_class_name": table.name}
        entry |= {"sys_updated_by": written.actor, "sys_updated_on": entry["sys_created_on"]}
        self.store.put(table.name, entry["sys_id"], entry)
        return entry


def _settable(table: Table, name: str) -> bool:
    known = name in table.own_fields and name not in UNSTORED_FIELDS
    return known and not (table.is_task and name == "opened_by")


def _journal_texts(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name] for name in JOURNAL_FIELDS if values.get(name)}


def _work_out(table: Table, before: Record, record: Record, actor: str, records: Records) -> None:
    """Set what follows from other fields: priority, active, times and people of resolving and closing."""
    if not table.is_task:
        return
    if table.priority_lookup:
        record["priority"] = priority(record["impact"], record["urgency"])
    if record["state"] == before.get("state"):
        return
    record["active"] = "false" if record["state"] in table.closed_states else "true"
    if "incident_state" in record:
        record["incident_state"] = record["state"]
    person = {"at": now(), "by": records.user_id(actor)}
    if table.resolved_state:
        resolved = record["state"] == table.resolved_state
        _stamp(record, "resolved", person if resolved else None, keep=record["state"] in table.closed_states)
    _stamp(record, "closed", person if record["state"] in table.closed_states else None, keep=False)


def _stamp(record: Record, event: str, person: dict[str, str] | None, keep: bool) -> None:
    for part in ("at", "by"):
        name = f"{event}_{part}"
        if person:
            record[name] = record[name] or person[part]
        elif not keep:
            record[name] = ""


def priority(impact: str, urgency: str) -> str:
    """Return the priority ServiceNow looks up for impact and urgency; empty or odd values count as low."""
    total = sum(int(level) if level in {"1", "2", "3"} else 3 for level in (impact, urgency))
    return str(total - 1)

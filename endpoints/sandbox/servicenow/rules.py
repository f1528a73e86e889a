"""Business rules: post tickets and attachments to the receiver, and refuse writes where told to."""

import re
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response, route
from endpoints.sandbox.outbox import Address, Outbox
from endpoints.sandbox.servicenow.access import INTEGRATION_USER, SETTINGS
from endpoints.sandbox.servicenow.query import Record
from endpoints.sandbox.servicenow.records import ATTACHMENT_CONTENT, Records, Written, api_error
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.servicenow.values import display_value
from endpoints.sandbox.store import Store

CHANNEL = "receiver"
DEFAULT_RULES: dict[str, Any] = {
    "tables": {"incident": "", "problem": "", "change_request": "", "sc_req_item": ""},
    "abort": [],
}
_API_BASE = re.compile(r"https?://[^/]+(?:/[^/]+)*?/api(?=/|$)")


class Receiver:
    """Where business rules post to; can be changed while the system runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start_with(self, address: Address) -> None:
        """Use the address given at the start unless that same one was replaced while running."""
        given = vars(address) | {}
        if address.url and self._store.get(SETTINGS, "receiver_at_start") != given:
            self._store.put(SETTINGS, "receiver_at_start", given)
            self.set(address)

    def set(self, address: Address) -> None:
        """Post to this address from now on, also what still waits."""
        self._store.put(SETTINGS, "receiver", dict(vars(address)))

    def get(self) -> Address | None:
        """Return the address, None when none is set."""
        found = self._store.get(SETTINGS, "receiver")
        return Address(**found) if found and found["url"] else None

    def resolve(self, channel: str, suffix: str) -> Address | None:
        """Return where to send a post; a suffix is taken from the receiver's API base."""
        address = self.get()
        if address is None or not suffix:
            return address
        return Address(api_base(address.url) + suffix, address.user, address.password)


def api_base(url: str) -> str:
    """Return a receiver URL up to and including `/api`; all of it when it has no such part."""
    match = _API_BASE.match(url)
    return match[0] if match else url.rstrip("/")


class BusinessRules:
    """Reacts to what is written; every post is kept in the transaction of the write that caused it."""

    def __init__(self, records: Records, outbox: Outbox, receiver: Receiver, instance: str) -> None:
        self._records = records
        self._outbox = outbox
        self._receiver = receiver
        self._instance = instance

    def before(self, written: Written) -> None:
        """Refuse a write that an abort rule names; raises Refused 403."""
        for rule in self._settings["abort"]:
            named = rule.get("table") == written.table.name
            if named and self._meets(written, rule.get("query", "")):
                raise api_error(403, "Operation Failed", rule.get("message", "Aborted by a business rule"))

    def after(self, written: Written) -> None:
        """Post the ticket, and its attachments so far once the partner's ticket is known."""
        condition = self._settings["tables"].get(written.table.name)
        if condition is None or self._receiver.get() is None:
            return
        if written.actor != INTEGRATION_USER and self._meets(written, condition):
            self._post_ticket(written)
        if written.record["correlation_id"] and not written.before.get("correlation_id"):
            for file in self._records.attachments(written.table.name, written.record["sys_id"]):
                self._post_attachment(file)

    def attachment_added(self, file: Record) -> None:
        """Post an attachment added to a ticket whose partner is known."""
        if file["table_name"] not in self._settings["tables"] or self._receiver.get() is None:
            return
        ticket = self._records.get(TABLES[file["table_name"]], file["table_sys_id"])
        if ticket["correlation_id"]:
            self._post_attachment(file)

    @route("/_sandbox/receiver", methods=["GET", "PUT"])
    def control_receiver(self, request: Request) -> Response:
        """Show (without password) or set the receiver's address."""
        if request.method == "PUT":
            given = request.get_json(force=True)
            self._receiver.set(Address(*(str(given.get(name, "")) for name in ("url", "user", "password"))))
            self._outbox.retry_now()
        address = self._receiver.get() or Address("")
        return json_response({"url": address.url, "user": address.user})

    @route("/_sandbox/rules", methods=["GET", "PUT"])
    def control_rules(self, request: Request) -> Response:
        """Show or set `tables` (table → condition as encoded query) and `abort` (table, query, message)."""
        if request.method == "PUT":
            self._records.store.put(SETTINGS, "rules", DEFAULT_RULES | request.get_json(force=True))
        return json_response(self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        return self._records.store.get(SETTINGS, "rules") or DEFAULT_RULES

    def _meets(self, written: Written, condition: str) -> bool:
        return self._records.parse(written.table, condition).accepts(written.record)

    def _post_ticket(self, written: Written) -> None:
        record = written.record
        table, sys_id = written.table.name, record["sys_id"]
        key = f"{table}:{sys_id}:{record['sys_mod_count']}"
        self._outbox.post(
            CHANNEL, "", self._body(written), {"Idempotency-Key": key}, about=f"{table}:{sys_id}"
        )

    def _body(self, written: Written) -> dict[str, Any]:
        record = written.record
        copied = (
            "sys_id number correlation_id correlation_display sys_updated_by sys_updated_on sys_mod_count"
        )
        comment = ("sys_id", "element", "value", "sys_created_by", "sys_created_on")
        return {
            "entity_type": written.table.name,
            "operation": written.operation,
            "instance": self._instance,
            **{name: record[name] for name in copied.split()},
            "record": {name: self._both(written, name) for name in written.table.fields},
            "changes": written.changes,
            "comments": [{name: entry[name] for name in comment} for entry in written.journal],
            "attachments": [],
        }

    def _both(self, written: Written, name: str) -> dict[str, str]:
        value = written.record[name]
        return {"value": value, "display_value": display_value(self._records, written.table, name, value)}

    def _post_attachment(self, file: Record) -> None:
        if file["sys_created_by"] == INTEGRATION_USER:
            return
        where = {"entity_type": file["table_name"], "external_id": file["table_sys_id"]}
        self._outbox.post(
            CHANNEL,
            f"/v1/attachments?{urlencode({**where, 'file_name': file['file_name']})}",
            headers={"Content-Type": file["content_type"], "Idempotency-Key": f"attachment:{file['sys_id']}"},
            about=f"{file['table_name']}:{file['table_sys_id']}",
            content=(ATTACHMENT_CONTENT, file["sys_id"]),
        )

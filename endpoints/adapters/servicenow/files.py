"""Files of ServiceNow records, over the Attachment API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import Command, OutgoingFile, Plan, Step, Unrenderable, Upload
from endpoints.adapters.exchange import Exchange, Speaker
from endpoints.adapters.servicenow.lookup import CLOCK_MARGIN, no_list
from endpoints.adapters.servicenow.reading import cell_of, parse_time
from endpoints.adapters.servicenow.rendering import target_of
from endpoints.canonical import Attachment
from endpoints.outcomes import Found, Outcome, RemoteItem

ATTACHMENT_API = "/api/now/attachment"


def render(command: Command) -> Plan:
    """One upload. Raises Unrenderable."""
    file, target = file_of(command), target_of(command)
    query = {
        "table_name": command.entity.remote_name,
        "table_sys_id": target.external_id,
        "file_name": file.name,
    }
    step = Step("attach", "POST", f"{ATTACHMENT_API}/file", query, upload=Upload(file))
    return Plan(command, (step,), repeatable=False)


def file_of(command: Command) -> OutgoingFile:
    """The file that the command carries. Raises Unrenderable."""
    if command.file is None:
        raise Unrenderable("There is no file to attach. Skip this delivery.")
    return command.file


def item_of(answer: Exchange) -> tuple[RemoteItem, ...]:
    """What was made: some releases name it in the Location only."""
    record = answer.body.get("result") if isinstance(answer.body, Mapping) else None
    sys_id = cell_of(record.get("sys_id")).value if isinstance(record, Mapping) else ""
    if not sys_id:
        *_, sys_id, _ = ["", "", *answer.headers.get("Location", "").split("/")]
    return (RemoteItem("attachment", sys_id),) if sys_id else ()


def find(
    command: Command, since: datetime, speaker: Speaker
) -> tuple[Found, Exchange, tuple[RemoteItem, ...]]:
    """The file of this name and size on the record, made since then."""
    file, target = file_of(command), target_of(command)
    query = {
        "table_name": command.entity.remote_name,
        "table_sys_id": target.external_id,
        "file_name": file.name,
        "sysparm_limit": "1000",
    }
    answer = speaker.ask(Step("verify", "GET", ATTACHMENT_API, query), complaint=no_list)
    if not answer.confirmed:
        return Found.FAILED, answer, ()
    for record in answer.body["result"]:
        if isinstance(record, Mapping) and _is_it(record, file, since):
            return Found.YES, answer, (RemoteItem("attachment", cell_of(record.get("sys_id")).value),)
    return Found.NO, answer, ()


def download(
    file: Attachment, speaker: Speaker, take: Callable[[Iterator[bytes]], None], longest: int
) -> Outcome:
    """The bytes of an attachment by its sys_id; the address in the message is not needed."""
    path = f"{ATTACHMENT_API}/{quote(file.id, safe='')}/file"
    return speaker.take_file(Step("download", "GET", path, headers={"Accept": "*/*"}), take, longest)


def _is_it(record: Mapping[str, Any], file: OutgoingFile, since: datetime) -> bool:
    made = parse_time(cell_of(record.get("sys_created_on")).value)
    return (
        cell_of(record.get("file_name")).value == file.name
        and cell_of(record.get("size_bytes")).value == str(file.size)
        and (made is None or made >= since - CLOCK_MARGIN)
    )

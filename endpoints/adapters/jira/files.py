"""Files of Jira issues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from endpoints.adapters.base import Command, EndpointConfig, OutgoingFile, Plan, Step, Unrenderable, Upload
from endpoints.adapters.exchange import Exchange, Speaker
from endpoints.adapters.jira.fields import parse_time
from endpoints.adapters.jira.lookup import CLOCK_MARGIN
from endpoints.adapters.jira.options import Options
from endpoints.adapters.jira.rendering import target_of
from endpoints.canonical import Attachment
from endpoints.outcomes import Found, Outcome, RemoteItem


def render(options: Options, command: Command) -> Plan:
    """One upload. Raises Unrenderable."""
    path = f"{options.api}/issue/{quote(target_of(command).external_id, safe='')}/attachments"
    headers = {"X-Atlassian-Token": "no-check"}
    step = Step("attach", "POST", path, headers=headers, upload=Upload(_file_of(command), "file"))
    return Plan(command, (step,), repeatable=False)


def items_of(body: Any) -> tuple[RemoteItem, ...]:
    """What was made."""
    made = [item for item in body if isinstance(item, Mapping)] if isinstance(body, list) else []
    return tuple(RemoteItem("attachment", str(item["id"])) for item in made if item.get("id"))


def no_file(body: Any) -> str | None:
    """Complains about an answer to an upload that names nothing."""
    return None if items_of(body) else "Jira answered without the id of the file."


def find(
    options: Options, command: Command, since: datetime, speaker: Speaker
) -> tuple[Found, Exchange, tuple[RemoteItem, ...]]:
    """The file of this name and size on the issue, made since then."""
    path = f"{options.api}/issue/{quote(target_of(command).external_id, safe='')}"
    answer = speaker.ask(Step("verify", "GET", path, {"fields": "attachment"}), complaint=_no_files)
    if not answer.confirmed:
        return Found.FAILED, answer, ()
    present = answer.body["fields"].get("attachment") or []
    found = [one for one in present if isinstance(one, Mapping) and _is_it(one, _file_of(command), since)]
    return (Found.YES, answer, items_of(found[:1])) if found else (Found.NO, answer, ())


def download(
    endpoint: EndpointConfig,
    options: Options,
    file: Attachment,
    speaker: Speaker,
    take: Callable[[Iterator[bytes]], None],
    longest: int,
) -> Outcome:
    """The bytes of an attachment: in the cloud by its id and without a redirect to another host, elsewhere
    at the address in the message, if it is this Jira's own."""
    step = Step(
        "download",
        "GET",
        f"{options.api}/attachment/content/{quote(file.id, safe='')}",
        {"redirect": "false"},
        {"Accept": "*/*"},
    )
    address, base = urlsplit(file.url), urlsplit(endpoint.base_url)
    if not options.cloud and (address.scheme, address.netloc) == (base.scheme, base.netloc):
        own = address.path.removeprefix(base.path.rstrip("/"))
        step = Step("download", "GET", own, headers={"Accept": "*/*"})
    return speaker.take_file(step, take, longest)


def _file_of(command: Command) -> OutgoingFile:
    if command.file is None:
        raise Unrenderable("There is no file to attach. Skip this delivery.")
    return command.file


def _is_it(item: Mapping[str, Any], file: OutgoingFile, since: datetime) -> bool:
    made = parse_time(item.get("created"))
    return (
        item.get("filename") == file.name
        and item.get("size") == file.size
        and (made is None or made >= since - CLOCK_MARGIN)
    )


def _no_files(body: Any) -> str | None:
    fields = body.get("fields") if isinstance(body, Mapping) else None
    return None if isinstance(fields, Mapping) else "Jira answered without the issue."

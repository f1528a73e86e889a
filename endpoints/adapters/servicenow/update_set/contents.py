"""The records that make a ServiceNow instance post its tickets and files to a receiver of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files

from endpoints.adapters.base import EndpointConfig, Package, Receiver
from endpoints.adapters.servicenow.reading import sample
from endpoints.adapters.servicenow.update_set.writing import Fields, Record, written

NAME = "oneio"
DESCRIPTION = "REST message, script include and business rules that post tickets and files to oneio."
TICKET_ORDER = "1000"
NOT_BY_US = "gs.getUserName() != gs.getProperty('oneio.integration_user', 'oneio')"


def update_set(endpoint: EndpointConfig, receiver: Receiver, now: datetime) -> Package:
    """The update set for an instance with this endpoint's tables and integration user. It holds no secret."""
    content = written(NAME, DESCRIPTION, [*_records(endpoint, receiver)], now)
    return Package("oneio-update-set.xml", "application/xml", content)


def _records(endpoint: EndpointConfig, receiver: Receiver) -> Iterator[Record]:
    yield Record(
        "sys_properties",
        "System Property",
        "oneio.integration_user",
        {
            "name": "oneio.integration_user",
            "description": "User ID as which oneio logs in. What this user writes is not sent back to oneio.",
            "suffix": "integration_user",
            "type": "string",
            "value": str(endpoint.settings.get("username") or NAME),
        },
    )
    yield from _rest_message(endpoint, receiver)
    yield Record(
        "sys_script_include",
        "Script Include",
        "OneioClient",
        {
            "access": "package_private",
            "active": True,
            "api_name": "global.OneioClient",
            "client_callable": False,
            "description": "Posts tickets and files to oneio. Business rules call it.",
            "name": "OneioClient",
            "script": _script("client.js"),
        },
    )
    for entity in endpoint.entities:
        if entity.active:
            yield _ticket_rule(entity.remote_name)
    yield _file_rule()


def _rest_message(endpoint: EndpointConfig, receiver: Receiver) -> Iterator[Record]:
    profile = Record(
        "sys_auth_profile_basic",
        "Basic Auth Configuration",
        "oneio receiver",
        {"name": "oneio receiver", "password": "", "username": receiver.username},
    )
    message = Record(
        "sys_rest_message",
        "REST Message",
        NAME,
        {
            "access": "package_private",
            "authentication_type": "basic",
            "basic_auth_profile": profile.link,
            "description": DESCRIPTION,
            "name": NAME,
            "rest_endpoint": receiver.messages,
            "use_basic_auth": False,
            "use_mutual_auth": False,
        },
    )
    yield profile
    yield message
    test = json.dumps(sample(endpoint))
    yield from _method(message, "Post ticket", receiver.messages, "application/json")
    yield from _method(message, "Test", receiver.test, "application/json", test)
    yield from _method(message, "Post file", receiver.files)


def _method(
    message: Record, name: str, address: str, content_type: str = "", content: str = ""
) -> Iterator[Record]:
    method = Record(
        "sys_rest_message_fn",
        "HTTP Method",
        name,
        {
            "authentication_type": "inherit_from_parent",
            "content": content,
            "function_name": name,
            "http_method": "post",
            "lock": False,
            "qualified_name": f"{message.name} [ {name} ]",
            "rest_endpoint": address,
            "rest_message": message.link,
            "use_basic_auth": False,
            "use_mutual_auth": False,
        },
        context=message.name,
    )
    yield method
    if content_type:
        header: Fields = {"name": "Content-Type", "rest_message_function": method.link, "value": content_type}
        yield Record("sys_rest_message_fn_headers", "HTTP Headers", "Content-Type", header, context=name)


def _ticket_rule(table: str) -> Record:
    """It comes switched off: which tickets leave the company is for its owner to say."""
    return _business_rule(
        f"oneio: post {table}",
        table,
        "ticket_rule.js",
        {
            "action_update": True,
            "active": False,
            "condition": NOT_BY_US,
            "description": "Say under Filter conditions which tickets take part, then tick Active.",
            "order": TICKET_ORDER,
            "when": "after",
        },
    )


def _file_rule() -> Record:
    return _business_rule(
        "oneio: post files",
        "sys_attachment",
        "file_rule.js",
        {
            "action_update": False,
            "active": True,
            "condition": "",
            "description": "Posts new files of the tickets that the active rules “oneio: post …” send.",
            "order": "100",
            "when": "async",
        },
    )


def _business_rule(name: str, table: str, script: str, fields: Fields) -> Record:
    return Record(
        "sys_script",
        "Business Rule",
        name,
        {
            "abort_action": False,
            "access": "package_private",
            "action_delete": False,
            "action_insert": True,
            "action_query": False,
            "add_message": False,
            "advanced": True,
            "change_fields": False,
            "client_callable": False,
            "collection": table,
            "execute_function": False,
            "filter_condition": "",
            "is_rest": False,
            "name": name,
            "priority": "100",
            "script": _script(script),
            "sys_domain": "global",
            "sys_domain_path": "/",
            **fields,
        },
    )


def _script(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")

"""The simulated systems by name, each imported only when it is wanted."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from endpoints.sandbox.app import SandboxApp
from endpoints.sandbox.store import Store

SYSTEMS = {
    "servicenow": "endpoints.sandbox.servicenow",
    "jira": "endpoints.sandbox.jira",
}


@dataclass(frozen=True)
class Options:
    """What a system is started with; its `create_app(store, options)` takes these.

    `receiver_*`: where it posts its events and how it logs in there; empty means nowhere yet. `password` and
    `client_secret`: what the integration user and the OAuth client log in with here; empty means the default.
    `verify`: CA file the receiver's certificate is checked with, or True for the usual ones.
    """

    receiver_url: str = ""
    receiver_user: str = ""
    receiver_password: str = ""
    password: str = ""
    client_secret: str = ""
    verify: bool | str = True


def create_app(system: str, store: Store, options: Options) -> SandboxApp:
    """Build the application of a system named in SYSTEMS; raises KeyError for others."""
    return cast(SandboxApp, import_module(SYSTEMS[system]).create_app(store, options))

"""What the parts of the simulated Jira share: issues, kind of deployment, own address, settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from endpoints.sandbox.jira.fields import Asking
from endpoints.sandbox.jira.tracker import LONGEST_INDEX_LAG, Tracker

DEFAULTS: dict[str, Any] = {"index_lag": 0, "automation": False}


class BadSettingError(ValueError):
    """A setting that does not exist or a value out of range; the text says which."""


@dataclass(frozen=True)
class Deployment:
    """One Jira; `server` is true for Server and Data Center, `address` gives the URL people reach it at."""

    tracker: Tracker
    server: bool
    address: Callable[[], str]

    @property
    def name(self) -> str:
        """What serverInfo calls the kind of deployment."""
        return "Server" if self.server else "Cloud"

    @property
    def settings(self) -> dict[str, Any]:
        """`index_lag`: seconds by which search is behind; `automation`: whether the automation rule runs."""
        return DEFAULTS | (self.tracker.store.get("settings", "settings") or {})

    @property
    def index_lag(self) -> float:
        """Seconds by which search is behind."""
        return float(self.settings["index_lag"])

    def change_settings(self, changes: Any) -> None:
        """Set some settings; raises BadSettingError."""
        if not isinstance(changes, dict) or changes.keys() - DEFAULTS.keys():
            raise BadSettingError(f"Give an object with some of {sorted(DEFAULTS)}.")
        settings = self.settings | changes
        lag = settings["index_lag"]
        if isinstance(lag, bool) or not isinstance(lag, int | float) or not 0 <= lag <= LONGEST_INDEX_LAG:
            raise BadSettingError(f"index_lag is a number of seconds from 0 to {LONGEST_INDEX_LAG:.0f}.")
        if not isinstance(settings["automation"], bool):
            raise BadSettingError("automation is true or false.")
        self.tracker.store.put("settings", "settings", settings)

    def asking(self, version: int) -> Asking:
        """Return what checks of field values depend on."""
        return Asking(version, self.server, self.tracker.find_id)

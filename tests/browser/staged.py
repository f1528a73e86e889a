"""A running demo with a full desk (see `stage`), and a person signed in to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext

from oneio.state import CHECKOUT
from tests.journey.installation import PLACE, Installation, installation
from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class Staged:
    """Where it runs, the administrator's password, and where each work page is by its name."""

    url: str
    password: str
    pages: dict[str, str]

    def stranger(self, browser: Browser, **options: object) -> BrowserContext:
        """A window in which nobody is signed in."""
        context = browser.new_context(base_url=self.url, timezone_id="Europe/Helsinki", **options)
        context.set_default_timeout(PATIENCE * 1000)
        return context

    def window(self, browser: Browser, **options: object) -> BrowserContext:
        """A window in which the administrator is signed in and Production is chosen."""
        context = self.stranger(browser, **options)
        page = context.new_page()
        page.goto("/admin/login/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", self.password)
        with page.expect_navigation():
            page.click("[type=submit]")
        with page.expect_navigation():
            page.get_by_role("button", name="Production", exact=True).click()
        page.close()
        return context


@contextmanager
def staged() -> Iterator[Staged]:
    """Start the demo from a fresh state folder, set the desk up, and delete everything after."""
    with installation() as place:
        place.start()
        yield set_up(place)


def set_up(place: Installation) -> Staged:
    """Bring every situation about in a demo that runs."""
    places = dict(PLACE.findall(place.output))
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.stage", places["ServiceNow"], places["Jira"]],
        cwd=CHECKOUT,
        env=os.environ | {"ONEIO_STATE_DIR": str(place.state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    passwords = json.loads((place.state / "demo" / "passwords.json").read_text())
    return Staged(places["oneio"], passwords["administrator"], json.loads(done.stdout))

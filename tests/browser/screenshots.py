"""Takes the pictures of docs/screenshots from a running demo with a full desk.

Usage: python -m tests.browser.screenshots [NAME]...   (without names: all of them)
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

import django
from playwright.sync_api import Browser, Page, sync_playwright

from oneio.state import CHECKOUT
from tests.browser.pictures import picture

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
django.setup()

from tests.browser.staged import Staged, staged  # noqa: E402 (Django is ready only now)

FOLDER = CHECKOUT / "docs" / "screenshots"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
IN_DARK = ("home", "messages", "conversation", "mapping-editor")
ON_PHONE = ("home", "needs-you", "messages", "conversation")
LOGIN = {"login": "/admin/login/"}
PRESSED = {"rule-test": "Test"}
"""The button of a page that leads to what is to be seen."""


@dataclass(frozen=True, slots=True)
class Look:
    """How pages are looked at, and which; no names: all."""

    suffix: str = ""
    theme: str = "light"
    size: dict[str, int] = field(default_factory=lambda: DESK)
    names: tuple[str, ...] = ()
    signed_in: bool = True


LOOKS = (
    Look(),
    Look("-dark", "dark", DESK, IN_DARK),
    Look("-phone", "light", PHONE, ON_PHONE),
    Look(signed_in=False),
)


def take(stage: Staged, browser: Browser, folder: Path, wanted: list[str]) -> Iterator[Path]:
    """Write each picture and name its file."""
    reducer = browser.new_page()
    for look in LOOKS:
        opened = stage.window if look.signed_in else stage.stranger
        context = opened(browser, viewport=look.size, color_scheme=look.theme)
        page = context.new_page()
        for name, address in (stage.pages if look.signed_in else LOGIN).items():
            file = folder / f"{name}{look.suffix}.png"
            if (look.names and name not in look.names) or (wanted and file.stem not in wanted):
                continue
            settle(page, address)
            if name in PRESSED:
                page.get_by_role("button", name=PRESSED[name], exact=True).click()
                page.wait_for_timeout(900)
            file.write_bytes(picture(page, reducer))
            yield file
        context.close()


def settle(page: Page, address: str) -> None:
    """Open a page and wait until it has drawn itself."""
    page.goto(address)
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(900)


def main(wanted: list[str]) -> int:
    """Start, look at every page, and say what was written."""
    path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if path is None:
        print("The pictures need Chromium: apt-get install -y chromium")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with staged() as stage, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for file in take(stage, browser, FOLDER, wanted):
            print(f"{file.relative_to(CHECKOUT)}  {file.stat().st_size // 1024} KB", flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

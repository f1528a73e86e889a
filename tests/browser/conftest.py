"""A real browser on a real server. Playwright's loop runs in the test's thread, beside Django's database."""

from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.patience import PATIENCE
from tests.signed_in import make_user

expect.set_options(timeout=PATIENCE * 1000)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if path is None:
        pytest.fail("The browser tests need Chromium: apt-get install -y chromium")
    # Playwright's loop runs for as long as the browser lives, also while the database is cleaned.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def theme() -> str:
    """What the person's system prefers; a test may say otherwise."""
    return "light"


@pytest.fixture
def context(browser: Browser, live_server, theme: str) -> Iterator[BrowserContext]:
    """A window; a script error in any page fails the test."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=theme, base_url=live_server.url
    )
    context.set_default_timeout(PATIENCE * 1000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert not errors


@pytest.fixture
def page(context: BrowserContext, transactional_db: None) -> Page:
    """Signed in as a superuser."""
    user = make_user(is_superuser=True)
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", user.username)
    page.fill("#id_password", "correct horse")
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")
    return page

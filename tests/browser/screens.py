"""What tests in a browser share: Chromium, a served bench, alice's page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import Bench
from playwright.sync_api import Browser, Page
from test_session import KEYS

from service import store
from service.web.session import login_url

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


@contextmanager
def opened(
    browser: Browser, site: Bench, size: str = "desktop", scheme: Any = "light"
) -> Iterator[Page]:
    """alice's page, signed in; ends with a look at the console for what the policy forbade."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    with site.db.read() as tx:
        key = store.accounts.keys(tx, site.account.id)[0]
    url = site.wiring.settings.public_url
    page.goto(login_url(url, KEYS, key.id, site.clock()))
    yield page
    context.close()

    # Chromium itself tells of every answer that is an error; those are meant.
    assert [] == [text for text in told if "Failed to load resource" not in text]


def url_of(site: Bench, path: str) -> str:
    """The whole address of a page."""
    return site.wiring.settings.public_url + path

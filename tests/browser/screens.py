"""What tests in a browser share: Chromium, a served harness, alice's page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from support.harness import Harness
from web.test_session import KEYS

from service import store
from service.web.session import login_url

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"narrow": (320, 640), "phone": (390, 844), "desktop": (1280, 900)}
#: Each size and each colour scheme once; the long ones complete the pairs.
SCREENS = [
    pytest.param("desktop", "light", id="desktop-light"),
    pytest.param("phone", "dark", id="phone-dark"),
    pytest.param("desktop", "dark", id="desktop-dark", marks=pytest.mark.long),
    pytest.param("phone", "light", id="phone-light", marks=pytest.mark.long),
]
#: Whether the page can be scrolled sideways.
WIDE = "document.documentElement.scrollWidth > innerWidth"
#: Plays a video, seeks, and tells its size and where it is then.
PLAY = """async video => {
    const past = (moment) => new Promise((done) => {
        video.ontimeupdate = () => video.currentTime > moment && done();
    });
    video.muted = true;
    await video.play();
    await past(0.2);
    video.currentTime = 4;
    await past(4.1);
    return [video.videoWidth, video.videoHeight, video.currentTime];
}"""
#: For what costs much on any screen: one, and the other three when there is time.
ONE_SCREEN = [
    pytest.param("phone", "dark", id="phone-dark"),
    pytest.param("desktop", "light", id="desktop-light", marks=pytest.mark.long),
    *SCREENS[2:],
]


@contextmanager
def screen(browser: Browser, size: str = "desktop", scheme: Any = "light") -> Iterator[Page]:
    """An empty page; ends with a look at the console for what the policy forbade."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    report: list[str] = []
    page.on("console", lambda message: report.append(message.text))
    page.on("pageerror", lambda error: report.append(str(error)))
    yield page
    context.close()

    # Chromium itself tells of every answer that is an error; those are meant.
    assert [] == [text for text in report if "Failed to load resource" not in text]


@contextmanager
def opened(
    browser: Browser, site: Harness, size: str = "desktop", scheme: Any = "light"
) -> Iterator[Page]:
    """alice's page, signed in."""
    with site.db.read() as tx:
        key = store.accounts.keys(tx, site.account.id)[0]
    url = site.wiring.settings.public_url
    with screen(browser, size, scheme) as page:
        page.goto(login_url(url, KEYS, key.id, site.clock()))
        yield page


def url_of(site: Harness, path: str) -> str:
    """The whole address of a page."""
    return site.wiring.settings.public_url + path


def faults(page: Page) -> list[str]:
    """What axe says against the page as it is now, and whether it is wider than its screen."""
    path = urlsplit(page.url).path
    violations = Axe().run(page).response["violations"]
    wide = page.evaluate(WIDE)
    return [
        f"{path}: {v['id']}: {v['help']} {[node['html'] for node in v['nodes']]}"
        for v in violations
    ] + [f"{path}: wide"] * wide

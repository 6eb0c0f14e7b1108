"""The page /docs in a real Chromium: for everybody, on every screen, without a script too."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from support.harness import Harness

from browser.screens import SCREENS, opened, url_of

pytestmark = pytest.mark.browser

#: axe takes twelve seconds of CPU for all operations: usually every eighth, on one screen.
SHARES = [
    pytest.param("phone", "dark", 8, id="phone-dark-eighth"),
    *(pytest.param(*s.values, 1, id=f"{s.id}-all", marks=pytest.mark.long) for s in SCREENS),
]
#: Leaves one operation in `every`, and the one that is open.
LEAVE = """every => document.querySelectorAll('article').forEach((one, place) => {
    if (place % every && !one.querySelector('details[open]')) one.remove();
})"""


@pytest.mark.parametrize(("size", "scheme", "every"), SHARES)
def test_everybody_can_read_it(
    browser: Browser, site: Harness, size: str, scheme: Any, every: int
) -> None:
    """axe finds nothing, nothing is wider than the screen, no other server is asked."""
    with opened(browser, site, size, scheme) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url_of(site, "/docs"))
        page.locator("article:has(#jobs_create_job) summary").click()
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        page.evaluate(LEAVE, every)
        found = Axe().run(page)

    assert 0 == wider
    assert [] == [v["id"] for v in found.response["violations"]]
    assert asked and all(url.startswith(site.wiring.settings.public_url) for url in asked)


def test_without_a_script(browser: Browser, site: Harness) -> None:
    """All of it is in the page itself: the answers open without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url_of(site, "/docs"))
    create = page.locator("article:has(#jobs_create_job)")
    create.locator("summary").click()

    assert create.get_by_text("The job is stored and will be sent.").is_visible()
    context.close()


def test_search_and_copy(browser: Browser, site: Harness) -> None:
    """Words leave only what holds them all; a command is copied by its button."""
    with opened(browser, site, "desktop", "light") as page:
        page.goto(url_of(site, "/docs"))
        page.fill("#find", "rotate secret")
        shown = page.locator(".operation:visible h3").all_inner_texts()
        status = page.inner_text("#found")
        page.locator("[data-copy=curl-subscriptions_rotate]").click()
        copied = page.locator("[data-copy=curl-subscriptions_rotate]:text('Copied')")
        copied.wait_for()
        page.fill("#find", "")
        hidden = page.locator(".operation[hidden]").count()

    assert "Rotate a secret" in shown and len(shown) < 4
    assert "found" in status
    assert 0 == hidden


def test_contents_on_a_phone(browser: Browser, site: Harness) -> None:
    """The page comes first; the list of contents opens, one entry close below the other."""
    with opened(browser, site, "phone", "light") as page:
        page.goto(url_of(site, "/docs"))
        contents = page.locator(".contents details").first
        first_seen = page.locator("#start").is_visible() and not contents.locator("ul").is_visible()
        contents.locator("summary").click()
        lefts, heights = page.evaluate(
            """() => {
                const boxes = [...document.querySelectorAll(".contents details[open] li a")]
                    .map((link) => link.parentElement.getBoundingClientRect());
                return [new Set(boxes.map((box) => box.left)).size,
                        Math.max(...boxes.map((box) => box.height))];
            }"""
        )

    assert first_seen
    assert 2 == lefts
    assert heights < 60

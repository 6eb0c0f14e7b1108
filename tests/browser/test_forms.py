"""The forms in a real Chromium: a job while it is typed, a subscription that is tried."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from support.dashboards import subscribed
from support.harness import Harness
from support.sandboxes import png
from support.servers import Hook

from browser.screens import SCREENS, faults, opened, url_of
from service import store

PROMPT = "A lighthouse at dusk"
SCALE = "[id='kling-2.5-turbo.cfg_scale']"
IMAGE = "[id='kling-2.5-turbo.image_url']"
QUOTE = "#quote .price"

pytestmark = pytest.mark.browser


def choose(page: Page, seconds: int) -> None:
    """Segmind's turbo model, for so long a video."""
    page.check("input[value='kling-2.5-turbo']")
    page.select_option("[id='kling-2.5-turbo.duration']", str(seconds))


def chosen_file(page: Page, folder: Path) -> str:
    """Choose an image; the address that its field then holds."""
    (folder / "cat.png").write_bytes(png("teal"))
    page.set_input_files(f"{IMAGE[:-2]}.file']", folder / "cat.png")
    page.wait_for_selector(".picture img")
    assert page.eval_on_selector(".picture img", "img => img.decode().then(() => true)")
    return page.input_value(IMAGE)


def test_job_is_typed(browser: Browser, site: Harness, tmp_path: Path) -> None:
    """Price and faults follow what is typed, nobody else is called, and the job is that one."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/new"))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        choose(page, 10)
        page.wait_for_selector(f"{QUOTE}:has-text('$0.88')")
        choose(page, 5)
        page.wait_for_selector(f"{QUOTE}:has-text('$0.44')")
        page.fill("#prompt", PROMPT)
        page.fill(SCALE, "7")
        early = page.query_selector_all(".error")
        page.press(SCALE, "Tab")
        page.wait_for_selector("text=Must be from 0 to 1; got")
        page.fill(SCALE, "0.5")
        page.wait_for_selector(".error", state="detached")
        fixing = page.evaluate("document.activeElement.id")
        url = chosen_file(page, tmp_path)
        page.fill("[id='kling-2.5-turbo.tail_image_url']", "http://127.0.0.1:9/foreign.png")
        page.press("[id='kling-2.5-turbo.tail_image_url']", "Tab")
        page.click("text=Make the video")
        page.wait_for_url("**/jobs/job_*")
        title = page.inner_text("h1")
    with site.db.read() as tx:
        job = store.job_lists.page(tx, site.account.id, 1)[0]

    assert ([], "kling-2.5-turbo.cfg_scale", PROMPT) == (early, fixing, title)
    assert (PROMPT, 5, 0.5, url) == tuple(
        job.input[name] for name in ("prompt", "duration", "cfg_scale", "image_url")
    )
    assert {urlsplit(site.wiring.settings.public_url).netloc} == {urlsplit(u).netloc for u in asked}


def test_request_is_shown(browser: Browser, site: Harness) -> None:
    """The request and the code stand below the form, can be copied, and follow what is typed."""
    with opened(browser, site) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(url_of(site, "/new"))
        page.click("text=Show the request")
        page.wait_for_selector(".trouble >> text=Prompt")
        page.fill("#prompt", PROMPT)
        choose(page, 5)
        page.click("text=Show the request")
        page.wait_for_selector("#request >> text=Nothing was sent")
        page.evaluate("window.sameDocument = true")
        page.check("input[value='python']")
        page.click("[data-copy='snippet-python']")
        page.wait_for_selector("text=Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        seen = [page.is_visible(f"#snippet-{word}") for word in ("curl", "python")]
        choose(page, 10)
        page.wait_for_selector("#snippet-python >> text='duration': 10")
        page.fill("#prompt", "")
        page.press("#prompt", "Tab")
        page.wait_for_selector("#request", state="detached")
    with site.db.read() as tx:
        made = store.job_lists.page(tx, site.account.id, 1)

    assert copied.startswith("import os") and repr(PROMPT) in copied
    assert ([False, True], []) == (seen, made)


def test_subscription_is_tried(browser: Browser, site: Harness) -> None:
    """A target that fails is reported in words, a good one is saved, tested, given a new secret."""
    with Hook([500, 200]) as hook, opened(browser, site, "phone") as page:
        page.goto(url_of(site, "/subscriptions"))
        page.click("text=Add the first one")
        page.fill("#target", hook.url)
        page.click("main button:text-is('Save')")
        page.wait_for_selector(".trouble >> text=The test failed, so nothing was saved")
        page.click("main button:text-is('Save')")
        first = page.input_value("#secret")
        page.goto(url_of(site, "/subscriptions"))
        page.click(".subscriptions a")
        page.click("text=Send a test")
        page.wait_for_selector("#test-result >> text=The test arrived")
        page.click("text=Replace its secret")
        page.click("text=New secret, old one for a day")
        second = page.input_value("#secret")
        page.click("text=Remove it")
        page.click("text=Remove permanently")
        page.wait_for_selector("text=No subscriptions yet")

    assert 3 == len(hook.hits)
    assert first != second
    assert ["whsec_"] * 2 == [first[:6], second[:6]]


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_everybody_can_use_them(
    browser: Browser, site: Harness, tmp_path: Path, size: str, scheme: str
) -> None:
    """axe has nothing to say of the forms in any state, and none is wider than its screen."""
    found: list[str] = []
    subscribed(site, "http://127.0.0.1:9/services/a-rather-long-path-to-a-hook")
    with site.db.read() as tx:
        one = store.subscriptions.all_of(tx, site.account.id)[0]
    with opened(browser, site, size, scheme) as page:
        page.goto(url_of(site, "/new"))
        choose(page, 5)
        chosen_file(page, tmp_path)
        page.click("text=Show the request")
        page.wait_for_selector(".trouble")
        found += faults(page)
        page.fill("#prompt", "x" * 200)
        page.click("text=Show the request")
        page.wait_for_selector("#request")
        found += faults(page)
        page.goto(url_of(site, "/subscriptions/new"))
        page.click("text=Filters and format")
        page.click("main button:text-is('Save')")
        page.wait_for_selector(".trouble")
        found += faults(page)
        page.goto(url_of(site, f"/subscriptions/{one.id}"))
        page.click("text=Send a test")
        page.wait_for_selector("#test-result p")
        page.click("text=Replace its secret")
        page.click("text=New secret, old one for a day")
        page.wait_for_selector("#secret")
        for summary in page.query_selector_all(".care summary"):
            summary.click()
        found += faults(page)

    assert [] == found

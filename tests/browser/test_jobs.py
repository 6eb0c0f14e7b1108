"""Jobs in a real Chromium: many at once by the keyboard, one with its course, its news resent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.dashboards import fail, subscribed
from support.harness import Harness
from support.servers import Hook, free_port

from browser.screens import SIZES, opened, url_of
from service.model import JobState

pytestmark = pytest.mark.browser


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """One attempt at each delivery; a public address that the browser can reach."""
    return {"public_url": f"http://127.0.0.1:{free_port()}", "retry_schedule": (0.0,)}


def focused(page: Page) -> str:
    """What the thing with the focus is called."""
    return str(
        page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent")
    )


def tab_to(page: Page, name: str) -> None:
    """Go on with the Tab key until something of that name has the focus."""
    for _ in range(30):
        if name in focused(page):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way by Tab to {name!r}; now at {focused(page)!r}")


def test_cancel_by_the_keyboard(browser: Browser, site: Harness) -> None:
    """Ticks outlast a live update, Enter on one does nothing, and the result shows at once."""
    jobs = [site.new_job(f"Fox {number}") for number in range(3)]
    with opened(browser, site) as page:
        page.goto(url_of(site, "/"))
        expect(page.get_by_role("button", name="Cancel the selected jobs")).to_be_hidden()
        tab_to(page, "Select: Fox 1")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        tab_to(page, "Select: Fox 0")
        page.keyboard.press("Space")
        site.clock.advance(90)
        expect(page.get_by_text("1 min ago").first).to_be_visible()
        kept = [focused(page), page.locator("[name=job]:checked").count(), page.url]
        tab_to(page, "Cancel the selected jobs")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_have_text("2 canceled.")
        report = focused(page)

    assert ["Select: Fox 0", 2, url_of(site, "/")] == kept
    assert "2 canceled." == report
    states = [JobState.CANCELED, JobState.CANCELED, JobState.QUEUED]
    assert states == [site.job(job).state for job in jobs]


def test_select_all(browser: Browser, site: Harness) -> None:
    """One button ticks the whole page and unticks it again; what comes later is not ticked."""
    for number in range(3):
        site.new_job(f"Fox {number}")
    with opened(browser, site, "phone") as page:
        page.goto(url_of(site, "/"))
        button = page.get_by_role("button", name="Select all on this page")
        found: list[object] = []
        for _ in range(2):
            button.click()
            found.append(page.locator("[name=job]:checked").count())
            found.append(page.locator("#picked").inner_text()[:11])

        page.goto(url_of(site, "/?pick=all"))
        site.new_job("Fox 3")
        expect(page.get_by_text("Fox 3")).to_be_visible()
        found.append(page.locator("[name=job]:checked").count())

    assert [3, "3 selected.", 0, "Nothing sel", 3] == found


def test_resend_and_watch(browser: Browser, site: Harness) -> None:
    """A delivery that was given up is resent with one press, and seen to arrive by itself."""
    with Hook([500, 200]) as hook, opened(browser, site) as page:
        subscribed(site, hook.url)
        job = fail(site, site.new_job(), "no")
        site.drain("deliver")
        page.goto(url_of(site, f"/jobs/{job.id}"))
        news = page.get_by_role("article", name="job.failed by webhook")
        expect(news).to_contain_text("exhausted")
        news.get_by_role("button").click()
        expect(news).to_contain_text("next attempt")
        page.evaluate("window.sameDocument = true")
        site.drain("deliver")
        expect(news).to_contain_text("delivered")
        same = page.evaluate("window.sameDocument")

    assert same
    assert 2 == len(hook.hits)


@pytest.mark.parametrize("size", list(SIZES))
def test_course(browser: Browser, site: Harness, size: str) -> None:
    """The course of a job fits the screen, has a name, and its bars lie within it."""
    subscribed(site, "http://127.0.0.1:9/")
    job = site.new_job()
    site.clock.advance(7)
    fail(site, job, "no")
    site.drain("deliver")
    with opened(browser, site, size) as page:
        page.goto(url_of(site, f"/jobs/{job.id}"))
        picture = page.get_by_role("img", name=re.compile("The course of this job. Queued: 7 s"))
        picture.scroll_into_view_if_needed()
        whole = picture.bounding_box()
        boxes = [rect.bounding_box() for rect in picture.locator("rect").all()]
        texts = [text.bounding_box() for text in picture.locator("text").all()]

    assert whole and 0.8 * SIZES["narrow"][0] < whole["width"] <= SIZES[size][0]
    for box in boxes + texts:
        assert box and whole["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= whole["x"] + whole["width"] + 1
        assert box["y"] + box["height"] <= whole["y"] + whole["height"] + 2
    assert all(box["width"] >= 2 for box in boxes if box)

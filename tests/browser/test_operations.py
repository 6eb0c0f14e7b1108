"""Callbacks, numbers, settings and the menu in a real Chromium."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from support.dashboards import called_back_after, sent
from support.harness import Harness

from browser.screens import SIZES, opened, url_of
from service import store
from service.catalogue.models import VENDORS

#: Every word and bar of the charts that would leave the screen, or be cut off by its drawing.
#: On the narrowest screen every second date is hidden.
OUTSIDE = """() => [...document.querySelectorAll('.plot text, .plot rect, .plot circle')]
    .filter((part) => {
        if (part.matches('.between') && innerWidth < 352) return false;
        const box = part.getBoundingClientRect();
        const cut = getComputedStyle(part.closest('.plot')).overflow !== 'visible';
        return cut || box.left < 0 || box.right > innerWidth || box.width + box.height === 0;
    }).map((part) => part.textContent)"""
#: Words of an axis that lie upon each other.
OVERLAPS = """() => [...document.querySelectorAll('.plot')].flatMap((plot) => {
    const words = [...plot.querySelectorAll('text:not(.limit)')].filter((word) =>
        word.getBoundingClientRect().width);
    const boxes = words.map((word) => word.getBoundingClientRect());
    return words.slice(1).filter((_, n) => {
        const [one, two] = [boxes[n], boxes[n + 1]];
        return one.left < two.right && two.left < one.right
            && one.top < two.bottom && two.top < one.bottom;
    }).map((word) => word.textContent);
})"""

pytestmark = pytest.mark.browser


#: The models of the vendors that the site has keys for.
SOLD = [model.slug for name in ("apixo", "segmind") for model in VENDORS[name].models]


def busy_month(site: Harness) -> None:
    """Jobs of every model on each of thirty days, the last ones dear."""
    for day in range(30):
        site.clock.advance(86_400)
        for number, model in enumerate(SOLD):
            called_back_after(site, 20 + 9 * day + 30 * number, model=model, actual_cost=0.4 * day)
        sent(site, resolved_by="poll", actual_cost=0.2)


def test_forged_callback(browser: Browser, site: Harness) -> None:
    """Whoever calls with a forged token is found on the page, with what that means."""
    answer = requests.post(url_of(site, "/callbacks/forged"), data=b"{}", timeout=10)
    site.wiring.ingest.close()
    with opened(browser, site) as page:
        page.get_by_role("link", name="Callbacks").click()
        page.get_by_role("link", name="rejected").click()
        page.get_by_role("link", name="Bad signature").click()
        row = page.inner_text("tbody tr")
        report = page.inner_text(".chosen")

    assert 401 == answer.status_code
    assert "Bad signature" in row and "127.0.0.1" in row
    assert "CLIPBELL_SECRET_KEYS" in report


def test_replay(browser: Browser, site: Harness) -> None:
    """Replaying a callback leads to its page, which shows by itself what came of it."""
    job = site.new_job("An early fox")
    site.wiring.ingest.insert(job.id, "apixo", {}, b'{"state": "success"}', site.clock())
    site.drain("process")
    with opened(browser, site, "phone") as page:
        page.goto(url_of(site, "/callbacks"))
        page.get_by_role("button", name="Replay the callback").click()
        page.wait_for_selector("text=the worker processes it next")
        page.evaluate("window.sameDocument = true")
        site.drain("process")
        page.wait_for_selector("text=The job is queued: it has no task.")
        same = page.evaluate("window.sameDocument")
        body = page.inner_text("pre")

    assert same
    assert '"state": "success"' in body


@pytest.mark.parametrize("size", list(SIZES))
def test_charts(browser: Browser, site: Harness, size: str) -> None:
    """Every chart is whole and legible on a screen of that size, also for axe, also as a table."""
    busy_month(site)
    with opened(browser, site, size, "dark") as page:
        page.goto(url_of(site, "/numbers"))
        charts = page.locator(".plot").count()
        outside, overlaps = page.evaluate(OUTSIDE), page.evaluate(OVERLAPS)
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        page.locator(".chart summary").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".chart table")
        cells = page.locator(".chart table").first.locator("tbody tr").count()
        violations = Axe().run(page).response["violations"]

    assert (6, 30) == (charts, cells)
    assert ([], [], False, []) == (outside, overlaps, wide, [v["id"] for v in violations])


def test_hold_and_resume(browser: Browser, site: Harness) -> None:
    """A provider is held and goes on by its button; the button says what it would do next."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/settings"))
        page.get_by_role("button", name="Hold apixo").click()
        page.wait_for_selector("#provider-apixo .held")
        held = _held(site)
        # A banner says it, too.
        page.get_by_role("button", name="Resume apixo").last.click()
        page.wait_for_selector("#provider-apixo .enabled")

    assert ("held by an operator", None) == (held, _held(site))


def _held(site: Harness) -> str | None:
    with site.db.read() as tx:
        return store.providers.held(tx, "apixo")


def test_doctor(browser: Browser, site: Harness) -> None:
    """The button asks the public address and shows the answer in its place."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/settings"))
        page.evaluate("window.sameDocument = true")
        page.get_by_role("button", name="Check all").click()
        page.get_by_role("button", name="Check all again").wait_for()
        report = page.inner_text("#checks")
        same = page.evaluate("window.sameDocument")

    assert same
    assert "public url" in report and "reachable" in report.lower()


def test_doctor_is_refused(browser: Browser, site: Harness) -> None:
    """A check that cannot be made says why, instead of leaving a gap."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/settings"))
        page.evaluate("document.querySelector('.check [name=form_token]').value = 'stale'")
        page.get_by_role("button", name="Check all").click()
        page.wait_for_selector("text=This form is out of date")
        way_out = page.is_visible("text=Open the dashboard")

    assert way_out


def test_menu_by_keyboard(browser: Browser, site: Harness) -> None:
    """On a phone every page is reached from the menu without a pointer, and Escape closes it."""
    with opened(browser, site, "phone") as page:
        before = page.is_visible("#pages")
        page.focus("button.menu")
        page.keyboard.press("Enter")
        page.wait_for_selector("#pages", state="visible")
        violations = Axe().run(page).response["violations"]
        page.keyboard.press("Escape")
        page.wait_for_selector("#pages", state="hidden")
        page.keyboard.press("Enter")
        _walk_to(page, "Usage")
        page.keyboard.press("Enter")
        page.wait_for_url("**/numbers")
        current = page.get_attribute("#pages [aria-current]", "href")

    assert (False, "/numbers", []) == (before, current, [v["id"] for v in violations])


def _walk_to(page: Page, name: str) -> None:
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def test_first_steps_vanish(browser: Browser, site: Harness) -> None:
    """An open page of a fresh account turns into the list when the first job is there."""
    with opened(browser, site) as page:
        page.wait_for_selector("text=Choose who is notified")
        site.new_job("The very first fox")
        page.wait_for_selector("text=The very first fox")
        left = page.locator(".welcome").count()

    assert 0 == left


def test_old_days(browser: Browser, site: Harness) -> None:
    """What lies further back than thirty days is in no chart."""
    called_back_after(site, 60)
    site.clock.advance(timedelta(days=31).total_seconds())
    with opened(browser, site) as page:
        page.goto(url_of(site, "/numbers"))
        charts = page.locator(".plot").count()

    assert 0 == charts

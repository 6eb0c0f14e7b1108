"""The dashboard in a real Chromium: it plays, it moves by itself, everybody can use it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from support.dashboards import called_back, called_back_after, fail, lost, subscribed, succeed
from support.harness import Harness

from browser.screens import PLAY, SCREENS, WIDE, faults, opened, url_of
from service import store
from service.model import new_id

#: A 304 never comes out of the browser, but its few bytes tell of it.
REVALIDATED = """() => performance.getEntriesByType("resource").some(
    (one) => one.name.includes("live=1") && one.transferSize <= 300 && one.decodedBodySize > 300
)"""
PROMPT = "A lighthouse at dusk, slow waves, warm light"

pytestmark = pytest.mark.browser


def test_video_plays_and_seeks(browser: Browser, site: Harness) -> None:
    """The finished job's video plays in full size and can be sought."""
    job = succeed(site, site.new_job(PROMPT), 720)
    with opened(browser, site) as page:
        page.goto(url_of(site, f"/jobs/{job.id}"))
        found = page.eval_on_selector("video", PLAY)

    assert [1280, 720] == found[:2]
    assert 4.1 < found[2] <= 5


def test_page_moves_by_itself(browser: Browser, site: Harness) -> None:
    """An open page shows the end of its job without a reload, then asks no more."""
    job = site.new_job(PROMPT)
    with opened(browser, site) as page:
        page.goto(url_of(site, f"/jobs/{job.id}"))
        page.evaluate("window.sameDocument = true")
        page.wait_for_function(REVALIDATED)
        succeed(site, job)
        page.wait_for_selector("video")
        found = page.evaluate(
            "[window.sameDocument, document.querySelectorAll('[hx-trigger]').length]"
        )

    assert [True, 0] == found


def test_playing_video_is_left_alone(browser: Browser, site: Harness) -> None:
    """News about deliveries arrive around a player that is not touched."""
    subscribed(site, "http://127.0.0.1:9/")
    job = succeed(site, site.new_job(PROMPT))
    with opened(browser, site) as page:
        page.goto(url_of(site, f"/jobs/{job.id}"))
        page.evaluate("document.querySelector('video').mark = 'mine'")
        with site.db.write() as tx:
            store.steps.add(tx, job.id, "noted", "something new", site.clock())
        page.wait_for_selector("text=something new")
        mark = page.evaluate("document.querySelector('video').mark")

    assert "mine" == mark


def test_form_by_keyboard(browser: Browser, site: Harness) -> None:
    """A job can be made with the keyboard alone; another model brings its own fields."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/new"))
        page.fill("#prompt", PROMPT)
        page.check("input[value='kling-2']")
        shown = [
            page.is_visible("[id='kling-2.start_image']"),
            page.is_visible("[id='kling-2-5-turbo-pro.image_urls']"),
        ]
        page.focus("main button.primary")
        page.keyboard.press("Enter")
        page.wait_for_url("**/jobs/job_*")
        title = page.inner_text("h1")

    assert [True, False] == shown
    assert PROMPT == title


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_everybody_can_use_it(browser: Browser, site: Harness, size: str, scheme: str) -> None:
    """axe finds nothing to complain about on any page, and none is wider than its screen."""
    pages = _pages(site)
    found: list[str] = []
    with opened(browser, site, size, scheme) as page:
        for path in pages:
            page.goto(url_of(site, path))
            found += faults(page)

    assert [] == found


@pytest.mark.parametrize("size", ["narrow", "desktop"])
def test_long_words(browser: Browser, site: Harness, size: str) -> None:
    """Words without a blank, of callers and of vendors, make no page wider than its screen."""
    word = "w" * 200
    job = fail(site, site.new_job(word, metadata={word[:40]: word}), word)
    subscribed(site, f"http://127.0.0.1:9/{word}", name=word[:80], metadata={word[:40]: word})
    with site.db.write() as tx:
        store.providers.hold(tx, "apixo", f"INSUFFICIENT_CREDITS_{word}")
        (subscription,) = store.subscriptions.all_of(tx, site.account.id)
    hook = f"/subscriptions/{subscription.id}"
    pages = ["/", f"/jobs/{job.id}", "/new", "/deliveries", hook, f"{hook}/edit", "/settings"]
    with opened(browser, site, size) as page:
        wide = []
        for path in pages:
            page.goto(url_of(site, path))
            wide += [path] if page.evaluate(WIDE) else []

    assert [] == wide


def _pages(site: Harness) -> list[str]:
    done = succeed(site, site.new_job(PROMPT))
    failed = fail(site, site.new_job("A fox"), "it did not work")
    waiting, unknown = site.new_job("A heron"), lost(site)
    called_back(site, failed, b'{"state": "failed"}', Accept="*/*")
    expired = site.wiring.links.url_for(site.clock(), video=new_id("vid", site.clock()))
    site.clock.advance(1)
    jobs = [f"/jobs/{job.id}" for job in (done, failed, waiting, unknown)]
    link = expired.removeprefix(site.wiring.settings.public_url)
    return [
        "/",
        "/?pick=all",
        *jobs,
        "/new",
        "/subscriptions",
        *_operations(site),
        "/login",
        "/login/forged",
        link,
        "/jobs/nothing",
    ]


def _operations(site: Harness) -> list[str]:
    """Callbacks, numbers and settings, with something to see on each."""
    job = called_back_after(site, 60)
    site.wiring.ingest.reject("bad_signature", "203.0.113.7", site.clock())
    with site.db.read() as tx:
        (callback,) = store.callbacks.of_job(tx, job.id)
    callbacks = ["/callbacks", f"/callbacks/{callback.id}", "/callbacks/rejected"]
    return [*callbacks, "/numbers", "/settings"]

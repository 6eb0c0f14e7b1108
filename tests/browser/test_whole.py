"""A first day with the dashboard, over the real service: web, worker and sandbox as processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.sandboxes import start_sandbox
from support.servers import Clipbell, Hook, eventually, http_call

from browser.screens import ONE_SCREEN, PLAY, faults, screen

pytestmark = pytest.mark.browser

PROMPT = "A lighthouse at dusk, slow waves"


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """The service with a vendor that renders in full size; a failed delivery waits for a person."""
    folder = tmp_path_factory.mktemp("whole")
    with (
        start_sandbox(folder / "sandbox", height=720, credits=1e6) as provider,
        Clipbell(
            folder, provider.url, retry_schedule="0,6000", poll_after="0.2", poll_every="0.2"
        ) as made,
    ):
        yield made.start()


def sign_in(page: Page, clipbell: Clipbell) -> list[str]:
    """With a pasted key."""
    page.goto(clipbell.url)
    found = faults(page)
    page.fill("#key", clipbell.key)
    page.click("main button:text-is('Sign in')")
    page.wait_for_selector("h1:text-is('Jobs')")
    return found + faults(page)


def subscribe(page: Page, clipbell: Clipbell, hook: Hook) -> list[str]:
    """A hook is added once its test has arrived."""
    page.goto(f"{clipbell.url}/subscriptions/new")
    page.fill("#target", hook.url)
    found = faults(page)
    page.click("main button:text-is('Save')")
    page.wait_for_selector("#secret")
    return found + faults(page)


def make_video(page: Page, clipbell: Clipbell) -> list[str]:
    """A new job by the form; its page, left open, shows the video when it is there."""
    page.goto(f"{clipbell.url}/new")
    page.fill("#prompt", PROMPT)
    page.check("input[value='kling-2.5-turbo']")
    page.select_option("[id='kling-2.5-turbo.duration']", "5")
    expect(page.locator("#quote .price")).to_contain_text("$0.44", timeout=10_000)
    found = faults(page)
    page.click("text=Make the video")
    page.wait_for_url("**/jobs/job_*")
    page.evaluate("window.sameDocument = true")
    page.wait_for_selector("video", timeout=60_000)
    assert page.evaluate("window.sameDocument")
    return found + faults(page)


def resend(page: Page) -> None:
    """The delivery that failed goes out with one press, and is seen to arrive."""
    news = page.get_by_role("article", name="job.succeeded by webhook")
    expect(news).to_contain_text("500", timeout=30_000)
    news.get_by_role("button").click()
    expect(news).to_contain_text("delivered", timeout=30_000)


def find_rejected(page: Page, clipbell: Clipbell) -> list[str]:
    """A callback with a forged token was turned away; its reason is there to be read."""
    assert 401 == http_call("POST", f"{clipbell.url}/callbacks/forged", b"{}").status
    # Refusals are written together, a moment after their answers.
    eventually(lambda: clipbell.call("GET", "/v1/callbacks?rejected=true").json()["data"])
    page.goto(f"{clipbell.url}/callbacks/rejected")
    expect(page.locator("table.rejected tbody tr").first).to_contain_text("signature")
    return faults(page)


@pytest.mark.parametrize(("size", "scheme"), ONE_SCREEN)
def test_first_day(browser: Browser, clipbell: Clipbell, size: str, scheme: str) -> None:
    """Signed in, subscribed, made, watched, played, sought, resent, looked up: for everybody."""
    with Hook([200, 500, 200]) as hook, screen(browser, size, scheme) as page:
        found = sign_in(page, clipbell)
        found += subscribe(page, clipbell, hook)
        found += make_video(page, clipbell)
        width, height, moment = page.eval_on_selector("video", PLAY)
        resend(page)
        found += find_rejected(page, clipbell)
        clipbell.run("subscriptions", "remove", subscription_of(clipbell))

    assert [] == found
    assert (1280, 720) == (width, height)
    assert 4.1 < moment <= 5
    assert 3 == len(hook.hits)


def subscription_of(clipbell: Clipbell) -> str:
    """The one there is."""
    found: str = clipbell.call("GET", "/v1/subscriptions").json()["data"][0]["id"]
    return found

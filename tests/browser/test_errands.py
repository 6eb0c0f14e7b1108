"""What a new person comes for, found by what the pages say: only links and buttons are pressed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from support.dashboards import browser_of, fail, press, sent, subscribed
from support.harness import Harness
from support.servers import Hook

from browser.screens import faults, opened, url_of
from service import store
from service.deliveries.subscriptions import target_of
from service.model import JobState

pytestmark = pytest.mark.browser


def follow(page: Page, *names: str) -> None:
    """Press these links or buttons one after the other, on a screen where all are in sight."""
    for name in names:
        pressed = page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name))
        pressed.first.click()
        page.wait_for_load_state()


def test_why_a_hook_failed(browser: Browser, site: Harness) -> None:
    """The banner leads to what was sent, what was answered, and to another address."""
    with Hook([500]) as hook, opened(browser, site) as page:
        subscribed(site, hook.url)
        fail(site, site.new_job("A heron"), "no")
        site.drain("deliver")
        page.goto(url_of(site, "/"))
        follow(page, "See why", "job.failed")
        expect(page.get_by_text("The endpoint answered 500.")).to_be_visible()
        expect(page.get_by_label("Body of request 1")).to_contain_text("A heron")
        found = faults(page)
        page.get_by_role("definition").get_by_role("link", name=re.compile("…hook")).click()
        follow(page, "Edit")
        page.get_by_label("Target").fill(f"{hook.url}?new")
        follow(page, "Save")
        expect(page.get_by_role("status")).to_have_text("Saved.")
        found += faults(page)

    with site.db.read() as tx:
        (after,) = store.subscriptions.all_of(tx, site.account.id)
    assert [] == found
    assert f"{hook.url}?new" == target_of(site.wiring.encryptor, after)


def test_key_for_a_colleague(browser: Browser, site: Harness) -> None:
    """Settings lead to a key that signs somebody in."""
    with opened(browser, site) as page:
        page.goto(url_of(site, "/"))
        follow(page, "Settings", "API keys")
        page.get_by_label("Name").fill("Ayşe")
        follow(page, "Make a key")
        key = page.get_by_label("API key", exact=True).input_value()
        follow(page, "Sign out")
        page.get_by_label("API key").fill(key)
        follow(page, "Sign in")
        expect(page.get_by_text("Signed in with Ayşe")).to_be_visible()


def test_what_today_cost(browser: Browser, site: Harness) -> None:
    """The first page says it, and the usage says of which model."""
    sent(site, state=JobState.SUCCEEDED, actual_cost=0.42)
    with opened(browser, site) as page:
        page.goto(url_of(site, "/"))
        expect(page.get_by_text("Spent today (UTC): $0.42")).to_be_visible()
        follow(page, "Usage")
        expect(page.get_by_text("$0.42 of it today")).to_be_visible()


def test_job_that_waits_for_a_person(browser: Browser, site: Harness) -> None:
    """Once no answer can be expected any more, every page leads to the job and its ways out."""
    job = sent(site, state=JobState.UNKNOWN, due_at=None)
    with opened(browser, site) as page:
        page.goto(url_of(site, "/settings"))
        follow(page, "See it", str(job.input["prompt"]))
        expect(page.get_by_role("button", name="Mark as failed")).to_be_visible()
        found = faults(page)
        press(
            browser_of(site, site.account.id),
            f"/jobs/{job.id}",
            f"/jobs/{job.id}/resolve",
            how="fail",
        )
        page.goto(url_of(site, "/settings"))
        expect(page.get_by_text("A job waits for you.")).to_have_count(0)

    assert [] == found

"""Chromium, and a harness that is served to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from support.dashboards import served
from support.harness import Harness
from support.requirements import need
from support.servers import free_port

from browser.screens import CHROMIUM, FLAGS


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for all tests of this process."""
    need("" if CHROMIUM.exists() else f"no {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A public address that the browser can reach."""
    return {"public_url": f"http://127.0.0.1:{free_port()}"}


@pytest.fixture
def site(harness: Harness) -> Iterator[Harness]:
    """The harness, served."""
    with served(harness) as site:
        yield site

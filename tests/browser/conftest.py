"""Chromium, and a bench that is served to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Bench
from playwright.sync_api import Browser, sync_playwright
from support.dashboards import served
from support.databases import Template
from support.servers import free_port

from browser.screens import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; skipped in one line where there is none, which under CI is a failure."""
    if not CHROMIUM.exists():
        message = f"skipped: no {CHROMIUM} (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def database_url(database_template: Template, tmp_path: Path) -> str:
    """Pages do not care for the database's kind; SQLite is enough."""
    return database_template.sqlite(tmp_path)


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A public address that the browser can reach."""
    return {"public_url": f"http://127.0.0.1:{free_port()}"}


@pytest.fixture
def site(bench: Bench) -> Iterator[Bench]:
    """The bench, served."""
    with served(bench) as site:
        yield site

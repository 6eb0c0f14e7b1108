"""alice's browser over a bench."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Bench
from flask.testing import FlaskClient
from support.dashboards import browser_of
from support.databases import Template


@pytest.fixture
def database_url(database_template: Template, tmp_path: Path) -> str:
    """Pages do not care for the database's kind; SQLite is enough."""
    return database_template.sqlite(tmp_path)


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """alice's browser, signed in."""
    return browser_of(bench, bench.account.id)

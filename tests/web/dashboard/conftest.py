"""alice's browser over a bench."""

from __future__ import annotations

import pytest
from conftest import Bench
from flask.testing import FlaskClient
from support.dashboards import browser_of


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """alice's browser, signed in."""
    return browser_of(bench, bench.account.id)

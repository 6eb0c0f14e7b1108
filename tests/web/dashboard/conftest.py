"""alice's browser over a harness."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from support.dashboards import browser_of
from support.harness import Harness


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """alice's browser, signed in."""
    return browser_of(harness, harness.account.id)

"""The compatible APIs over a harness."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, as alice."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {harness.key}"
    return client

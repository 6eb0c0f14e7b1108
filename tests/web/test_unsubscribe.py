"""``/u/TOKEN``: out with one click, and nothing else can be done with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from support.harness import Harness

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.web.app import create_app


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, without any key."""
    return create_app(harness.wiring).test_client()


def link(harness: Harness) -> tuple[str, str]:
    """A subscription's id and the path that ends it."""
    spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/hook")
    with harness.db.write() as tx:
        made, _ = subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    url = harness.wiring.unsubscribe.url_for(
        harness.clock() + timedelta(days=1), subscription=made.id
    )
    return made.id, url.removeprefix(harness.wiring.settings.public_url)


def enabled(harness: Harness, subscription_id: str) -> bool:
    """Whether the subscription is on."""
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription_id)
    assert found is not None
    return found.enabled


def test_looking_changes_nothing(harness: Harness, client: FlaskClient) -> None:
    """A mail scanner that follows the link ends nothing; people get a button."""
    subscription_id, path = link(harness)
    page = client.get(path)

    assert (200, True) == (page.status_code, enabled(harness, subscription_id))
    assert "<button" in page.text


def test_one_click(harness: Harness, client: FlaskClient) -> None:
    """A POST without key or cookie ends the subscription, as RFC 8058 asks."""
    subscription_id, path = link(harness)
    answer = client.post(path, data={"List-Unsubscribe": "One-Click"})

    assert (200, False) == (answer.status_code, enabled(harness, subscription_id))
    assert {"unsubscribed": True} == answer.get_json()


def test_twice(harness: Harness, client: FlaskClient) -> None:
    """Clicking again is no error."""
    _, path = link(harness)

    assert [200, 200] == [client.post(path).status_code for _ in range(2)]


def test_forged_and_late(harness: Harness, client: FlaskClient) -> None:
    """A forged or expired link is refused and ends nothing."""
    subscription_id, path = link(harness)
    forged = client.post(path[:-2] + "xx")
    harness.clock.advance(2 * 86_400)
    late = client.post(path)

    assert [403, 403] == [forged.status_code, late.status_code]
    assert enabled(harness, subscription_id)

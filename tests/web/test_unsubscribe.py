"""``/u/TOKEN``: out with one click, and nothing else can be done with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import Bench
from flask.testing import FlaskClient

from service import store
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
from service.web.app import create_app


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """The app, without any key."""
    return create_app(bench.wiring).test_client()


def link(bench: Bench) -> tuple[str, str]:
    """A subscription's id and the path that ends it."""
    spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/hook")
    with bench.db.write() as tx:
        made, _ = subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())
    url = bench.wiring.unsubscribe.url_for(bench.clock() + timedelta(days=1), subscription=made.id)
    return made.id, url.removeprefix(bench.wiring.settings.public_url)


def enabled(bench: Bench, subscription_id: str) -> bool:
    """Whether the subscription is on."""
    with bench.db.read() as tx:
        found = store.subscriptions.find(tx, subscription_id)
    assert found is not None
    return found.enabled


def test_looking_changes_nothing(bench: Bench, client: FlaskClient) -> None:
    """A mail scanner that follows the link ends nothing; people get a button."""
    subscription_id, path = link(bench)
    page = client.get(path)

    assert (200, True) == (page.status_code, enabled(bench, subscription_id))
    assert "<button" in page.text


def test_one_click(bench: Bench, client: FlaskClient) -> None:
    """A POST without key or cookie ends the subscription, as RFC 8058 asks."""
    subscription_id, path = link(bench)
    answer = client.post(path, data={"List-Unsubscribe": "One-Click"})

    assert (200, False) == (answer.status_code, enabled(bench, subscription_id))
    assert {"unsubscribed": True} == answer.get_json()


def test_twice(bench: Bench, client: FlaskClient) -> None:
    """Clicking again is no error."""
    _, path = link(bench)

    assert [200, 200] == [client.post(path).status_code for _ in range(2)]


def test_forged_and_late(bench: Bench, client: FlaskClient) -> None:
    """A forged or expired link is refused and ends nothing."""
    subscription_id, path = link(bench)
    forged = client.post(path[:-2] + "xx")
    bench.clock.advance(2 * 86_400)
    late = client.post(path)

    assert [403, 403] == [forged.status_code, late.status_code]
    assert enabled(bench, subscription_id)

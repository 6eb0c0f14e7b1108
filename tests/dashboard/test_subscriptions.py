"""The page of subscriptions, without a browser."""

from __future__ import annotations

from conftest import Bench
from dashboards import subscribed
from flask.testing import FlaskClient

from service import store


def test_subscriptions(client: FlaskClient, bench: Bench) -> None:
    """Subscriptions are listed without what could be used by somebody else."""
    secret = "http://127.0.0.1:9/services/T1/B2/topsecret"
    subscribed(bench, secret)
    with bench.db.write() as tx:
        found = store.subscriptions.all_of(tx, bench.account.id)[0]
        store.subscriptions.change(tx, found.id, enabled=False, disabled_reason="it said 410")
    shown = client.get("/subscriptions").text

    assert "http://127.0.0.1:9/…cret" in shown and "topsecret" not in shown
    assert "disabled" in shown and "it said 410" in shown and "job.unknown" in shown

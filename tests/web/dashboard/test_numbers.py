"""The page of numbers, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert
from support.dashboards import browser_of, called_back_after, fail, sent, subscribed, succeed
from support.harness import Harness
from support.servers import Hook

from service import store
from service.events.record import record_event
from service.model import EventType, JobState, new_id
from service.store import schema


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Four dollars a day."""
    return {"budget": 4.0}


def test_empty(client: FlaskClient) -> None:
    """Before anything has happened each chart says what will stand in its place."""
    shown = client.get("/numbers")

    assert 200 == shown.status_code
    assert "<svg" not in shown.text
    for promise in ("Spending by day", "p50 and p95 callback time", "No job yet", "own figures"):
        assert promise in shown.text
    assert "The budget is $4.00 a day" in shown.text


def test_one_job(client: FlaskClient, harness: Harness) -> None:
    """One job is in every chart: its price, its wait, how its end was found, its state."""
    called_back_after(harness, 75, actual_cost=1.5)
    shown = client.get("/numbers?range=30d").text

    assert "<title>1 Jan: $1.50, Kling 2.5 Turbo Pro</title>" in shown
    assert "$1.50 in 30 days, $1.50 of it today" in shown and "budget $4.00" in shown
    assert "On 1 Jan the one callback came after 1 min 15 s." in shown
    assert "0 of 1 results (0 %) were found by polling" in shown
    assert re.search(r'succeeded</span>\s*<span class="said">1<', shown)


def test_ledger(client: FlaskClient, harness: Harness) -> None:
    """Estimated, reserved, settled and the difference stand in one row a day and vendor."""
    sent(harness, estimated_max=1.0, actual_cost=1.25)
    sent(harness, estimated_max=0.5)
    shown = client.get("/numbers?range=30d").text
    row = re.search(r'<tr><th scope="row">2026-01-01</th>(.*?)</tr>', shown)

    assert row
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", row[1])]
    assert ["apixo", "2", "$1.50", "$0.50", "$1.25 1 job", "+$0.25"] == cells


def test_only_polls(client: FlaskClient, harness: Harness) -> None:
    """Where no callback arrives at all, the page says what is probably wrong."""
    for _ in range(3):
        sent(harness, resolved_by="poll")
    shown = client.get("/numbers?range=30d").text

    assert "All 3 results were found by polling" in shown
    assert "CLIPBELL_PUBLIC_URL" in shown


def test_models_that_never_call_back(client: FlaskClient, harness: Harness) -> None:
    """A model that is always polled is named, not counted; one that is gone is neither."""
    called_back_after(harness, 5)
    sent(harness, model="kling-2", provider="segmind", resolved_by="poll")
    sent(harness, model="kling-0", resolved_by="poll", actual_cost=0.1)
    shown = client.get("/numbers?range=30d").text

    assert "0 of 1 results (0 %) were found by polling" in shown
    assert "Not counted, since these vendors never call back: Kling 2.0." in shown
    assert "$0.10, kling-0" in shown


def test_ten_thousand_jobs(client: FlaskClient, harness: Harness) -> None:
    """Ten thousand jobs of thirty days are as many columns as there are days and models."""
    row, now = vars(sent(harness, actual_cost=0.5, resolved_by="poll")), harness.clock()
    rows = []
    for number in range(9_999):
        at = now - timedelta(seconds=number * 250)
        rows.append(row | {"id": new_id("job", at), "task_id": f"t{number}", "sent_at": at})
    with harness.db.write() as tx:
        tx.execute(insert(schema.jobs), rows)
    shown = client.get("/numbers?range=30d").text

    assert "$5,000.00 in 30 days" in shown
    assert 30 == len(re.findall(r'<rect class="series-0"[^>]*><title>[^<]*Kling', shown))
    assert "10,000" in shown and len(shown) < 100_000


def test_deliveries(client: FlaskClient, harness: Harness) -> None:
    """Each subscription has its share of deliveries that arrived, its target masked."""
    subscribed(harness, "http://127.0.0.1:9/services/topsecret")
    for _ in range(2):
        fail(harness, harness.new_job(), "no")
    with harness.db.write() as tx:
        (first, _) = store.deliveries.page(tx, harness.account.id, 2)
        store.deliveries.settle_claimed(tx, first, state="delivered")
    shown = client.get("/numbers?range=30d").text

    assert "webhook http://127.0.0.1:9/…cret" in shown and "topsecret" not in shown
    assert "1 delivered, 1 pending" in shown


def test_failing_ones_have_not_arrived(client: FlaskClient, harness: Harness) -> None:
    """An endpoint that fails is no success while its messages wait; its rate and time are there."""
    with Hook([500, 500, 200]) as hook:
        subscribed(harness, hook.url)
        for _ in range(3):
            fail(harness, harness.new_job(), "no")
        harness.drain("deliver")
    shown = client.get("/numbers?range=30d").text

    assert re.search(r"Delivery success</dt><dd[^>]*>33 % <small>.*2 failing", shown)
    assert re.search(r"Attempts that failed</dt><dd>67 % <small>of 3", shown)
    assert "1 delivered, 2 failing. 3 attempts, 67 % failed; half took at most" in shown


@pytest.mark.parametrize(("chosen", "spent"), [("24h", 1), ("7d", 3), ("30d", 7), ("x", 1)])
def test_ranges(client: FlaskClient, harness: Harness, chosen: str, spent: int) -> None:
    """The last 24 hours, 7 days or 30 days: nothing older counts."""
    for days, cost in ((10, 4.0), (3, 2.0), (0, 1.0)):
        at = harness.clock() - timedelta(days=days)
        sent(harness, actual_cost=cost, resolved_by="poll", sent_at=at)
    shown = client.get(f"/numbers?range={chosen}").text

    names = {"7d": "7 days", "30d": "30 days"}
    assert f"${spent}.00 in {names.get(chosen, '24 hours')}" in shown


@pytest.mark.parametrize(
    ("days", "span"),
    [(0, "24 hours"), (2, "7 days"), (7, "7 days"), (8, "30 days"), (400, "30 days")],
)
def test_first_range(client: FlaskClient, harness: Harness, days: int, span: str) -> None:
    """An account of a few days sees these, not a month with one column in it."""
    with harness.db.write() as tx:
        old = harness.clock() - timedelta(days=days)
        tx.execute(schema.accounts.update().values(created_at=old).filter_by(id=harness.account.id))

    assert f"The last {span} of this account." in client.get("/numbers").text


def test_charlie_sees_nothing(client: FlaskClient, harness: Harness) -> None:
    """Another account's figures are not in charlie's."""
    subscribed(harness, "http://127.0.0.1:9/services/topsecret")
    job = sent(harness, actual_cost=1.5, resolved_by="poll")
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_SUCCEEDED, harness.clock())
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)

    assert "Spending by day" in charlie.get("/numbers").text
    assert "<svg" not in charlie.get("/numbers").text
    assert "$1.50" in client.get("/numbers").text


def test_real_job(client: FlaskClient, harness: Harness) -> None:
    """A job that went the real way counts; nothing on the page needs an inline style."""
    succeed(harness, sent(harness, state=JobState.SUBMITTED))
    shown = client.get("/numbers?range=30d").text

    assert "$0.42 in 30 days" in shown
    assert "style=" not in shown and "<script>" not in shown

"""The first steps of a fresh account, without a browser."""

from __future__ import annotations

from dataclasses import replace

from flask.testing import FlaskClient
from support.dashboards import browser_of, subscribed
from support.harness import Harness

from service import store
from service.web.app import create_app
from service.web.session import login_url
from web.test_session import KEYS

FIRST = "Your first video is one call away"


def test_three_steps(client: FlaskClient) -> None:
    """A fresh account reads what to do first, and its page waits for the first job."""
    shown = client.get("/").text

    assert [1, 1, 1] == [
        shown.count(step) for step in ("Submit a", "Choose who is", "Watch it arr")
    ]
    assert 'href="/new">Make a video' in shown and "hx-trigger" in shown
    assert 'class="done"' not in shown


def test_subscribed_first(client: FlaskClient, harness: Harness) -> None:
    """A step that was taken is ticked off, in a word too."""
    subscribed(harness, "http://127.0.0.1:9/")
    shown = client.get("/").text

    assert '<li class="done">' in shown and "1 subscription is notified of every video" in shown


def test_vanishes(client: FlaskClient, harness: Harness) -> None:
    """With the first job the steps are gone, on an open page too, and never come back."""
    before = client.get("/?live=1")
    harness.new_job("A fox")
    after = client.get("/?live=1", headers={"If-None-Match": before.headers["ETag"]})

    assert FIRST in before.text
    assert FIRST not in after.text and "A fox" in after.text
    assert FIRST not in client.get("/?state=failed").text
    assert FIRST not in client.get("/?q=nothing").text
    assert "hx-trigger" not in client.get("/?q=nothing").text


def test_without_a_provider(harness: Harness) -> None:
    """Where no provider has a key, that stands before all else."""
    client = create_app(replace(harness.wiring, providers={})).test_client()
    with harness.db.read() as tx:
        key = store.accounts.keys(tx, harness.account.id)[0]
    client.get(login_url("", KEYS, key.id, harness.clock()))

    assert "No provider has a key yet" in client.get("/").text


def test_a_key_that_only_looks(harness: Harness) -> None:
    """Nobody is sent to a form that would refuse them."""
    shown = browser_of(harness, harness.account.id, "read").get("/").text

    assert "This key can only read." in shown
    assert "Make a video" not in shown


def test_other_accounts(client: FlaskClient, harness: Harness) -> None:
    """alice's jobs and subscriptions leave charlie's first steps as they are."""
    subscribed(harness, "http://127.0.0.1:9/")
    harness.new_job()
    charlie = browser_of(harness, harness.new_account("charlie")[0].id)

    assert FIRST in charlie.get("/").text and 'class="done"' not in charlie.get("/").text

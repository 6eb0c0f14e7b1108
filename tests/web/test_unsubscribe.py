"""``/u/TOKEN``: out with one click, and nothing else can be done with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.channel_targets import MailTarget
from support.harness import Harness

from service import store
from service.deliveries.endpoint_health import remove
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import get_or_create_internal, subscribe
from service.sandbox.sinks.inbox import parse_mail
from service.web.app import create_app

TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, without any key."""
    return create_app(harness.wiring).test_client()


def link(harness: Harness) -> tuple[str, str]:
    """A subscription's id and the path that ends it."""
    spec = SubscriptionSpec("webhook", TARGET)
    with harness.db.write() as tx:
        made, _ = subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())
    url = harness.wiring.unsubscribe.url_for(
        harness.clock() + timedelta(days=1), subscription=made.id
    )
    return made.id, url.removeprefix(harness.wiring.settings.public_url)


def hidden(harness: Harness, *events: str, target: str = TARGET) -> str:
    """The id of what stands behind a job's `notify`."""
    spec = SubscriptionSpec("webhook", target, events)
    with harness.db.write() as tx:
        return get_or_create_internal(
            tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock()
        ).id


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


def test_all_of_one_reader(harness: Harness, client: FlaskClient) -> None:
    """The click ends whatever writes to the address, also what jobs name later; no removed one."""
    own, path = link(harness)
    rows = [hidden(harness, *events) for events in [(), ("job.failed",)]]
    removed, elsewhere = link(harness)[0], hidden(harness, target="http://127.0.0.1:9/other")
    with harness.db.write() as tx:
        remove(tx, removed, harness.clock())
    client.post(path)
    rows.append(hidden(harness, "job.succeeded"))

    assert [False] * 4 + [True] == [enabled(harness, one) for one in [own, *rows, elsewhere]]
    with harness.db.read() as tx:
        gone = store.subscriptions.find(tx, removed)
    assert gone and "removed" == gone.disabled_reason


def test_a_job_says_who_has_unsubscribed(harness: Harness, client: FlaskClient) -> None:
    """A job that names the address says in its timeline why nobody is notified there."""
    _, path = link(harness)
    client.post(path)
    notify = ["webhook:http://127.0.0.1:9/hook", "webhook:http://127.0.0.1:9/other"]
    job = harness.new_job(notify=notify)
    with harness.db.read() as tx:
        steps = store.steps.of_job(tx, job.id)

    said = [(step.kind, step.message) for step in steps]
    assert [("not notified", "http://127.0.0.1:9/…hook has unsubscribed")] == said


def test_again(harness: Harness, client: FlaskClient) -> None:
    """The page offers to take it back; no button of a mail program does that."""
    own, path = link(harness)
    named = hidden(harness)
    page = {"Accept": "text/html"}
    client.post(path, data={"List-Unsubscribe": "One-Click"})
    offered = client.get(path, headers=page).text
    answers = [client.post(path, data={"subscribe_again": "yes"}, headers=page)]
    states = [enabled(harness, one) for one in (own, named)]
    answers.append(client.post(path, headers=page))

    assert 'name="subscribe_again"' in offered
    assert [True, True] == states
    assert "Unsubscribe?" in answers[0].text and "Unsubscribed" in answers[1].text
    assert not enabled(harness, own)


def test_what_its_owner_disabled(harness: Harness, client: FlaskClient) -> None:
    """A reader who takes it back turns on nothing that its owner has switched off."""
    own, path = link(harness)
    with harness.db.write() as tx:
        store.subscriptions.change(tx, own, enabled=False)
    for data in ({}, {"subscribe_again": "yes"}):
        client.post(path, data=data)

    assert not enabled(harness, own)


class TestSamples:
    """The mail of a test is a mail like any other."""

    @pytest.fixture
    def mailbox(self) -> Iterator[MailTarget]:
        """The operator's mail server."""
        with MailTarget() as server:
            yield server

    @pytest.fixture
    def settings_given(self, mailbox: MailTarget) -> dict[str, Any]:
        """With mail."""
        return {"smtp_url": mailbox.url, "mail_from": "clips@example.com"}

    def test_before_it_is_saved(
        self, harness: Harness, client: FlaskClient, mailbox: MailTarget
    ) -> None:
        """The link in the first sample ends the subscription that was saved because of it."""
        answer = client.post(
            "/v1/subscriptions?test=true",
            json={"channel": "email", "target": "me@example.com"},
            headers={"x-api-key": harness.key},
        )
        made = answer.get_json()["id"]
        before = enabled(harness, made)
        mail = parse_mail(mailbox.bodies[0])
        url = str(mail["List-Unsubscribe"]).strip("<>")
        client.post(url.removeprefix(harness.wiring.settings.public_url))

        assert (True, False) == (before, enabled(harness, made))

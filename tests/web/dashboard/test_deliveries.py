"""The pages of deliveries: found, shown with request and answer, sent again."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.dashboards import browser_of, deliveries, fail, press, subscribed
from support.harness import Harness
from support.servers import Hook

from service.events.record import record_sample
from service.model import Delivery, EventType
from web.test_session import HERE, form_token


def failing(harness: Harness, hook: Hook) -> Delivery:
    """A delivery with one attempt that the hook has refused."""
    subscribed(harness, hook.url)
    job = fail(harness, harness.new_job("A heron"), "no")
    harness.drain("deliver")
    return deliveries(harness, job)[0]


def shown_ids(client: FlaskClient, query: str = "") -> list[str]:
    """The deliveries that a list shows, in its order."""
    return re.findall(r'<li id="(dlv_\w+)"', client.get(f"/deliveries?{query}").text)


def test_nothing_yet(client: FlaskClient) -> None:
    """A fresh account reads what will stand here."""
    assert "No delivery yet" in client.get("/deliveries").text


def test_list_and_filters(client: FlaskClient, harness: Harness) -> None:
    """All deliveries are there, newest first, and can be narrowed by everything."""
    with Hook([500, 200]) as hook:
        old = failing(harness, hook)
        harness.clock.advance(7200)
        with harness.db.write() as tx:
            record_sample(tx, harness.account.id, EventType.JOB_HELD, harness.clock())
        harness.drain("deliver")
    new = shown_ids(client)[0]
    expected = {
        "": [new, old.id],
        "state=failing": [],
        "state=delivered": [new, old.id],
        "type=job.held": [new],
        "type=job.failed": [old.id],
        "since=1h": [new],
        "channel=webhook&since=24h": [new, old.id],
        f"subscription={old.subscription_id}": [new, old.id],
        f"before={new}": [old.id],
        "state=nonsense&type=nonsense": [new, old.id],
    }

    assert expected == {query: shown_ids(client, query) for query in expected}


def test_failing_ones_are_announced_on_every_page(client: FlaskClient, harness: Harness) -> None:
    """While an endpoint fails each page says so and leads there; then no more."""
    with Hook([500, 200]) as hook:
        found = failing(harness, hook)
        during = [client.get(path).text for path in ("/", "/numbers", "/settings")]
        listed = shown_ids(client, "state=failing")
        harness.clock.advance(60)
        harness.drain("deliver")
    after = client.get("/").text

    assert [found.id] == listed
    for text in during:
        assert "Messages to it do not arrive." in text
        assert f'href="/subscriptions/{found.subscription_id}"' in text
        assert 'class="badge"' in text
    assert "do not arrive." not in after and 'class="badge"' not in after


def test_alert_leads_to_the_reason(client: FlaskClient, harness: Harness) -> None:
    """It names the endpoint, also once nothing waits; a job's own target has its deliveries."""
    with Hook([500], said=b"no such table") as hook:
        found = failing(harness, hook)
        for _ in range(24):
            harness.clock.advance(12_000)
            harness.drain("deliver")
        client = browser_of(harness, harness.account.id)
        named = client.patch(
            f"/v1/subscriptions/{found.subscription_id}",
            json={"name": "Warehouse"},
            headers={"x-api-key": harness.key},
        )
        text = client.get("/").text
        there = client.get(f"/subscriptions/{found.subscription_id}").text

    assert 200 == named.status_code
    assert [] == shown_ids(client, "state=failing")
    assert "Warehouse fails." in text and "no such table" in there


def test_alert_of_a_jobs_own_target(client: FlaskClient, harness: Harness) -> None:
    """A target that a job has named has no page of its own: its deliveries are shown."""
    with Hook([500]) as hook:
        job = harness.new_job("A hare", notify=[f"webhook:{hook.url}"])
        fail(harness, job, "no")
        harness.drain("deliver")
        (found,) = deliveries(harness, job)
        text = client.get("/").text

    assert f'href="/deliveries?subscription={found.subscription_id}"' in text
    assert [found.id] == shown_ids(client, f"subscription={found.subscription_id}")


def test_request_and_answer_side_by_side(client: FlaskClient, harness: Harness) -> None:
    """A delivery's page shows what was sent and answered, and the request as a command."""
    with Hook([500], said=b'{"why": "no such table"}') as hook:
        found = failing(harness, hook)
        text = html.unescape(client.get(f"/deliveries/{found.id}").text)

    assert f"POST {hook.url}" in text and "webhook-signature" in text
    assert '"prompt": "A heron"' in text and '"why": "no such table"' in text
    assert f"curl -i -X POST {hook.url}" in text
    assert "The endpoint answered 500." in text and f"/jobs/{found.job_id}" in text


def test_sent_again_from_its_page(client: FlaskClient, harness: Harness) -> None:
    """A resend leads back to the delivery; a second one at once says why it is refused."""
    with Hook([500, 200]) as hook:
        found = failing(harness, hook)
        path = f"/deliveries/{found.id}"
        more = {"from": "delivery"}
        first = press(client, path, f"{path}/resend", **more)
        second = press(client, path, f"{path}/resend", **more)
        harness.drain("deliver")

    assert (303, path) == (first.status_code, first.location)
    assert 409 == second.status_code and "in progress" in second.text
    assert 2 == len(hook.hits)


def test_many_are_sent_again_at_once(client: FlaskClient, harness: Harness) -> None:
    """The ticked deliveries go out once more; those that cannot are counted with the reason."""
    with Hook([500, 500, 200]) as hook:
        one = failing(harness, hook)
        job = fail(harness, harness.new_job("A hare"), "no")
        harness.drain("deliver")
        ids = [one.id, deliveries(harness, job)[0].id, "dlv_" + "0" * 32]
        page = client.get("/deliveries?state=failing").text
        given: dict[str, Any] = {"form_token": form_token(page), "delivery": ids}
        action = "/deliveries/selected/resend"
        answer = client.post(action, data=given | {"state": "failing"}, headers=HERE)
        report = client.get(answer.location).text
        harness.drain("deliver")

    assert "/deliveries?state=failing" == answer.location
    assert "2 sent again." in report and "1 could not be" in report
    assert 4 == len(hook.hits)


@pytest.mark.parametrize("path", ["/deliveries", "/deliveries/{id}"])
def test_who_may_only_read(harness: Harness, path: str) -> None:
    """Without the right to send there is no button; another account sees nothing."""
    with Hook([500]) as hook:
        found = failing(harness, hook)
    bob, _ = harness.new_account("bob")
    own, other = browser_of(harness, harness.account.id, "read"), browser_of(harness, bob.id)

    assert "Resend" not in own.get(path.format(id=found.id)).text
    foreign = other.get(path.format(id=found.id))
    assert 404 == foreign.status_code or found.id not in foreign.text

"""
Every call that a user or a vendor can steer leaves by the guarded client.

Which library may be reached from where is in `test_layers`; here the calls are made, and a
server on loopback sees whether they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.harness import Harness
from support.raw_servers import Server, always, answer

from service.deliveries import test_sends
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.jobs.outcomes import record_outcome
from service.model import EventType, Outcome, TaskState

Call = Callable[[Harness, str], None]


def deliver(channel: str) -> Call:
    """An event goes to a subscription's target."""

    def call(harness: Harness, url: str) -> None:
        with harness.db.write() as tx:
            encryptor, now = harness.wiring.encryptor, harness.clock()
            subscribe(tx, encryptor, harness.account.id, SubscriptionSpec(channel, url), now)
            record_sample(tx, harness.account.id, EventType.JOB_FAILED, now)
        harness.unit("deliver")

    return call


def try_out(harness: Harness, url: str) -> None:
    """A target is tested before it is subscribed."""
    test_request = test_sends.TestRequest(
        harness.account.id, "", "webhook", url, "standard", (), ("whsec_" + "A" * 32,)
    )
    test_sends.send_test(harness.db, harness.wiring.notifications, test_request, harness.clock())


def ask_the_vendor(harness: Harness, url: str) -> None:
    """A job goes out to the vendor, whose address is a setting."""
    harness.new_job()
    harness.drain("submit")


def look_at_images(harness: Harness, url: str) -> None:
    """The images of a job are looked at before it goes out."""
    harness.new_job(
        model="kling-2-5-turbo-pro",
        input={"prompt": "A fox", "mode": "image-to-video", "image_urls": [f"{url}/a.png"]},
    )
    harness.drain("submit")


def copy_the_film(harness: Harness, url: str) -> None:
    """The vendor names a link, and the film is copied from there."""
    job = harness.new_job()
    done = Outcome(TaskState.SUCCEEDED, result_url=f"{url}/a.mp4")
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, done, "poll", harness.clock())
    harness.drain("archive")


CALLS: dict[str, Call] = {
    "webhook": deliver("webhook"),
    "slack": deliver("slack"),
    "test": try_out,
    "vendor": ask_the_vendor,
    "images": look_at_images,
    "film": copy_the_film,
}


@pytest.fixture
def server() -> Iterator[Server]:
    """Something on this machine that nobody but its operator should reach."""
    made = Server(always(answer(b"secret", "404 Not Found")))
    yield made
    made.close()


@pytest.fixture(params=["", "127.0.0.0/8"], ids=["guarded", "allowed"])
def settings_given(request: pytest.FixtureRequest, server: Server) -> dict[str, Any]:
    """Loopback may be reached only where the operator says so."""
    return {"allowed_networks": request.param, "apixo_base_url": server.url("")}


@pytest.mark.parametrize("name", CALLS)
def test_no_call_goes_past_the_guard(harness: Harness, server: Server, name: str) -> None:
    """None reaches this machine unless its network is allowed, and then each does."""
    CALLS[name](harness, server.url(""))
    harness.clock.advance(timedelta(hours=1).total_seconds())

    assert bool(harness.wiring.settings.allowed_networks) is (server.connections > 0)

"""What hangs for one account holds no slot that another one needs, with the worker's own engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.harness import Harness
from support.raw_servers import Server, always, answer, silent
from support.servers import Hook, eventually

from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.engines.worker import THREAD_WEIGHTS, make_engine, threads_per_kind
from service.events.record import record_sample
from service.model import Account, EventType, JobState

pytestmark = pytest.mark.postgresql

#: The size of a worker at which six jobs of one account once stopped all others.
THREADS = 24
#: Far less than an image or a hook may hang, so that nobody's end can have helped.
SOON = 8.0


@pytest.fixture
def hanging() -> Iterator[Server]:
    """It takes connections and says nothing."""
    server = Server(silent)
    yield server
    server.close()


@pytest.fixture
def vendor() -> Iterator[Server]:
    """It takes every job."""
    body = json.dumps({"code": 200, "message": "", "data": {"taskId": "task1"}})
    server = Server(always(answer(body.encode())))
    yield server
    server.close()


@pytest.fixture
def settings_given(vendor: Server) -> dict[str, Any]:
    return {"apixo_base_url": vendor.url("")}


@contextmanager
def at_work(harness: Harness, hanging: Server, workers: int) -> Iterator[None]:
    """So many workers; what hangs is let go at the end."""
    engines = [make_engine(harness.wiring, threads_per_kind(THREADS)) for _ in range(workers)]
    threads = [threading.Thread(target=engine.run) for engine in engines]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for engine in engines:
            engine.stop()
        hanging.stopped.set()
        for thread in threads:
            thread.join()


def alone(kind: str) -> int:
    """How many slots of that kind a single account has in a worker."""
    return THREADS * THREAD_WEIGHTS[kind] // sum(THREAD_WEIGHTS.values())


def subscribe_hook(harness: Harness, account: Account, url: str) -> None:
    """An account's hook."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", url)
        subscribe(tx, harness.wiring.encryptor, account.id, spec, harness.clock())


def record(harness: Harness, account: Account) -> None:
    """An event for the hooks of that account."""
    with harness.db.write() as tx:
        record_sample(tx, account.id, EventType.JOB_FAILED, harness.clock())


@pytest.mark.parametrize("workers", [1, 2])
def test_hanging_images_of_another_account(harness: Harness, hanging: Server, workers: int) -> None:
    """However many jobs of one account wait for an image, another's job goes out at once."""
    slots = workers * alone("submit")
    image = {"mode": "image-to-video", "image_urls": [hanging.url("/a.png")]}
    stuck = [harness.new_job(input={"prompt": "A fox"} | image) for _ in range(4 * slots)]
    with at_work(harness, hanging, workers):
        eventually(lambda: hanging.connections == slots, SOON)
        harness.account, _ = harness.new_account("bob")
        job = harness.new_job()
        eventually(lambda: harness.job(job).state is JobState.SUBMITTED, SOON)
        states = [harness.job(one).state for one in stuck]

    assert slots == states.count(JobState.SUBMITTING)
    assert len(stuck) - slots == states.count(JobState.QUEUED)


@pytest.mark.parametrize("workers", [1, 2])
def test_hanging_hooks_of_another_account(harness: Harness, hanging: Server, workers: int) -> None:
    """A hundred hooks that hang, and that nobody knows as slow, delay no other account's."""
    bob, _ = harness.new_account("bob")
    for number in range(100):
        subscribe_hook(harness, harness.account, hanging.url(f"/{number}"))
    record(harness, harness.account)
    with Hook() as hook, at_work(harness, hanging, workers):
        subscribe_hook(harness, bob, hook.url)
        eventually(lambda: hanging.connections == workers * alone("deliver"), SOON)
        record(harness, bob)
        eventually(lambda: hook.hits, SOON)
        connections = hanging.connections

    assert workers * alone("deliver") == connections

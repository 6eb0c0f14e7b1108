"""`/metrics`: what it counts, for which keys, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from support.harness import Harness
from support.servers import eventually

from service import __version__, store
from service.model import JobState
from service.ops.metrics import exposition
from service.web.app import create_app

Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Each sample by its name, without the prefix, and its labels' values."""
    return {
        (sample.name.removeprefix("clipbell_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(harness: Harness) -> Samples:
    """What is exposed now."""
    with harness.db.read() as tx:
        return samples(exposition(tx, harness.clock()).decode())


def test_a_new_service(harness: Harness) -> None:
    """Nothing was done yet, and no worker lives."""
    found = counted(harness)

    assert 1 == found["build_info", __version__]
    assert 0 == found[("workers",)] == found[("rows_set_aside",)] == found["work_due", "submit"]
    assert [] == [name for name in found if name[0] in ("jobs", "deliveries", "polled_share")]


def test_jobs_and_their_work(harness: Harness) -> None:
    """Jobs by provider and state; how much work is due, and how long the oldest has waited."""
    for _ in range(3):
        harness.new_job()
    harness.new_job(model="kling-2")
    harness.clock.advance(90)
    found = counted(harness)

    assert (3, 1) == (found["jobs", "apixo", "queued"], found["jobs", "segmind", "queued"])
    assert (4, 90) == (found["work_due", "submit"], found["work_overdue_seconds", "submit"])


def test_workers_and_held_providers(harness: Harness) -> None:
    """A worker counts while it beats; a provider that is held stands out."""
    now = harness.clock()
    with harness.db.write() as tx:
        store.work.beat(tx, "one", now)
        store.work.beat(tx, "two", now - timedelta(minutes=1))
        store.providers.hold(tx, "apixo", "no credits")
    found = counted(harness)

    assert 1 == found[("workers",)]
    assert (1, 0) == (found["provider_held", "apixo"], found["provider_held", "segmind"])


def test_ends_that_were_polled_for(harness: Harness) -> None:
    """The share that tells whether callbacks arrive, once there are enough of them."""
    for way in ("poll", "callback", "callback", "callback", "callback"):
        job = harness.new_job()
        with harness.db.write() as tx:
            ended: dict[str, Any] = {"state": JobState.FAILED, "resolved_by": way}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **ended)

    assert 0.2 == counted(harness)[("polled_share",)]


def test_anybody_may_look(harness: Harness) -> None:
    """No key is asked for, and neither account nor money is named; refused callbacks count."""
    harness.new_job("A secret fox")
    client = create_app(harness.wiring).test_client()
    client.post("/callbacks/forged", data=b"{}")
    eventually(lambda: _refused(harness))
    answer = client.get("/metrics")
    found = samples(answer.text)

    assert (200, "text/plain") == (answer.status_code, answer.mimetype)
    assert 1 == found["callbacks_refused_total", "bad_signature"]
    for secret in ("secret fox", harness.account.id, "alice", "dollar", "cost", "spent"):
        assert secret not in answer.text


def _refused(harness: Harness) -> dict[str, int]:
    with harness.db.read() as tx:
        return store.callbacks.count_rejections(tx)


def test_counted_once_in_a_while(harness: Harness) -> None:
    """However often it is asked, the rows are counted every five seconds only."""
    client = create_app(harness.wiring).test_client()
    before = _queued(client)
    harness.new_job()
    at_once = _queued(client)
    harness.clock.advance(6)

    assert (None, None, 1) == (before, at_once, _queued(client))


def _queued(client: FlaskClient) -> float | None:
    return samples(client.get("/metrics").text).get(("jobs", "apixo", "queued"))

"""A row that every worker fails at is quarantined, and those behind it go on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from support.harness import Harness

from service import store
from service.callbacks.process import process_callback
from service.catalogue.entries import Limits
from service.model import Job, JobState, Outcome
from service.store.quarantine import quarantine_on_error
from service.store.schema import jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A budget, so that a price is looked for before sending; callbacks are believed unasked."""
    prices = {"prices": {"kling-2-5-turbo-pro": 0.5}, "budget": 10}
    return prices | {"confirm_callbacks": False, "result_hosts": "cdn.example"}


def aside(harness: Harness) -> dict[str, str]:
    """Why which row is quarantined."""
    with harness.db.read() as tx:
        return {row.row_id: row.reason for row in store.quarantine.rows(tx)}


def break_row(harness: Harness, job: Job, **changes: Any) -> None:
    """A row that can be read, and makes no sense."""
    with harness.db.write() as tx:
        tx.execute(jobs.update().filter_by(id=job.id).values(**changes))


def test_queued_job(harness: Harness) -> None:
    """A job that cannot even be looked at is not sent; the next one is tried."""
    bad = harness.new_job("one")
    harness.clock.advance(1)
    good = harness.new_job("two")
    break_row(harness, bad, model="gone-model")
    harness.drain("submit")

    assert [bad.id] == list(aside(harness))
    assert "gone-model" in aside(harness)[bad.id]
    assert (JobState.QUEUED, None) == (harness.job(bad).state, harness.job(bad).due_at)
    assert "postponed" in [step.kind for step in steps(harness, good)]


def steps(harness: Harness, job: Job) -> list[Any]:
    """The job's timeline."""
    with harness.db.read() as tx:
        return store.steps.of_job(tx, job.id)


def test_held_job(harness: Harness) -> None:
    """The same for a job that waits for its hold's end."""
    held = harness.new_job("one")
    break_row(harness, held, model="gone-model", state=JobState.HELD)
    harness.drain("reconcile")

    assert [held.id] == list(aside(harness))


class Choking:
    """A provider whose adapter breaks at its orders."""

    name = "apixo"
    limits = Limits()
    scheme = None

    def parse(self, body: bytes) -> Outcome:
        """What a callback says."""
        raise ZeroDivisionError("choked")


def test_callback(harness: Harness) -> None:
    """A callback that breaks us waits for better times, byte for byte."""
    job = harness.new_job()
    break_row(harness, job, state=JobState.SUBMITTED, task_id="t")
    body = b'{"code":200,"data":{"taskId":"t","state":"processing"}}'
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    choking: Any = {"apixo": Choking()}
    for _ in range(2):
        process_callback(harness.db, choking, harness.wiring.settings, harness.clock)

    with harness.db.read() as tx:
        (kept,) = store.callbacks.of_job(tx, job.id)
    assert body == kept.body
    assert {kept.id: "ZeroDivisionError: choked"} == aside(harness)


def test_database_trouble_is_nobodys_fault(harness: Harness) -> None:
    """While the database is unavailable, no row is blamed for it."""
    job = harness.new_job()
    with (
        pytest.raises(OperationalError),
        quarantine_on_error(harness.db, "jobs", harness.clock) as held,
    ):
        held.row = job
        raise OperationalError("SELECT", {}, Exception("away"))

    assert {} == aside(harness)


def test_trouble_before_any_row(harness: Harness) -> None:
    """An error without a row to blame is raised."""
    with pytest.raises(ZeroDivisionError), quarantine_on_error(harness.db, "jobs", harness.clock):
        _ = 1 / 0

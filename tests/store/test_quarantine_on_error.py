"""A row that every worker fails at is quarantined, and those behind it go on."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Bench
from sqlalchemy.exc import OperationalError

from service import store
from service.callbacks.process import process_callback
from service.model import Job, JobState, Outcome
from service.providers.base import Limits
from service.store.quarantine import quarantine_on_error
from service.store.schema import jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A budget, so that a price is looked for before sending; callbacks are believed unasked."""
    prices = {"prices": {"kling-2-5-turbo-pro": 0.5}, "budget": 10}
    return prices | {"confirm_callbacks": False, "result_hosts": "cdn.example"}


def aside(bench: Bench) -> dict[str, str]:
    """Why which row is quarantined."""
    with bench.db.read() as tx:
        return {row.row_id: row.reason for row in store.quarantine.rows(tx)}


def break_row(bench: Bench, job: Job, **changes: Any) -> None:
    """A row that can be read, and makes no sense."""
    with bench.db.write() as tx:
        tx.execute(jobs.update().filter_by(id=job.id).values(**changes))


def test_queued_job(bench: Bench) -> None:
    """A job that cannot even be looked at is not sent; the next one is tried."""
    bad, good = bench.new_job("one"), bench.new_job("two")
    break_row(bench, bad, model="gone-model")
    bench.drain("submit")

    assert [bad.id] == list(aside(bench))
    assert "gone-model" in aside(bench)[bad.id]
    assert (JobState.QUEUED, None) == (bench.job(bad).state, bench.job(bad).due_at)
    assert "postponed" in [step.kind for step in steps(bench, good)]


def steps(bench: Bench, job: Job) -> list[Any]:
    """The job's timeline."""
    with bench.db.read() as tx:
        return store.jobs.all_steps(tx, job.id)


def test_held_job(bench: Bench) -> None:
    """The same for a job that waits for its hold's end."""
    held = bench.new_job("one")
    break_row(bench, held, model="gone-model", state=JobState.HELD)
    bench.drain("reconcile")

    assert [held.id] == list(aside(bench))


class Choking:
    """A provider whose adapter breaks at its orders."""

    name = "apixo"
    limits = Limits()

    def parse(self, body: bytes) -> Outcome:
        """What a callback says."""
        raise ZeroDivisionError("choked")


def test_callback(bench: Bench) -> None:
    """A callback that breaks us waits for better times, byte for byte."""
    job = bench.new_job()
    break_row(bench, job, state=JobState.SUBMITTED, task_id="t")
    body = b'{"code":200,"data":{"taskId":"t","state":"processing"}}'
    bench.wiring.ingest.insert(job.id, "apixo", {}, body, bench.clock())
    choking: Any = {"apixo": Choking()}
    for _ in range(2):
        process_callback(bench.db, choking, bench.wiring.settings, bench.clock)

    with bench.db.read() as tx:
        (kept,) = store.callbacks.of_job(tx, job.id)
    assert body == kept.body
    assert {kept.id: "ZeroDivisionError: choked"} == aside(bench)


def test_database_trouble_is_nobodys_fault(bench: Bench) -> None:
    """While the database is away, no row is blamed for it."""
    job = bench.new_job()
    with (
        pytest.raises(OperationalError),
        quarantine_on_error(bench.db, "jobs", bench.clock) as held,
    ):
        held.row = job
        raise OperationalError("SELECT", {}, Exception("away"))

    assert {} == aside(bench)


def test_trouble_before_any_row(bench: Bench) -> None:
    """An error without a row to blame is raised."""
    with pytest.raises(ZeroDivisionError), quarantine_on_error(bench.db, "jobs", bench.clock):
        _ = 1 / 0

"""Budgets: reserved when a job is sent, settled by what it cost, given back when refused."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Bench

from service import store
from service.jobs import budget
from service.jobs.outcomes import Resolution, fail_job, record_outcome, resolve_by_hand
from service.jobs.polling import handle_expired
from service.model import JobState, Outcome, TaskState
from service.model.error_codes import job_error

pytestmark = pytest.mark.postgresql

KLING_2: dict[str, Any] = {"model": "kling-2", "input": {"prompt": "A fox", "duration": 5}}


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Four dollars a day; a vendor that cannot be reached."""
    return {"budget": 4.0}


def left(bench: Bench) -> float | None:
    """Dollars left today."""
    with bench.db.read() as tx:
        settings, account = bench.wiring.settings, bench.account.id
        return budget.remaining(tx, settings, account, bench.clock())


def send(bench: Bench) -> Any:
    """A job of 1.75 dollars that is with the vendor."""
    job = bench.new_job(**KLING_2)
    with bench.db.write() as tx:
        changes = {"state": JobState.SUBMITTED, "sent_at": bench.clock(), "task_id": job.id}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    return bench.job(job)


def test_sent_jobs_reserve_their_highest_price(bench: Bench) -> None:
    """What may be spent is taken off as soon as a job is out, and not before."""
    bench.new_job(**KLING_2)
    before = left(bench)
    send(bench)

    assert (4.0, 2.25) == (before, left(bench))


def test_actual_cost_settles(bench: Bench) -> None:
    """The vendor's own figure replaces the estimate."""
    job = send(bench)
    outcome = Outcome(TaskState.SUCCEEDED, result_url="https://x.example/v.mp4", cost=1.0)
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "poll", bench.clock())

    assert 3.0 == left(bench)


def test_failed_jobs_give_back(bench: Bench) -> None:
    """A failure that cost nothing frees its reservation."""
    job = send(bench)
    with bench.db.write() as tx:
        fail_job(tx, job, job_error("PROVIDER_ERROR", "broken"), "poll", bench.clock())

    assert 4.0 == left(bench)


def test_given_up_jobs_keep_their_reservation(bench: Bench) -> None:
    """What a person gives up may have been made all the same, and charged."""
    job = send(bench)
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], state=JobState.UNKNOWN, task_id=None)
    unknown = bench.job(job)
    with bench.db.write() as tx:
        resolve_by_hand(tx, unknown, Resolution(), bench.clock())

    assert (JobState.FAILED, 2.25) == (bench.job(job).state, left(bench))


def test_a_new_day_is_a_new_budget(bench: Bench) -> None:
    """Yesterday's spending does not count today (UTC)."""
    send(bench)
    bench.clock.advance(12 * 3600)

    assert 4.0 == left(bench)


def test_over_budget_is_held_until_tomorrow(bench: Bench) -> None:
    """What the budget does not cover waits, is reported once, and goes out the next day."""
    send(bench)
    send(bench)
    job = bench.new_job(**KLING_2)
    bench.drain("submit")
    held = bench.job(job)
    bench.clock.advance(12 * 3600)
    bench.drain("poll", "reconcile")
    queued = bench.job(job)

    assert (JobState.HELD, "BUDGET") == (held.state, (held.error or {})["code"])
    assert JobState.QUEUED == queued.state
    with bench.db.read() as tx:
        assert ["job.held"] == [event.type for event in store.events.of_job(tx, job.id)]


def test_over_budget_at_a_door_fails(bench: Bench) -> None:
    """A door's job that the budget no longer covers when it is to go out is refused, not held."""
    send(bench)
    job = bench.new_job(source="segmind", **KLING_2)
    send(bench)
    bench.drain("submit")
    refused = bench.job(job)

    assert (JobState.FAILED, "BUDGET") == (refused.state, (refused.error or {})["code"])


def test_unknown_price_is_held(bench: Bench) -> None:
    """A model whose price nobody states is not sent blind."""
    job = bench.new_job()
    bench.drain("submit")
    held = bench.job(job)

    assert (JobState.HELD, "PRICE_UNKNOWN") == (held.state, (held.error or {})["code"])
    assert "CLIPBELL_PRICES" in (held.error or {})["hint"]


def test_price_named_later(bench: Bench) -> None:
    """Once PRICES names it, a job that was held for its price goes out, told once."""
    job = bench.new_job()
    bench.drain("submit")
    bench.clock.advance(301)
    bench.drain("poll", "reconcile")
    still = bench.job(job)
    priced = bench.wiring.settings.model_copy(update={"prices": {job.model: 0.5}})
    bench.clock.advance(301)
    handle_expired(bench.db, bench.wiring.providers, priced, bench.clock)
    queued = bench.job(job)

    assert (JobState.HELD, JobState.QUEUED) == (still.state, queued.state)
    with bench.db.read() as tx:
        assert ["job.held"] == [event.type for event in store.events.of_job(tx, job.id)]


@pytest.mark.parametrize("settings_given", [{"job_budget": 1.0}])
def test_job_budget(bench: Bench) -> None:
    """One job may not cost more than JOB_BUDGET."""
    job = bench.new_job(**KLING_2)
    bench.drain("submit")
    held = bench.job(job)

    assert (JobState.HELD, "JOB_BUDGET") == (held.state, (held.error or {})["code"])


@pytest.mark.parametrize(
    "settings_given", [{"budget": 4.0, "prices": {"kling-2-5-turbo-pro": 0.5}}]
)
def test_a_named_price_is_used(bench: Bench) -> None:
    """PRICES states what the vendor does not."""
    job = bench.new_job()

    assert (0.5, 0.5) == (job.estimated_min, job.estimated_max)

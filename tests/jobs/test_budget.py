"""Budgets: reserved when a job is sent, settled by what it cost, given back when refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.harness import Harness

from service import store
from service.catalogue.models import model_of
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


def left(harness: Harness) -> float | None:
    """Dollars left today."""
    with harness.db.read() as tx:
        settings, account = harness.wiring.settings, harness.account.id
        return budget.remaining(tx, settings, account, harness.clock())


@pytest.mark.parametrize(
    ("slug", "prices", "expected"),
    [
        ("kling-2.5-turbo", {}, [("5 s", 0.44, 0.44), ("10 s", 0.88, 0.88)]),
        ("kling-text2video", {}, [("5 s std", 0.28, 0.28), ("10 s pro", 1.96, 1.96)]),
        ("kling-2.5-turbo", {"segmind/kling-2.5-turbo": 0.3}, [("", 0.3, 0.3)]),
    ],
)
def test_price_by_length(
    slug: str, prices: dict[str, float], expected: list[tuple[str, float, float]]
) -> None:
    """A model's price by length and mode, or the operator's own for any."""
    assert expected == budget.price_by_length(prices, model_of(slug, "segmind"))


def send(harness: Harness) -> Any:
    """A job of 1.75 dollars that is with the vendor."""
    job = harness.new_job(**KLING_2)
    with harness.db.write() as tx:
        changes = {"state": JobState.SUBMITTED, "sent_at": harness.clock(), "task_id": job.id}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    return harness.job(job)


def test_sent_jobs_reserve_their_highest_price(harness: Harness) -> None:
    """What may be spent is taken off as soon as a job is out, and not before."""
    harness.new_job(**KLING_2)
    before = left(harness)
    send(harness)

    assert (4.0, 2.25) == (before, left(harness))


def test_actual_cost_settles(harness: Harness) -> None:
    """The vendor's own figure replaces the estimate."""
    job = send(harness)
    outcome = Outcome(TaskState.SUCCEEDED, result_url="https://x.example/v.mp4", cost=1.0)
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "poll", harness.clock())

    assert 3.0 == left(harness)


def test_failed_jobs_give_back(harness: Harness) -> None:
    """A failure that cost nothing frees its reservation."""
    job = send(harness)
    with harness.db.write() as tx:
        fail_job(tx, job, job_error("PROVIDER_ERROR", "broken"), "poll", harness.clock())

    assert 4.0 == left(harness)


def test_given_up_jobs_keep_their_reservation(harness: Harness) -> None:
    """What a person gives up may have been made all the same, and charged."""
    job = send(harness)
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], state=JobState.UNKNOWN, task_id=None)
    unknown = harness.job(job)
    with harness.db.write() as tx:
        resolve_by_hand(tx, unknown, Resolution(), harness.clock())

    assert (JobState.FAILED, 2.25) == (harness.job(job).state, left(harness))


def test_a_new_day_is_a_new_budget(harness: Harness) -> None:
    """Yesterday's spending does not count today (UTC)."""
    send(harness)
    harness.clock.advance(12 * 3600)

    assert 4.0 == left(harness)


def test_over_budget_is_held_until_tomorrow(harness: Harness) -> None:
    """What the budget does not cover waits, is reported once, and goes out the next day."""
    send(harness)
    send(harness)
    job = harness.new_job(**KLING_2)
    harness.drain("submit")
    held = harness.job(job)
    harness.clock.advance(12 * 3600)
    harness.drain("poll", "reconcile")
    queued = harness.job(job)

    assert (JobState.HELD, "BUDGET") == (held.state, (held.error or {})["code"])
    assert JobState.QUEUED == queued.state
    with harness.db.read() as tx:
        assert ["job.held"] == [event.type for event in store.events.of_job(tx, job.id)]


def test_over_budget_at_a_vendors_api_fails(harness: Harness) -> None:
    """Such a job that the budget no longer covers when it is to go out is refused, not held."""
    send(harness)
    job = harness.new_job(source="segmind", **KLING_2)
    send(harness)
    harness.drain("submit")
    refused = harness.job(job)

    assert (JobState.FAILED, "BUDGET") == (refused.state, (refused.error or {})["code"])


def test_unknown_price_is_held(harness: Harness) -> None:
    """A model whose price nobody states is not sent blind."""
    job = harness.new_job()
    harness.drain("submit")
    held = harness.job(job)

    assert (JobState.HELD, "PRICE_UNKNOWN") == (held.state, (held.error or {})["code"])
    assert "CLIPBELL_PRICES" in (held.error or {})["hint"]


def test_price_named_later(harness: Harness) -> None:
    """Once PRICES names it, a job that was held for its price goes out, reported once."""
    job = harness.new_job()
    harness.drain("submit")
    harness.clock.advance(301)
    harness.drain("poll", "reconcile")
    still = harness.job(job)
    priced = harness.wiring.settings.model_copy(update={"prices": {job.model: 0.5}})
    harness.clock.advance(301)
    w = harness.wiring
    handle_expired(w.db, w.providers, priced, w.signer, harness.clock)
    queued = harness.job(job)

    assert (JobState.HELD, JobState.QUEUED) == (still.state, queued.state)
    with harness.db.read() as tx:
        assert ["job.held"] == [event.type for event in store.events.of_job(tx, job.id)]


@pytest.mark.parametrize("settings_given", [{"job_budget": 1.0}])
def test_job_budget(harness: Harness) -> None:
    """One job may not cost more than JOB_BUDGET."""
    job = harness.new_job(**KLING_2)
    harness.drain("submit")
    held = harness.job(job)

    assert (JobState.HELD, "JOB_BUDGET") == (held.state, (held.error or {})["code"])


@pytest.mark.parametrize(
    "settings_given", [{"budget": 4.0, "prices": {"kling-2-5-turbo-pro": 0.5}}]
)
def test_a_named_price_is_used(harness: Harness) -> None:
    """PRICES states what the vendor does not."""
    job = harness.new_job()

    assert (0.5, 0.5) == (job.estimated_min, job.estimated_max)

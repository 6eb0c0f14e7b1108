"""How far a job has come, in figures and words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.cli.progress import doing, done, share
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import JobState
from service.model.job_json import JobJson, job_json
from service.settings import load_settings

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def job(**changes: object) -> JobJson:
    """A job of a model that takes 45 s."""
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
    asked = check_request(body, {}, Market({"apixo"}, {}, NOON.date()))
    planned = planned_job(load_settings({}), "acc_1", asked, NOON)
    return job_json(replace(planned, **changes), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, 0.0), (0, 0.0), (50, 0.45), (100, 0.9), (200, 0.945)]
)
def test_share(seconds: float, expected: float) -> None:
    """The bar keeps pace with the model's time, and slows down after it."""
    assert pytest.approx(expected) == share(seconds, 100)


def test_never_done_before_the_end() -> None:
    """However long it takes, the bar grows and is not full."""
    shares = [share(seconds, 45) for seconds in range(0, 100_000, 50)]

    assert sorted(set(shares)) == shares
    assert shares[-1] < 1


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        (JobState.QUEUED, 0, "waits for a worker"),
        (JobState.SUBMITTING, 1, "being sent to apixo"),
        (JobState.SUBMITTED, 20, "apixo works on it, about 45 s"),
        (JobState.SUBMITTED, 60, "longer than the usual 45 s"),
    ],
)
def test_what_it_waits_for(state: JobState, seconds: float, words: str) -> None:
    """Each state that passes says what it waits for, and is not done."""
    one, now = job(state=state, submitted_at=NOON), NOON + timedelta(seconds=seconds)

    assert words in doing(one, now)
    assert done(one, now) < 1


def test_at_the_end() -> None:
    """An ended job is done whatever it took; one that failed says why."""
    ended = job(state=JobState.FAILED, finished_at=NOON, error={"message": "no foxes"})

    assert (1.0, "no foxes") == (done(ended, NOON), doing(ended, NOON))
    assert "start it" == doing(job(), NOON, "start it")


def test_deleted() -> None:
    """A job of which all was deleted has ended, and no longer says how long it might take."""
    deleted = job(state=JobState.SUCCEEDED, finished_at=NOON, input={})

    assert (1.0, "") == (done(deleted, NOON), doing(deleted, NOON))


def test_harmless() -> None:
    """A provider's words command no terminal."""
    ended = job(state=JobState.FAILED, finished_at=NOON, error={"message": "no\x1b[2J\nfoxes"})

    assert "no [2J foxes" == doing(ended, NOON)

"""The phases of a job, of its copy and of its deliveries, with how long they took."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.harness import NOON, Harness

from service.model import (
    Attempt,
    CallbackState,
    Delivery,
    DeliveryState,
    Job,
    JobState,
    Step,
)
from service.store.callbacks import Arrival
from service.web.dashboard.widgets import timeline_phases as course

ENDED: dict[str, Any] = {"state": JobState.SUCCEEDED, "resolved_by": "callback"}


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def job(harness: Harness) -> Job:
    """Asked for at noon."""
    return harness.new_job()


def steps(**kinds: float) -> list[Step]:
    """Steps of these kinds at these seconds."""
    return [
        Step("job", number, kind.rstrip("_"), "", at(seconds))
        for number, (kind, seconds) in enumerate(kinds.items())
    ]


def callback(seconds: float) -> Arrival:
    """One that came then."""
    return Arrival("cbk", CallbackState.PROCESSED, "", 0, 2, at(seconds))


def report(job: Job, steps: list[Step], *came: float, end: float = 60, **changes: Any) -> list[str]:
    """Each phase with how long it took."""
    ended = replace(job, finished_at=at(end), **(ENDED | changes))
    rows = course.of_job(ended, steps, [callback(seconds) for seconds in came])
    return [f"{row.name}: {row.label}" for row in rows]


def test_straight_way(job: Job) -> None:
    """Queued, submitted, made, reported: each phase ends where the next begins."""
    walked = steps(submitting=2, submitted=3, succeeded=60)

    assert [
        "Queued: 2 s",
        "Submit: 1 s",
        "Waiting for apixo: 56 s",
        "Callback: checked in 1 s",
    ] == report(job, walked, 59)


def test_poll_after_a_false_callback(job: Job) -> None:
    """A callback that reported nothing is a mark; the poll that found the end is named."""
    walked = steps(submitting=0, submitted=1, succeeded=60)

    assert [
        "Queued: 0 s",
        "Submit: 1 s",
        "Waiting for apixo: 59 s",
        "Callback: came at 12:00:30",
        "Poll: found the result at 12:01:00",
    ] == report(job, walked, 30, resolved_by="poll")


def test_many_callbacks(job: Job) -> None:
    """Of several callbacks it says how many came, and how long the last one was checked."""
    walked = steps(submitting=0, submitted=1, succeeded=60)

    assert "Callback: 2 came, checked in 5 s" in report(job, walked, 30, 55)
    assert "Callback: 2 came, last at 12:00:55" in report(job, walked, 30, 55, resolved_by="poll")


def test_detours(job: Job) -> None:
    """Being postponed, held and lost are phases; those of one kind are added up."""
    walked = steps(submitting=1, postponed=2, submitting_=5, held=6, queued=16, unknown=20)
    walked += steps(adopted=50, failed=60)

    assert [
        "Queued: 8 s",
        "Submit: 2 s",
        "On hold: 10 s",
        "No response (status unknown): 30 s",
        "Waiting for apixo: 10 s",
    ] == report(job, walked, state=JobState.FAILED, resolved_by="poll")[:-1]


def test_call_that_held_the_answer(job: Job) -> None:
    """Where one call brought the video there was no waiting."""
    walked = steps(submitting=1, submitted=60, succeeded=60)
    words = report(job, walked, resolved_by="answer", submitted_at=at(60))

    assert ["Queued: 1 s", "Sent to apixo, answered with the video: 59 s"] == words


def test_adopted_job(job: Job) -> None:
    """A callback during a create that is never answered shortens neither it nor the silence."""
    walked = steps(submitting=0, unknown=60, adopted=62, succeeded=62)

    assert [
        "Queued: 0 s",
        "Submit: 1 min",
        "No response (status unknown): 2 s",
        "Callback: checked in 59 s",
    ] == report(job, walked, 3, end=62)


def test_what_goes_on(job: Job) -> None:
    """The phase that a job is in says since when."""
    rows = course.of_job(job, steps(submitting=1), [])

    assert ["1 s", "since 12:00:01"] == [row.label for row in rows]
    assert rows[-1].spans[-1].end is None


def test_expected_end_stands_still(job: Job) -> None:
    """The end of the axis moves only when it is reached, and then as far again."""
    ends = [course.expected_end(job, at(seconds)) for seconds in (0, 44, 45, 89, 90)]

    assert [at(45), at(45), at(90), at(90), at(180)] == ends
    assert course.expected_end(replace(job, state=JobState.FAILED), NOON) is None


@pytest.mark.parametrize(
    ("states", "tries", "label"),
    [
        (["delivered"], 1, "1 delivered in 7 s"),
        (["delivered", "delivered"], 3, "2 delivered in 7 s"),
        (["delivered", "exhausted"], 1, "1 delivered, 1 given up in 7 s"),
        (["delivered", "pending"], 2, "1 delivered, 1 pending"),
        (["pending"], 0, "1 pending"),
    ],
)
def test_deliveries(states: list[str], tries: int, label: str) -> None:
    """All of a job's deliveries are one row, its line open while one of them waits."""
    rows = []
    for state in map(DeliveryState, states):
        end = None if state is DeliveryState.PENDING else at(7)
        row = Delivery("d", "a", "e", "j", "s", "slack", state, tries, None, 0, None, NOON, end)
        rows.append(row)
    attempts = [Attempt("d", n, 500, "no" if n else None, "", 250, at(n)) for n in range(tries)]
    (found,) = course.of_deliveries([(row, attempts) for row in rows])

    assert label == found.label
    assert len(states) * tries == len(found.spans) == len([s for s in found.spans if s.end])
    assert ("pending" in states) == (found.line is not None and found.line.end is None)


def test_no_delivery() -> None:
    """Where nobody is notified there is no row."""
    assert [] == course.of_deliveries([])

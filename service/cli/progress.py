"""How far a job has come, as a share and in words; for `submit --wait` and `watch`."""

from __future__ import annotations

from datetime import datetime

from service.catalogue.models import MODELS
from service.formatting import format_duration
from service.messages.content import plain
from service.model import TERMINAL, Job, JobState

#: Where the bar stands when the model's time is over but the video is not there.
USUAL_SHARE = 0.9
#: What a bar never passes before the end.
HIGHEST_SHARE = 0.99


def share(seconds: float, expected: float) -> float:
    """How much of a generation is probably done after so long: below 1 however long it takes."""
    if seconds <= expected:
        return USUAL_SHARE * max(seconds, 0.0) / expected
    return USUAL_SHARE + (HIGHEST_SHARE - USUAL_SHARE) * (1 - expected / seconds)


def expected_seconds(job: Job) -> float:
    """How long the vendor says that this job takes."""
    return MODELS[job.model].expected(job.input)


def seconds_of(job: Job, now: datetime) -> float:
    """How long the provider has had it, or had it in all; before that, 0."""
    began = job.submitted_at or job.sent_at
    return ((job.finished_at or now) - began).total_seconds() if began else 0.0


def done(job: Job, now: datetime) -> float:
    """How much of the job is done, from 0 to 1; 1 is the end."""
    return 1.0 if job.state in TERMINAL else share(seconds_of(job, now), expected_seconds(job))


def doing(job: Job, now: datetime, trouble: str = "") -> str:
    """
    What the job waits for.

    Args:
        trouble: what keeps jobs from going out; blank for nothing.
    """
    match job.state:
        case JobState.QUEUED:
            return trouble or "waits for a worker"
        case JobState.SUBMITTING:
            return f"is being sent to {job.provider}"
        case JobState.SUBMITTED:
            return _generation(job, now)
    return plain(job.error["message"]) if job.error else ""


def _generation(job: Job, now: datetime) -> str:
    expected = expected_seconds(job)
    if seconds_of(job, now) <= expected:
        return f"{job.provider} works on it, about {format_duration(expected)} in all"
    return f"{job.provider} takes longer than its {format_duration(expected)}; we go on asking"

"""The progress of a job, as a share and in words; for `submit --wait` and `watch`."""

from __future__ import annotations

from datetime import datetime

from service.catalogue.models import model_of
from service.formatting import format_duration
from service.messages.content import plain
from service.model import TERMINAL, JobState
from service.model.job_json import JobJson

#: Where the bar stands when the model's time is over but the video is not there.
USUAL_SHARE = 0.9
#: The bar stays at or below this share until the end.
HIGHEST_SHARE = 0.99


def share(seconds: float, expected: float) -> float:
    """The share of a generation that is probably done after so many seconds, always below 1."""
    if seconds <= expected:
        return USUAL_SHARE * max(seconds, 0.0) / expected
    return USUAL_SHARE + (HIGHEST_SHARE - USUAL_SHARE) * (1 - expected / seconds)


def expected_seconds(job: JobJson) -> float:
    """The seconds that the vendor says this job takes."""
    return model_of(job["model"], job["provider"]).expected(job["input"])


def seconds_of(job: JobJson, now: datetime) -> float:
    """The seconds that the vendor has had it, or had it in all; before that, 0."""
    began = job["submitted_at"]
    if began is None and job["state"] == JobState.SUBMITTING:
        # Some vendors answer only at the end.
        began = job["created_at"]
    if began is None:
        return 0.0
    end = datetime.fromisoformat(job["finished_at"]) if job["finished_at"] else now
    return (end - datetime.fromisoformat(began)).total_seconds()


def done(job: JobJson, now: datetime) -> float:
    """The share of the job that is done, from 0 to 1; 1 is the end."""
    return 1.0 if job["state"] in TERMINAL else share(seconds_of(job, now), expected_seconds(job))


def doing(job: JobJson, now: datetime, trouble: str = "") -> str:
    """
    The step that the job waits for, as a sentence.

    Args:
        trouble: what keeps jobs from going out; blank for nothing.
    """
    match job["state"]:
        case JobState.QUEUED:
            return trouble or "waits for a worker"
        case JobState.SUBMITTING:
            return f"is being sent to {job['provider']}"
        case JobState.SUBMITTED if seconds_of(job, now) <= expected_seconds(job):
            usual = format_duration(expected_seconds(job))
            return f"{job['provider']} works on it, about {usual} in all"
        case JobState.SUBMITTED:
            usual = format_duration(expected_seconds(job))
            return f"{job['provider']} takes longer than the usual {usual}; polling goes on"
    return plain(job["error"]["message"]) if job["error"] else ""

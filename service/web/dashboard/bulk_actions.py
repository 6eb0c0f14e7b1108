"""Bulk actions on the selected jobs of the list, with a one-line result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service.deliveries.redelivery import redeliver_final_event
from service.errors import Conflict, NotFound, TooOften
from service.formatting import as_sentence
from service.jobs.requests import cancel_job
from service.model import Job
from service.web.context import get_or_404, wiring
from service.web.dashboard.jobs import filters
from service.web.pagination import LONGEST_PAGE
from service.web.session import signed_in

blueprint = Blueprint("selection", __name__)

T = TypeVar("T")

#: Acts on one job. Returns one string per attempted step: blank if done, else the reason.
Action = Callable[[Connection, Job], list[str]]


@blueprint.post("/jobs/selected/cancel")
@signed_in("submit")
def cancel() -> AnyResponse:
    """Cancel the selected jobs."""

    def action(tx: Connection, job: Job) -> list[str]:
        cancel_job(tx, job, wiring().clock())
        return [""]

    return _done(action, "canceled")


@blueprint.post("/jobs/selected/resend")
@signed_in("submit")
def resend() -> AnyResponse:
    """Resend the final events of the selected jobs."""

    def action(tx: Connection, job: Job) -> list[str]:
        return redeliver_final_event(tx, job, wiring().clock())

    return _done(action, "sent again")


def _done(action: Action, word: str) -> AnyResponse:
    """Act on each job alone, in the order of their ids; then show the list with the result."""
    ids = sorted(set(request.form.getlist("job")))[:LONGEST_PAGE]
    results = [result for job_id in ids for result in tried(Job, job_id, action)]
    text = summary(results, word) if ids else "Nothing was selected: tick a job first."
    flash(text)
    again: dict[str, Any] = {**filters(request.form)}
    return redirect(url_for("dashboard.jobs.index", **again), 303)


def tried(kind: type[T], row_id: str, action: Callable[[Connection, T], list[str]]) -> list[str]:
    """Act on the caller's row with this id, see `Action`."""
    try:
        with wiring().db.write() as tx:
            return action(tx, get_or_404(tx, kind, row_id))
    except (Conflict, NotFound, TooOften) as error:
        return [str(error)]


def summary(results: list[str], word: str) -> str:
    """
    A line such as "3 canceled. 2 could not be: the job is submitted."

    Args:
        results: a blank string for each success, else the reason of the failure.
    """
    # The advice after a colon is for one job; here it would hide the numbers.
    reasons = Counter(reason.partition(": ")[0] for reason in results if reason)
    parts = [f"{results.count('')} {word}"]
    parts += [f"{count} could not be: {reason}" for reason, count in reasons.most_common()]
    return " ".join(as_sentence(part) for part in parts)

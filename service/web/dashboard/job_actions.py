"""The actions of a job's page; the page reports a failed one."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from service.errors import Conflict, FieldError, InvalidInput
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.requests import cancel_job, mute_job
from service.model import Job
from service.videos.retention import erase_job
from service.web.context import get_or_404, wiring
from service.web.dashboard.job import show_problem
from service.web.errors import Problem, as_problem
from service.web.session import signed_in

blueprint = Blueprint("job_actions", __name__)


@blueprint.post("/jobs/<job_id>/cancel")
@signed_in("submit")
def cancel(job_id: str) -> AnyResponse:
    """Cancel the job."""
    return _act(job_id, lambda tx, job: cancel_job(tx, job, wiring().clock()))


@blueprint.post("/jobs/<job_id>/mute")
@signed_in("submit")
def mute(job_id: str) -> AnyResponse:
    """Mute the job."""
    return _act(job_id, lambda tx, job: mute_job(tx, job, wiring().clock()))


@blueprint.post("/jobs/<job_id>/resolve")
@signed_in("submit")
def resolve(job_id: str) -> AnyResponse:
    """Resolve an unknown job as the person decided."""
    return _act(job_id, lambda tx, job: resolve_by_hand(tx, job, resolution(), wiring().clock()))


def resolution() -> Resolution:
    """The decision in the form. Raises InvalidInput without a task id or the confirmation."""
    match request.form.get("how"):
        case "task":
            return Resolution(task_id=request.form.get("task_id", ""))
        case "resend":
            if request.form.get("sure") != "yes":
                raise _fault("sure", "confirm that it may be paid for twice, then send it again")
            return Resolution(resend=True)
        case "fail":
            return Resolution()
    raise _fault("how", "must be task, resend or fail")


def _fault(name: str, message: str) -> InvalidInput:
    return InvalidInput([FieldError(f"/{name}", "required", message)])


@blueprint.post("/jobs/<job_id>/erase")
@signed_in("admin")
def erase(job_id: str) -> AnyResponse:
    """Delete the content of the job for good."""
    w = wiring()
    with w.db.read() as tx:
        job = get_or_404(tx, Job, job_id)
    try:
        if request.form.get("sure") != "yes":
            raise _fault("sure", "confirm that the video is to be deleted permanently")
        erase_job(w.db, w.uploads, job, w.clock())
    except (Conflict, InvalidInput) as error:
        return show_problem(job_id, _problem_on_page(error))
    flash("Deleted: the video and all content of the job.")
    return redirect(url_for("dashboard.job.show", job_id=job_id), 303)


def _act(job_id: str, action: Callable[[Connection, Job], None]) -> AnyResponse:
    """Act, then show the job's page, also after a failure."""
    try:
        with wiring().db.write() as tx:
            action(tx, get_or_404(tx, Job, job_id))
    except (Conflict, InvalidInput) as error:
        return show_problem(job_id, _problem_on_page(error))
    return redirect(url_for("dashboard.job.show", job_id=job_id), 303)


def _problem_on_page(error: Exception) -> Problem:
    if isinstance(error, InvalidInput):
        return Problem(422, error.faults[0].message)
    return as_problem(error)

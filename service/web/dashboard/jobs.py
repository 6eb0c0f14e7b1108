"""The list of jobs."""

from __future__ import annotations

import re

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from service import budget, store
from service.model import TERMINAL, JobState
from service.web.context import caller, wiring
from service.web.dashboard.links import poster_path
from service.web.session import live_page, signed_in

blueprint = Blueprint("jobs", __name__)

PAGE = 25
_JOB_ID = re.compile(r"job_[0-9a-f]{32}")


@blueprint.get("/")
@signed_in("read")
def index() -> AnyResponse:
    """The account's jobs, newest first."""
    state = request.args.get("state", "")
    before = request.args.get("before", "")
    wanted = state if state in list(JobState) else None
    last = before if _JOB_ID.fullmatch(before) else None
    with wiring().db.read() as tx:
        found = store.jobs.page(tx, caller().account_id, PAGE + 1, before=last, state=wanted)
        videos = store.videos.of_jobs(tx, [job.id for job in found])
        counts = store.jobs.counts(tx, caller().account_id)
        spent = budget.spent_today(tx, caller().account_id, wiring().clock())
    return live_page(
        "jobs.html",
        "_jobs.html",
        shape="list",
        rows=[(job, poster_path(videos.get(job.id))) for job in found[:PAGE]],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        counts={name: counts.get(name, 0) for name in JobState if name in counts or name == wanted},
        active=any(job.state not in TERMINAL for job in found[:PAGE]),
        spent=spent,
        budget=wiring().settings.budget,
        public_url=wiring().settings.public_url,
        state=wanted,
        before=last,
    )

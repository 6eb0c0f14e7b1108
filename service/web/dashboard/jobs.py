"""The list of jobs: filtered, searched, live."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from flask import Blueprint, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from service import store
from service.catalogue.models import MODELS
from service.jobs import budget
from service.model import TERMINAL, JobState
from service.web.context import caller, wiring
from service.web.dashboard.links import poster_path
from service.web.session import live_page, signed_in

blueprint = Blueprint("jobs", __name__)

PAGE_ROWS = 25
#: What can be chosen as the time that a job was asked for in.
SPANS = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
#: No prompt is longer, and no search need be.
LONGEST_SEARCH = 200
_JOB_ID = re.compile(r"job_[0-9a-f]{32}")


@blueprint.get("/")
@signed_in("read")
def index() -> AnyResponse:
    """The account's jobs, newest first."""
    given = filters(request.args)
    which, account_id, now = _which(given), caller().account_id, wiring().clock()
    with wiring().db.read() as tx:
        limits = {"before": given.get("before"), "state": given.get("state")}
        found = store.jobs.page(tx, account_id, PAGE_ROWS, **limits, **which)
        videos = store.videos.of_jobs(tx, [job.id for job in found])
        counts = store.jobs.counts(tx, account_id, **which)
        spent = budget.spent_today(tx, account_id, now)
        fresh = not found and not given
        listeners = len(store.subscriptions.all_of(tx, account_id)) if fresh else 0
    wanted = given.get("state")
    return live_page(
        "jobs.html",
        "_jobs.html",
        shape="list",
        rows=[(job, poster_path(videos.get(job.id))) for job in found],
        older=found.older,
        counts={name: counts.get(name, 0) for name in JobState if name in counts or name == wanted},
        # A fresh account's page waits for the first job, however that is asked for.
        active=fresh or any(job.state not in TERMINAL for job in found),
        listeners=listeners,
        vendors=list(wiring().providers),
        spent=spent,
        budget=wiring().settings.budget,
        public_url=wiring().settings.public_url,
        given=given,
        models=MODELS,
        spans=SPANS,
        # Not what comes in later: nobody has looked at that.
        picked="pick" in request.args and "live" not in request.args,
    )


def filters(given: MultiDict[str, str]) -> dict[str, str]:
    """What of a query or a form narrows the list: only what is sensible, the rest is dropped."""
    text = " ".join(given.get("q", "").replace("\x00", "").split())[:LONGEST_SEARCH]
    wanted = {name: given.get(name, "") for name in ("state", "model", "since", "before")}
    known = {
        "state": wanted["state"] in list(JobState),
        "model": wanted["model"] in MODELS,
        "since": wanted["since"] in SPANS,
        "before": _JOB_ID.fullmatch(wanted["before"]),
    }
    return {name: wanted[name] for name in wanted if known[name]} | ({"q": text} if text else {})


def _which(given: dict[str, str]) -> dict[str, Any]:
    """The filters besides state and page, as the store takes them."""
    which: dict[str, Any] = {"model": given.get("model"), "search": given.get("q")}
    if "since" in given:
        which["since"] = wiring().clock() - SPANS[given["since"]][1]
    return which

"""The list of jobs, with filters, search and live updates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
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
from service.web.dashboard.lists import (
    CREATED,
    PAGE_ROWS,
    SPANS,
    Select,
    begin_of,
    list_page,
    sensible,
)
from service.web.session import signed_in

blueprint = Blueprint("jobs", __name__)

#: The longest search; no prompt is longer.
LONGEST_SEARCH = 200
_JOB_ID = re.compile(r"job_[0-9a-f]{32}")


@blueprint.get("/")
@signed_in("read")
def index() -> AnyResponse:
    """The account's jobs, newest first."""
    given = filters(request.args)
    account_id, now = caller().account_id, wiring().clock()
    which: dict[str, Any] = {"model": given.get("model"), "search": given.get("q")}
    which |= begin_of(given)
    with wiring().db.read() as tx:
        limits = {"before": given.get("before"), "state": given.get("state")}
        found = store.job_lists.page(tx, account_id, PAGE_ROWS, **limits, **which)
        videos = store.videos.of_jobs(tx, [job.id for job in found])
        # A search with few results has read all prompts: do not read them again for a count.
        complete = not (found.older or limits["before"] or limits["state"])
        counts: Mapping[str, int] = Counter(job.state for job in found)
        if not complete:
            counts = store.job_lists.counts(tx, account_id, **which)
        spent = budget.spent_today(tx, account_id, now)
        unpriced = budget.unpriced_today(tx, account_id, now)
        fresh = not found and not given
        listeners = len(store.subscriptions.all_of(tx, account_id)) if fresh else 0
    wanted = given.get("state")
    models = [(slug, model.title) for slug, model in MODELS.items()]
    return list_page(
        "_jobs.html",
        "Jobs",
        given,
        [Select("model", "Model", "Any model", models), CREATED],
        searched=True,
        rows=[(job, poster_path(videos.get(job.id))) for job in found],
        older=found.older,
        counts={name: counts.get(name, 0) for name in JobState if name in counts or name == wanted},
        # The page of a new account waits for the first job, from whatever source.
        active=fresh or any(job.state not in TERMINAL for job in found),
        listeners=listeners,
        vendors=list(wiring().providers),
        spent=spent,
        unpriced=unpriced,
        budget=wiring().settings.budget,
        public_url=wiring().settings.public_url,
    )


def filters(given: MultiDict[str, str]) -> dict[str, str]:
    """The valid filters in a query or a form; the rest is dropped."""
    text = " ".join(given.get("q", "").replace("\x00", "").split())[:LONGEST_SEARCH]
    found = sensible(
        given,
        state=list(JobState).__contains__,
        model=MODELS.__contains__,
        since=SPANS.__contains__,
        before=_JOB_ID.fullmatch,
    )
    return found | ({"q": text} if text else {})

"""``/v1/ledger``: the estimated costs of jobs compared with the vendors' charges."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response

from service import store
from service.jobs.budget import midnight
from service.jobs.ledger import (
    USUAL_DAYS,
    USUAL_HISTORY,
    compare_all,
    ledger_day_json,
    unmatched_task_json,
)
from service.jobs.lookup import job_in_url
from service.web.context import caller, json_response, needs, wiring
from service.web.query import moment

blueprint = Blueprint("ledger", __name__, url_prefix="/v1/ledger")


@blueprint.get("")
@needs("read", since=moment)
def list_days(since: datetime | None) -> Response:
    """
    Estimated and actual costs by day and vendor, the newest day first.

    It covers the last 30 days, or the time from the day of `since`.
    """
    w = wiring()
    first_day = midnight(since or w.clock() - USUAL_DAYS)
    with w.db.read() as tx:
        days = store.reports.ledger(tx, caller().account_id, first_day)
    return json_response({"data": [ledger_day_json(day) for day in days], "next_cursor": None})


@blueprint.get("/unmatched")
@needs("operator", since=moment)
def list_unmatched(since: datetime | None) -> Response:
    """
    Tasks in vendors' lists that belong to no job here: of the last day, or after `since`.

    The service asks the vendors now. Vendors without a list of tasks are left out.
    """
    w = wiring()
    first = since or w.clock() - USUAL_HISTORY
    job_of = job_in_url(w.signer, w.clock())
    found, troubles = compare_all(w.db, w.providers, w.settings, first, job_of)
    data = [unmatched_task_json(task) for task in found]
    return json_response({"data": data, "next_cursor": None, "errors": troubles})

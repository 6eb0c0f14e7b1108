"""``/v1/batches``: many jobs in one request, each created only once."""

from __future__ import annotations

from flask import Blueprint, Response

from service.jobs.batches import (
    Checked,
    PlanJson,
    check_rows,
    parse_rows,
    plan_rows,
    request_rows,
)
from service.web.context import (
    JOB_BYTES,
    caller,
    channels,
    json_body,
    json_response,
    needs,
    wiring,
)

blueprint = Blueprint("batches", __name__, url_prefix="/v1/batches")


@blueprint.post("")
@needs("submit")
def create() -> Response:
    """
    Create up to 50 jobs, all or none.

    A row's `key` belongs to one job for good. If you send the row again, even days later,
    the answer has the id of the first job.
    """
    w, work = wiring(), _checked()
    account_id, now = caller().account_id, w.clock()
    made = request_rows(w.db, w.encryptor, w.settings, w.uploads, account_id, work, now)
    return json_response({"data": made}, 202)


@blueprint.post("/dry-run")
@needs("submit")
def dry_run() -> Response:
    """Check the rows of a batch and add up their prices; nothing is sent."""
    w, work = wiring(), _checked()
    plan: PlanJson = plan_rows(w.db, w.settings, caller().account_id, work, w.clock())
    return json_response(plan)


def _checked() -> list[Checked]:
    return check_rows(parse_rows(json_body(JOB_BYTES)), channels(), wiring().market())

"""One job for the service on this machine: what it would be, and the job itself."""

from __future__ import annotations

from typing import Any

from service.cli.here import acting_account, jobs_json, open_here
from service.cli.wired import open_wiring
from service.jobs import budget
from service.jobs.requests import check_request, planned_job, request_job, with_saved_images
from service.jobs.submission import preview
from service.model.job_json import DryRunJson, JobJson


def estimate(body: dict[str, Any]) -> DryRunJson:
    """What the job would be; nothing is written. Raises InvalidInput."""
    wiring = open_wiring()
    request, now = check_request(body, wiring.channels, wiring.market()), wiring.clock()
    with wiring.db.read() as tx:
        job = planned_job(wiring.settings, acting_account(tx).id, request, now)
        objection = budget.objection(tx, wiring.settings, job, now)
    return preview(wiring.providers, wiring.settings, wiring.signer, job, request.choice, objection)


def submit_job(body: dict[str, Any]) -> JobJson:
    """The new job, to be sent by the worker. Raises InvalidInput."""
    wiring = open_wiring()
    request, now = check_request(body, wiring.channels, wiring.market()), wiring.clock()
    request = with_saved_images(wiring.uploads, request, now)
    with wiring.db.write() as tx:
        account_id = acting_account(tx).id
        job = request_job(tx, wiring.encryptor, wiring.settings, account_id, request, now)
    return jobs_json(open_here(), [job])[0]

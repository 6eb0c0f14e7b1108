"""`export`: all that is known of one job, for keeping or for somebody who helps."""

from __future__ import annotations

import json

from service import store
from service.cli.here import jobs_json, open_here, own_job
from service.cli.output import JobArgument, JsonOption, print_json
from service.jobs.timeline import timeline
from service.model.callback_json import full_callback_json
from service.model.delivery_json import full_delivery_json
from service.ops.logs import masked

#: Headers of a callback that prove who sent it.
_PROOFS = ("authorization", "cookie", "signature", "token", "api-key", "secret")


def export(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """
    Print everything about one job as JSON, without secrets.

    It helps whoever has to find out what happened.

    Examples:
      clipbell export job_01a2b3c4 > job.json
    """
    opened = open_here()
    with opened.db.read() as tx:
        job = own_job(tx, job_id)
        callbacks = store.callbacks.of_job(tx, job.id)
        deliveries = store.deliveries.of_job(tx, job.id)
        ids = [delivery.id for delivery in deliveries]
        attempts = store.deliveries.all_attempts(tx, ids)
        # Not `exchanges_of`: no target is in what is handed on.
        exchanges = store.deliveries.all_exchanges(tx, ids)
        entries = timeline(tx, job)
    received = [full_callback_json(one) for one in callbacks]
    for callback in received:
        callback["headers"] = {
            name: "***" if any(word in name.lower() for word in _PROOFS) else value
            for name, value in callback["headers"].items()
        }
    document = {
        "job": jobs_json(opened, [job])[0],
        "timeline": entries,
        "callbacks": received,
        "deliveries": [full_delivery_json(one, attempts, exchanges) for one in deliveries],
    }
    document = json.loads(masked(json.dumps(document)))
    print_json(document, None if json_ else 2)

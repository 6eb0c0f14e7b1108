"""`export`: all that is known of one job, for keeping or for somebody who helps."""

from __future__ import annotations

import json

from service import store
from service.cli.account_option import own_job
from service.cli.jobs import shown_job
from service.cli.output import JobArgument, JsonOption, open_wiring, print_json
from service.jobs.timeline import timeline
from service.model.callback_json import full_callback_json
from service.model.delivery_json import full_delivery_json
from service.ops.logs import masked

#: Headers of a callback that prove who sent it.
_PROOFS = ("authorization", "cookie", "signature", "token", "api-key", "secret")


def export(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """Print one job with everything that belongs to it as JSON, without secrets."""
    wiring = open_wiring()
    job = own_job(wiring, job_id)
    with wiring.db.read() as tx:
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
        "job": shown_job(wiring, job),
        "timeline": entries,
        "callbacks": received,
        "deliveries": [full_delivery_json(one, attempts, exchanges) for one in deliveries],
    }
    document = json.loads(masked(json.dumps(document)))
    print_json(document, None if json_ else 2)

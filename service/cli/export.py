"""`export`: all that is known of one job, for keeping or for somebody who helps."""

from __future__ import annotations

import json
from typing import Any

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import own_job
from service.cli.jobs import shown_job
from service.cli.output import JobArgument, JsonOption, open_wiring, print_json
from service.jobs.timeline import timeline
from service.model import Job
from service.model.serializers import callback_content, callback_json, delivery_json
from service.ops.logs import masked

#: Headers of a callback that prove who sent it.
_PROOFS = ("authorization", "cookie", "signature", "token", "api-key", "secret")


def export(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """One job with all that belongs to it, as JSON. No secret or token is in it."""
    wiring = open_wiring()
    whole = json.loads(masked(json.dumps(_whole(wiring, own_job(wiring, job_id)))))
    if json_:
        print_json(whole)
    else:
        print(json.dumps(whole, indent=2, ensure_ascii=False))


def _whole(wiring: Wiring, job: Job) -> dict[str, Any]:
    with wiring.db.read() as tx:
        callbacks = store.callbacks.of_job(tx, job.id)
        deliveries = store.deliveries.of_job(tx, job.id)
        attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in deliveries])
        entries = timeline(tx, job)
    said = [{**callback_json(one), **callback_content(one)} for one in callbacks]
    return {
        "job": shown_job(wiring, job),
        "timeline": entries,
        "callbacks": [{**one, "headers": _harmless(one["headers"])} for one in said],
        "deliveries": [delivery_json(delivery, attempts) for delivery in deliveries],
    }


def _harmless(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: "***" if any(word in name.lower() for word in _PROOFS) else value
        for name, value in headers.items()
    }

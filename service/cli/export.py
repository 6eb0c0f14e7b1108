"""`export`: all that is known of one job, for keeping or for somebody who helps."""

from __future__ import annotations

import json
from typing import Any

from service import store
from service.cli.ask import Request, call
from service.cli.here import jobs_json, open_here, own_job
from service.cli.jobs import ONE
from service.cli.output import JobArgument, JsonOption, print_json
from service.formatting import mask_target
from service.jobs.timeline import timeline
from service.model.callback_json import full_callback_json
from service.model.delivery_json import full_delivery_json
from service.ops.logs import masked
from service.settings import Remote, remote_service

#: More callbacks or deliveries of one job are left out.
MOST = 1000
#: Headers of a callback that prove who sent it.
_PROOFS = ("authorization", "cookie", "signature", "token", "api-key", "secret")


def export(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """
    Print everything about one job as JSON, without secrets.

    Use it to find out what happened.

    Examples:
      clipbell export job_01a2b3c4 > job.json
    """
    there = remote_service()
    document = _from_here(job_id) if there is None else _from_api(there, job_id)
    for callback in document["callbacks"]:
        callback["headers"] = {
            name: "***" if any(word in name.lower() for word in _PROOFS) else value
            for name, value in callback["headers"].items()
        }
    print_json(json.loads(masked(json.dumps(document))), None if json_ else 2)


def _from_here(job_id: str) -> dict[str, Any]:
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
    return {
        "job": jobs_json(opened, [job])[0],
        "timeline": entries,
        "callbacks": [full_callback_json(one) for one in callbacks],
        "deliveries": [full_delivery_json(one, attempts, exchanges) for one in deliveries],
    }


def _from_api(there: Remote, job_id: str) -> dict[str, Any]:
    job = call(there, Request("GET", ONE, job_id))
    found = {
        "job": job,
        "timeline": call(there, Request("GET", f"{ONE}/timeline", job["id"]))["data"],
    }
    for name in ("callbacks", "deliveries"):
        listed = call(there, Request("GET", f"/v1/{name}", query={"job_id": job["id"]}, limit=MOST))
        # Oldest first, as the timeline.
        ids = [one["id"] for one in reversed(listed)]
        found[name] = [call(there, Request("GET", f"/v1/{name}/{{}}", id_)) for id_ in ids]
    sent = [a["request"] for one in found["deliveries"] for a in one["attempts"] if a["request"]]
    for request in sent:
        request["url"] = mask_target(request["url"])
    return found

"""What tests of the dashboard share: a browser signed in, jobs that ended, forms pressed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from web.test_session import HERE, KEYS, form_token
from werkzeug.test import TestResponse

from service import store
from service.accounts import create_key
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import subscribe
from service.jobs.answers import mark_unknown
from service.jobs.outcomes import record_outcome
from service.model import (
    Callback,
    CallbackState,
    Delivery,
    Job,
    JobState,
    Outcome,
    TaskState,
    new_id,
)
from service.model.error_codes import job_error
from service.sandbox.rendering.render import Scene, render_video
from service.sandbox.serving import AppServer
from service.web.app import create_app
from service.web.session import login_url
from support.harness import Harness
from support.sandboxes import FRAME_RATE

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def browser_of(harness: Harness, account_id: str, *scopes: str) -> FlaskClient:
    """A browser that is signed in to that account; with a new key of these `scopes` only."""
    client = create_app(harness.wiring).test_client()
    with harness.db.write() as tx:
        if scopes:
            create_key(tx, account_id, "narrow", scopes, harness.clock())
        keys = store.accounts.keys(tx, account_id)
    key = next(key for key in keys if not scopes or key.name == "narrow")
    client.get(login_url("", KEYS, key.id, harness.clock()))
    return client


def succeed(harness: Harness, job: Job, height: int = 90) -> Job:
    """End the job with a real video, copied and with its poster."""
    name = f"{new_id('vid', harness.clock())}.mp4"
    with harness.wiring.storage.writing(name) as file:
        render_video(Path(file.name), Scene(str(job.input["prompt"])), height, FRAME_RATE)
    outcome = Outcome(TaskState.SUCCEEDED, result_file=name, cost=0.42)
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "callback", harness.clock())
    harness.drain("archive")
    return harness.job(job)


def sent(harness: Harness, **changes: Any) -> Job:
    """A job that went out and has ended just now; columns in `changes` are otherwise."""
    job, now = harness.new_job(), harness.clock()
    given = {"state": JobState.SUCCEEDED, "sent_at": now, "submitted_at": now, "finished_at": now}
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], **given | changes)
    return harness.job(job)


def called_back_after(harness: Harness, seconds: float, **changes: Any) -> Job:
    """A job whose callback comes so long after it went out, and tells its end."""
    job = sent(harness, **{"resolved_by": "callback", "actual_cost": 0.42} | changes)
    came = harness.clock() + timedelta(seconds=seconds)
    harness.wiring.ingest.insert(job.id, job.provider, {}, b'{"state": "success"}', came)
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [job.state], finished_at=came)
    return harness.job(job)


def fail(harness: Harness, job: Job, message: str) -> Job:
    """End the job without a video."""
    outcome = Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", message, "E42"))
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "poll", harness.clock())
    return harness.job(job)


def lost(harness: Harness, prompt: str = "A fox") -> Job:
    """A job that was sent and got no answer."""
    job = harness.new_job(prompt)
    with harness.db.write() as tx:
        mark_unknown(tx, job, "no answer within 60 s", harness.clock())
    return harness.job(job)


def called_back(harness: Harness, job: Job, body: bytes, **headers: str) -> Callback:
    """A callback that came for the job, and was looked at."""
    harness.wiring.ingest.insert(job.id, "apixo", headers, body, harness.clock())
    with harness.db.write() as tx:
        found = store.callbacks.of_job(tx, job.id)[-1]
        done = {"state": CallbackState.PROCESSED, "note": "it was of no use", "due_at": None}
        store.callbacks.settle_claimed(tx, found, **done)
    return found


def subscribed(harness: Harness, url: str, **more: Any) -> None:
    """alice hears of everything at that address; `more` is what else the request says."""
    body = {"channel": "webhook", "target": url} | more
    spec = parse_subscription(harness.wiring.channels, body, "")
    with harness.db.write() as tx:
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())


def called_back_in_time(harness: Harness) -> Job:
    """A job that failed, and of which everybody was notified at the first or the second attempt."""
    job = fail(harness, harness.new_job(), "no")
    harness.drain("deliver")
    harness.clock.advance(10)
    harness.drain("deliver")
    return job


def deliveries(harness: Harness, job: Job) -> list[Delivery]:
    """The job's deliveries."""
    with harness.db.read() as tx:
        return store.deliveries.of_job(tx, job.id)


def press(client: FlaskClient, page: str, action: str, **more: str) -> Any:
    """Send a form of that page."""
    token = form_token(client.get(page).text)
    return client.post(action, data={"form_token": token} | more, headers=HERE)


def fetched(client: FlaskClient, path: str) -> TestResponse:
    """A file, read to its end and closed."""
    answer = client.get(path)
    answer.get_data()
    answer.close()
    return answer


@contextmanager
def served(harness: Harness) -> Iterator[Harness]:
    """The harness's pages and API at its public URL."""
    port = int(harness.wiring.settings.public_url.rpartition(":")[2])
    with AppServer(create_app(harness.wiring), "127.0.0.1", port):
        yield harness


def texts(page: str, pattern: str) -> list[str]:
    """What a page shows where the pattern's group is, without its markup."""
    found = re.findall(pattern, page, re.S)
    return [html.unescape(re.sub(r"<[^>]+>", "", one)) for one in found]

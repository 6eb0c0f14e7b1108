"""What tests of the dashboard share: a browser signed in, jobs that ended, forms pressed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from conftest import Bench
from flask.testing import FlaskClient
from web.test_session import HERE, KEYS, form_token
from werkzeug.test import TestResponse

from service import store
from service.accounts import create_key
from service.deliveries.subscriptions import parse_subscription, subscribe
from service.jobs.outcomes import record_outcome
from service.jobs.submission import mark_unknown
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
from support.sandboxes import FRAME_RATE

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def browser_of(bench: Bench, account_id: str, *scopes: str) -> FlaskClient:
    """A browser that is signed in to that account; with a new key of these `scopes` only."""
    client = create_app(bench.wiring).test_client()
    with bench.db.write() as tx:
        if scopes:
            create_key(tx, account_id, "narrow", scopes, bench.clock())
        keys = store.accounts.keys(tx, account_id)
    key = next(key for key in keys if not scopes or key.name == "narrow")
    client.get(login_url("", KEYS, key.id, bench.clock()))
    return client


def succeed(bench: Bench, job: Job, height: int = 90) -> Job:
    """End the job with a real video, copied and with its poster."""
    name = f"{new_id('vid', bench.clock())}.mp4"
    with bench.wiring.storage.writing(name) as file:
        render_video(Path(file.name), Scene(str(job.input["prompt"])), height, FRAME_RATE)
    outcome = Outcome(TaskState.SUCCEEDED, result_file=name, cost=0.42)
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "callback", bench.clock())
    bench.drain("archive")
    return bench.job(job)


def sent(bench: Bench, **changes: Any) -> Job:
    """A job that went out and has ended just now; columns in `changes` are otherwise."""
    job, now = bench.new_job(), bench.clock()
    given = {"state": JobState.SUCCEEDED, "sent_at": now, "submitted_at": now, "finished_at": now}
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], **given | changes)
    return bench.job(job)


def told_after(bench: Bench, seconds: float, **changes: Any) -> Job:
    """A job whose callback comes so long after it went out, and tells its end."""
    job = sent(bench, **{"resolved_by": "callback", "actual_cost": 0.42} | changes)
    came = bench.clock() + timedelta(seconds=seconds)
    bench.wiring.ingest.insert(job.id, job.provider, {}, b'{"state": "success"}', came)
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [job.state], finished_at=came)
    return bench.job(job)


def fail(bench: Bench, job: Job, message: str) -> Job:
    """End the job without a video."""
    outcome = Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", message, "E42"))
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "poll", bench.clock())
    return bench.job(job)


def lost(bench: Bench, prompt: str = "A fox") -> Job:
    """A job that was sent and got no answer."""
    job = bench.new_job(prompt)
    with bench.db.write() as tx:
        mark_unknown(tx, job, "no answer within 60 s", bench.clock())
    return bench.job(job)


def called_back(bench: Bench, job: Job, body: bytes, **headers: str) -> Callback:
    """A callback that came for the job, and was looked at."""
    bench.wiring.ingest.insert(job.id, "apixo", headers, body, bench.clock())
    with bench.db.write() as tx:
        found = store.callbacks.of_job(tx, job.id)[-1]
        done = {"state": CallbackState.PROCESSED, "note": "it was of no use", "due_at": None}
        store.callbacks.settle_claimed(tx, found, **done)
    return found


def subscribed(bench: Bench, url: str) -> None:
    """alice hears of everything at that address."""
    spec = parse_subscription(bench.wiring.channels, {"channel": "webhook", "target": url}, "")
    with bench.db.write() as tx:
        subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())


def told_in_time(bench: Bench) -> Job:
    """A job that failed, and of which everybody was notified at the first or the second attempt."""
    job = fail(bench, bench.new_job(), "no")
    bench.drain("deliver")
    bench.clock.advance(10)
    bench.drain("deliver")
    return job


def deliveries(bench: Bench, job: Job) -> list[Delivery]:
    """The job's deliveries."""
    with bench.db.read() as tx:
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
def served(bench: Bench) -> Iterator[Bench]:
    """The bench's pages and API at its public URL."""
    port = int(bench.wiring.settings.public_url.rpartition(":")[2])
    with AppServer(create_app(bench.wiring), "127.0.0.1", port):
        yield bench


def texts(page: str, pattern: str) -> list[str]:
    """What a page shows where the pattern's group is, without its markup."""
    found = re.findall(pattern, page, re.S)
    return [html.unescape(re.sub(r"<[^>]+>", "", one)) for one in found]

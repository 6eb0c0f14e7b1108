"""An ambiguous create at a vendor that can be asked: found, or repeated where that is safe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.harness import Harness
from support.reach import access
from support.sandboxes import SandboxClient
from support.servers import free_port
from support.serving import QuietHandler, Served

from service import store
from service.errors import Unanswered
from service.jobs.polling import handle_expired
from service.model import EventType, Job, JobState
from service.providers import make_provider
from service.sandbox.vendors.tasks import Task
from service.store.schema import events, jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Kling is the sandbox; whoever hangs is given up soon."""
    return {
        "kling_base_url": sandbox.server.url,
        "kling_api_key": "k",
        "submit_timeout": 1.5,
    }


def sent(harness: Harness, orders: str, **values: Any) -> Job:
    """A job of Kling's that was sent, with these orders to its vendor."""
    prompt = f"{orders} {harness.account.id}"
    body = {"model": "kling-2.5-turbo", "provider": "kling"}
    job = harness.new_job(input={"prompt": prompt, "duration": 5, **values}, **body)
    harness.drain("submit")
    return harness.job(job)


def tasks_of(sandbox: SandboxClient, job: Job) -> list[Task]:
    """What the vendor was made to do for this job."""
    book = sandbox.server.renderer.book
    return [task for task in book.all() if task.external_id == job.id]


def kinds(harness: Harness, job: Job) -> list[str]:
    """The kinds of steps of its timeline."""
    with harness.db.read() as tx:
        return [step.kind for step in store.steps.of_job(tx, job.id)]


def report(harness: Harness, job: Job) -> list[str]:
    """The types of its events."""
    with harness.db.read() as tx:
        return list(tx.scalars(select(events.c.type).filter_by(job_id=job.id)))


def wait(harness: Harness, seconds: float) -> None:
    """Let that much time pass, a second at a time, with everything done that is due."""
    for _ in range(int(seconds)):
        harness.clock.advance(1)
        harness.drain("reconcile", "submit")


@pytest.mark.parametrize("orders", ["[drop]", "[answer 502]", "[answer 500]"])
@pytest.mark.parametrize("values", [{}, {"negative_prompt": "rain"}])
def test_found(
    harness: Harness, sandbox: SandboxClient, orders: str, values: dict[str, Any]
) -> None:
    """A task that was made is found by our own id within seconds, on both kinds of routes."""
    job = sent(harness, orders, **values)
    assert JobState.UNKNOWN is job.state
    wait(harness, 4)
    found = harness.job(job)

    assert (JobState.SUBMITTED, None) == (found.state, found.error)
    assert [found.task_id] == [task.id for task in tasks_of(sandbox, job)]
    assert EventType.JOB_UNKNOWN not in report(harness, job)


def test_not_made(harness: Harness, sandbox: SandboxClient) -> None:
    """What was surely not made is sent once more by itself, and paid once."""
    job = sent(harness, "[refuse 502]")
    assert (JobState.UNKNOWN, []) == (job.state, tasks_of(sandbox, job))
    with harness.db.write() as tx:
        tx.execute(
            jobs.update()
            .filter_by(id=job.id)
            .values(input=job.input | {"prompt": f"later {job.account_id}"})
        )
    wait(harness, 45)
    again = harness.job(job)

    assert JobState.SUBMITTED is again.state
    assert "resent" in kinds(harness, job)
    assert [again.task_id] == [task.id for task in tasks_of(sandbox, job)]
    assert timedelta(seconds=60) > (again.submitted_at or again.created_at) - again.created_at


def test_second_create_finds_the_first(harness: Harness, sandbox: SandboxClient) -> None:
    """Where a lookup was blind, the vendor's own refusal of the second create leads to the task."""
    job = sent(harness, "[drop]")
    with harness.db.write() as tx:
        # As a lookup does that finds nothing.
        again = {"state": JobState.QUEUED, "due_at": harness.clock()}
        store.jobs.change(tx, job.id, [JobState.UNKNOWN], **again)
    harness.drain("submit")
    found = harness.job(job)

    assert JobState.SUBMITTED is found.state
    assert [found.task_id] == [task.id for task in tasks_of(sandbox, job)]


def test_parameter_that_is_refused(harness: Harness, sandbox: SandboxClient) -> None:
    """The same code for a wrong value ends the job: the lookup found no earlier one."""
    job = sent(harness, "[refuse 400 1201]")

    assert JobState.FAILED is job.state
    assert "BAD_REQUEST" == (job.error or {})["code"]


@pytest.mark.parametrize(
    ("code", "status", "state"),
    [
        ("1102", 429, JobState.HELD),
        ("1303", 429, JobState.QUEUED),
        ("5001", 503, JobState.QUEUED),
        ("1301", 400, JobState.FAILED),
    ],
)
def test_codes_that_say_more(
    harness: Harness, sandbox: SandboxClient, code: str, status: int, state: JobState
) -> None:
    """The vendor's own codes decide where the HTTP status could mean several things."""
    job = sent(harness, f"[refuse {status} {code}]")

    assert (state, []) == (job.state, tasks_of(sandbox, job))


def test_vendor_that_is_away(harness: Harness, sandbox: SandboxClient) -> None:
    """While it cannot be asked nothing is sent again; after a minute the owner hears of it."""
    job = sent(harness, "[drop]")
    w = harness.wiring
    nowhere = make_provider("kling", access(w.outbound, f"http://127.0.0.1:{free_port()}"))
    early: list[str] = []
    for second in range(120):
        harness.clock.advance(1)
        handle_expired(w.db, {"kling": nowhere}, w.settings, w.signer, w.clock)
        early = early if second > 30 else report(harness, job)

    assert JobState.UNKNOWN is harness.job(job).state
    assert EventType.JOB_UNKNOWN not in early
    assert 1 == report(harness, job).count(EventType.JOB_UNKNOWN)
    wait(harness, 61)
    assert JobState.SUBMITTED is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))


def test_vendor_that_is_away_beyond_the_deadline(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor's absence does not mean that it made nothing: it is asked when it is back."""
    job = sent(harness, "[answer 502]")
    w = harness.wiring
    nowhere = make_provider("kling", access(w.outbound, f"http://127.0.0.1:{free_port()}"))
    for _ in range(40):
        harness.clock.advance(30)
        handle_expired(w.db, {"kling": nowhere}, w.settings, w.signer, w.clock)
    late = harness.job(job)
    wait(harness, 61)

    assert late.deadline_at and late.deadline_at < harness.clock()
    assert (JobState.UNKNOWN, True) == (late.state, late.overdue)
    assert JobState.SUBMITTED is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))


def test_deadline_of_what_was_not_made(harness: Harness, sandbox: SandboxClient) -> None:
    """Once its time is over, a job that the vendor surely does not have ends by itself."""
    job = sent(harness, "[refuse 502]")
    harness.clock.advance(1200)
    harness.drain("reconcile")

    assert (JobState.FAILED, []) == (harness.job(job).state, tasks_of(sandbox, job))


class Doubtful(Served):
    """Kling behind a gateway: a create is refused as a second one, and no question gets through."""

    def __init__(self) -> None:
        class Handler(QuietHandler):
            def _answer(self, status: int, body: bytes) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self._answer(400, b'{"code": 1201, "message": "external_task_id is not unique"}')

            def do_GET(self) -> None:
                self._answer(502, b"<html>")

        self.serve(Handler)


def test_refused_as_a_second_one_and_not_to_be_asked(harness: Harness) -> None:
    """A gateway may have sent the create twice: without a lookup the refusal ends nothing."""
    given = {"prompt": "A fox", "duration": 5}
    job = harness.new_job(model="kling-2.5-turbo", provider="kling", input=given)
    with Doubtful() as vendor:
        kling = make_provider("kling", access(harness.wiring.outbound, vendor.origin))
        with pytest.raises(Unanswered, match="not unique"):
            kling.submit(job, "")


def test_worker_that_died(harness: Harness, sandbox: SandboxClient) -> None:
    """A create whose worker ended is looked up like one without an answer."""
    job = sent(harness, "[drop]")
    with harness.db.write() as tx:
        late = {"state": JobState.SUBMITTING, "due_at": harness.clock(), "error": None}
        store.jobs.change(tx, job.id, [JobState.UNKNOWN], **late)
    wait(harness, 5)

    assert JobState.SUBMITTED is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))

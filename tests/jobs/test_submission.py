"""Sending: one create request per job, whatever goes wrong around it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update
from support.harness import Harness
from support.reach import access
from support.sandboxes import SandboxClient
from support.servers import eventually

from service import store
from service.catalogue.entries import Limits
from service.catalogue.models import MODELS, VENDORS, model_of
from service.errors import DatabaseUnavailable, ExpiredToken, Refused
from service.jobs.answers import settle_refused
from service.jobs.journal import Refusal
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.provider_status import release_provider
from service.jobs.submission import HELD_LOOK, submit_job
from service.model import Event, EventType, Job, JobState, Submission
from service.providers.apixo import Apixo
from service.sandbox.vendors.fault_orders import FaultOrders
from service.sandbox.vendors.tasks import Task
from service.storage.disk import Disks
from service.store.database import Database
from service.store.schema import jobs

pytestmark = pytest.mark.postgresql

LEASE = 600.0  # seconds after which any lease of these tests has run out


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor; whoever hangs is given up soon."""
    url = sandbox.server.url
    return {"apixo_base_url": url, "segmind_base_url": url, "submit_timeout": 1.5}


def tasks_of(sandbox: SandboxClient, job: Job) -> list[Task]:
    """What the vendor was made to do for this job."""
    prompt = FaultOrders.read(job.input["prompt"])[1]
    return [task for task in sandbox.server.renderer.book.all() if task.values["prompt"] == prompt]


def unique(harness: Harness, orders: str = "") -> Job:
    """A job whose prompt no other job of the module has."""
    job = harness.new_job(f"{orders} {harness.account.id}")
    harness.drain("submit")
    return harness.job(job)


def events(harness: Harness, job: Job) -> list[Event]:
    """What was recorded of the job."""
    with harness.db.read() as tx:
        return store.events.of_job(tx, job.id)


def types(harness: Harness, job: Job) -> list[EventType]:
    """The same, by type."""
    return [event.type for event in events(harness, job)]


def step_kinds(harness: Harness, job: Job) -> list[str]:
    """What its timeline says, by kind."""
    with harness.db.read() as tx:
        return [step.kind for step in store.steps.of_job(tx, job.id)]


def test_accepted(harness: Harness, sandbox: SandboxClient) -> None:
    """The job has its task, a deadline and a moment for the first poll; one task was made."""
    job = unique(harness)
    (task,) = tasks_of(sandbox, job)

    assert (JobState.SUBMITTED, task.id) == (job.state, job.task_id)
    assert (90.0, 300.0) == tuple(
        (moment - harness.clock()).total_seconds()
        for moment in (job.due_at, job.deadline_at)
        if moment
    )
    assert [EventType.JOB_SUBMITTED] == types(harness, job)


@pytest.mark.parametrize("orders", ["[drop]", "[hang]", "[refuse 408]"])
def test_unanswered_is_never_sent_again(
    harness: Harness, sandbox: SandboxClient, orders: str
) -> None:
    """Without a usable answer the job is unknown, and stays with its one task for ever."""
    made = 0 if "refuse" in orders else 1
    job = unique(harness, orders)
    assert JobState.UNKNOWN is job.state
    assert [] == types(harness, job)

    for _ in range(4):
        harness.clock.advance(LEASE)
        harness.drain("submit", "poll", "reconcile")

    assert made == len(tasks_of(sandbox, job))
    assert JobState.UNKNOWN is harness.job(job).state
    assert [EventType.JOB_UNKNOWN, EventType.JOB_OVERDUE] == types(harness, job)


@pytest.mark.parametrize("orders", ["[drop]", "[hang]", "[refuse 502]"])
def test_owner_hears_of_silence_after_a_grace(harness: Harness, orders: str) -> None:
    """An unknown job is reported once its video should be there, once, and not before."""
    job = unique(harness, orders)
    expected = model_of(job.model, job.provider).expected(job.input)
    harness.clock.advance(expected - 1)
    harness.drain("poll", "reconcile")
    early = types(harness, job)
    harness.clock.advance(2)
    harness.drain("poll", "reconcile")
    late = types(harness, job)
    harness.clock.advance(expected / 2)
    harness.drain("poll", "reconcile")

    assert ([], [EventType.JOB_UNKNOWN]) == (early, late)
    assert late == types(harness, job)


def test_each_silence_is_reported(harness: Harness) -> None:
    """A job that is sent once more by hand, and not answered again, is reported again."""
    job = unique(harness, "[drop]")
    for _ in range(2):
        harness.clock.advance(150)
        harness.drain("reconcile")
        with harness.db.write() as tx:
            resolve_by_hand(tx, harness.job(job), Resolution(resend=True), harness.clock())
        harness.drain("submit")

    assert [EventType.JOB_UNKNOWN] * 2 == types(harness, job)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BAD_REQUEST"),
        (403, "FORBIDDEN"),
        (404, "NOT_FOUND_MODEL"),
        (422, "BAD_REQUEST"),
    ],
)
def test_refused_for_good(harness: Harness, status: int, code: str) -> None:
    """What the vendor refuses for its content fails at once and is not sent again."""
    job = unique(harness, f"[refuse {status}]")

    assert (JobState.FAILED, code) == (job.state, (job.error or {})["code"])
    assert str(status) == (job.error or {})["provider_code"]
    assert [EventType.JOB_FAILED] == types(harness, job)
    assert not harness.unit("submit")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_answered_by_an_error(harness: Harness, sandbox: SandboxClient, status: int) -> None:
    """It may have been taken: unknown, sent no second time, and over at its deadline, reserved."""
    job = unique(harness, f"[refuse {status}]")
    assert (JobState.UNKNOWN, "SUBMIT_FAILED_UNKNOWN") == (job.state, (job.error or {})["code"])
    for _ in range(6):
        harness.clock.advance(LEASE)
        harness.drain("submit", "poll", "reconcile")
    after = harness.job(job)

    assert (JobState.FAILED, "RESULT_LOST") == (after.state, (after.error or {})["code"])
    assert "deadline" == after.resolved_by
    assert [] == tasks_of(sandbox, job)
    assert [EventType.JOB_UNKNOWN, EventType.JOB_FAILED] == types(harness, job)


def test_answered_by_an_error_under_a_budget(harness: Harness, sandbox: SandboxClient) -> None:
    """What the vendor may have charged for stays reserved, while it is unknown and afterwards."""
    job = harness.new_job("[refuse 500] a fox")
    submit_with(harness, apixo(harness), budget=1.0, prices={job.model: 0.6})
    spent = []
    for _ in range(6):
        with harness.db.read() as tx:
            spent.append(store.jobs.spent_since(tx, job.account_id, job.created_at))
        harness.clock.advance(LEASE)
        harness.drain("reconcile")

    assert JobState.FAILED is harness.job(job).state
    assert [0.6] * 6 == spent


def test_an_error_after_the_task_was_made(harness: Harness, sandbox: SandboxClient) -> None:
    """The callback of a task that the vendor made before its 500 gives the job its video."""
    made = unique(harness, "[lose]")
    task_id = sandbox.ended(made.task_id or "").id
    with harness.db.write() as tx:
        nobodys = update(jobs).where(jobs.c.id == made.id).values(task_id=None)
        tx.execute(nobodys.values(state=JobState.FAILED, error={"code": "OPERATOR"}))
    job = unique(harness, "[refuse 500]")
    body = json.dumps({"code": 200, "data": {"taskId": task_id, "state": "success"}}).encode()
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    harness.drain("process")

    assert (JobState.SUCCEEDED, task_id) == (harness.job(job).state, harness.job(job).task_id)


def test_a_failing_provider_is_spared(harness: Harness, sandbox: SandboxClient) -> None:
    """While it fails the next jobs wait, longer each time, so that few of them become unknown."""
    for number in range(40):
        harness.new_job(f"[refuse 500] {number}")
    for _ in range(300):
        harness.drain("submit")
        harness.clock.advance(1)
    with harness.db.read() as tx:
        states = [job.state for job in store.job_lists.page(tx, harness.account.id, 100)]

    assert 2 <= len(states) - states.count(JobState.QUEUED) <= 12


def test_refused_for_now(harness: Harness, sandbox: SandboxClient) -> None:
    """The job waits as long as asked, goes out again, and is made once."""
    sandbox.server.renderer.book.order(FaultOrders({"refuse": "429"}))
    job = unique(harness)
    assert (JobState.QUEUED, []) == (job.state, tasks_of(sandbox, job))
    assert not harness.unit("submit")

    harness.clock.advance(5)
    harness.drain("submit")

    assert JobState.SUBMITTED is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))


@pytest.mark.parametrize("status", [401, 402])
def test_no_credits_hold_the_provider(
    harness: Harness, sandbox: SandboxClient, status: int
) -> None:
    """One refusal stops all sending: no loop, nothing lost, and on it goes after the resume."""
    sandbox.server.renderer.book.order(FaultOrders({"refuse": str(status)}))
    first, second = unique(harness), harness.new_job("waits behind it")
    assert (JobState.HELD, None) == (first.state, first.due_at)
    assert not harness.unit("submit")
    assert [EventType.JOB_HELD] == types(harness, first)
    assert JobState.QUEUED is harness.job(second).state

    with harness.db.write() as tx:
        store.providers.resume(tx, "apixo")
        store.jobs.release_held(tx, "apixo", harness.clock())
    harness.drain("submit")

    assert [JobState.SUBMITTED] * 2 == [harness.job(job).state for job in (first, second)]
    assert 1 == len(tasks_of(sandbox, first))


def test_no_credits_is_reported_once(harness: Harness) -> None:
    """Of jobs that are refused at the same time one tells it; the others wait in the queue."""
    jobs = [harness.new_job(f"fox {number}") for number in range(3)]
    with harness.db.write() as tx:
        claimed = [
            store.jobs.claim_queued(tx, ["apixo"], harness.clock(), LEASE) for _ in range(len(jobs))
        ]
    for job in claimed:
        assert job is not None
        with harness.db.write() as tx:
            settle_refused(tx, job, Refusal("INSUFFICIENT_CREDITS", "none left"), harness.clock())

    assert [[EventType.JOB_HELD], [], []] == [types(harness, job) for job in claimed if job]
    states = [harness.job(job).state for job in claimed if job]
    assert [JobState.HELD, JobState.QUEUED, JobState.QUEUED] == states
    assert not harness.unit("submit")


def test_no_credits_while_others_wait(harness: Harness, sandbox: SandboxClient) -> None:
    """Who waits at a vendor-compatible API when the credits end is refused at once, not held."""
    sandbox.server.renderer.book.order(FaultOrders({"refuse": "402"}))
    first = harness.new_job()
    harness.clock.advance(1)
    waiting = harness.new_job(source="apixo")
    harness.drain("submit")
    found = harness.job(waiting)

    assert JobState.HELD is harness.job(first).state
    assert (JobState.FAILED, "INSUFFICIENT_CREDITS") == (found.state, (found.error or {})["code"])
    assert [EventType.JOB_FAILED] == types(harness, waiting)


def test_no_credits_at_segmind(harness: Harness, sandbox: SandboxClient) -> None:
    """Its 406 holds Segmind, and Segmind alone."""
    sandbox.server.renderer.book.order(FaultOrders({"refuse": "406"}))
    job = harness.new_job(model="kling-2")
    harness.drain("submit")
    error = harness.job(job).error or {}
    with harness.db.read() as tx:
        held = [name for name in harness.wiring.providers if store.providers.held(tx, name)]

    assert (JobState.HELD, "INSUFFICIENT_CREDITS") == (harness.job(job).state, error["code"])
    assert ["segmind"] == held


def test_nobody_listens(harness: Harness) -> None:
    """A connection that was refused sent nothing: the job waits and tries again."""
    nowhere = Apixo(access(harness.wiring.outbound, "http://127.0.0.1:9", "k", 1.0))
    job = harness.new_job()
    submit_with(harness, nowhere)
    assert JobState.QUEUED is harness.job(job).state

    harness.clock.advance(10)
    harness.drain("submit")
    assert JobState.SUBMITTED is harness.job(job).state


def submit_with(harness: Harness, provider: Apixo, **settings: Any) -> bool:
    """One unit of sending by another adapter."""
    submission_context = harness.wiring.submission_context(holding=False)
    changed = submission_context.settings.model_copy(update=settings)
    submission_context = replace(
        submission_context, providers={"apixo": provider}, settings=changed
    )
    return submit_job(harness.db, submission_context, harness.clock)


def apixo(harness: Harness) -> Apixo:
    """The harness's own adapter."""
    found = harness.wiring.providers["apixo"]
    assert isinstance(found, Apixo)
    return found


def test_no_more_tasks_than_allowed(harness: Harness, sandbox: SandboxClient) -> None:
    """With every slot of the vendor taken a job waits, and goes out when one is free."""

    class Narrow(Apixo):
        limits = Limits(requests_per_minute=10_000, tasks=2)

    narrow = Narrow(access(harness.wiring.outbound, sandbox.server.url, "k", 5.0))
    sent = [harness.new_job(f"A fox {number}") for number in range(3)]
    for _ in range(6):
        submit_with(harness, narrow)
        harness.clock.advance(2)
    out = [job for job in sent if harness.job(job).state is JobState.SUBMITTED]
    (left,) = [job for job in sent if harness.job(job).state is JobState.QUEUED]
    with harness.db.write() as tx:
        store.jobs.end(tx, out[0].id, harness.clock(), state=JobState.FAILED)
    submit_with(harness, narrow)

    assert 2 == len(out)
    assert JobState.SUBMITTED is harness.job(left).state


class Struck(Apixo):
    """Its process dies when the vendor has the job and nobody has read the answer."""

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Sends, then ends as a killed process does."""
        super().submit(job, callback_url)
        raise KeyboardInterrupt


def test_killed_while_sending(harness: Harness, sandbox: SandboxClient) -> None:
    """A lease that runs out on a job that was being sent makes it unknown, not sent again."""
    job = harness.new_job(harness.account.id)
    with pytest.raises(KeyboardInterrupt):
        submit_with(harness, Struck(access(harness.wiring.outbound, sandbox.server.url, "k", 1.0)))
    assert JobState.SUBMITTING is harness.job(job).state
    harness.drain("submit", "poll", "reconcile")
    assert JobState.SUBMITTING is harness.job(job).state

    harness.clock.advance(LEASE)
    harness.drain("submit", "poll", "reconcile")

    assert JobState.UNKNOWN is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))


class Forgetful(Database):
    """A database whose answer to one commit is lost: it was made, and nobody knows."""

    commits = 0
    lost = 2

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write."""
        with super().write() as tx:
            yield tx
        self.commits += 1
        if self.commits == self.lost:
            raise DatabaseUnavailable("server closed the connection")


def test_answer_that_is_written_twice(harness: Harness, sandbox: SandboxClient) -> None:
    """An answer whose commit only seemed to fail is written again without a trace."""
    job = harness.new_job(harness.account.id)
    forgetful = Forgetful(harness.db.url)
    submit_job(forgetful, harness.wiring.submission_context(holding=False), harness.clock)
    forgetful.close()
    kinds = step_kinds(harness, job)

    assert 3 == forgetful.commits
    assert (JobState.SUBMITTED, 1) == (harness.job(job).state, len(tasks_of(sandbox, job)))
    assert ["submitting", "submitted"] == kinds
    assert [EventType.JOB_SUBMITTED] == types(harness, job)


def test_claim_that_seemed_to_fail(harness: Harness, sandbox: SandboxClient) -> None:
    """Where nobody knows whether a claim was written nothing is sent, and the job waits again."""
    job = harness.new_job(harness.account.id)
    forgetful = Forgetful(harness.db.url)
    forgetful.lost = 1
    with pytest.raises(DatabaseUnavailable):
        submit_job(forgetful, harness.wiring.submission_context(holding=False), harness.clock)
    forgetful.close()
    before = (harness.job(job).state, len(tasks_of(sandbox, job)))
    harness.drain("submit")

    assert (JobState.QUEUED, 0) == before
    assert (JobState.SUBMITTED, 1) == (harness.job(job).state, len(tasks_of(sandbox, job)))


class Faulty(Apixo):
    """Has a fault of ours behind the call."""

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Sends, then trips over the answer."""
        super().submit(job, callback_url)
        raise KeyError("a fault of ours")


def test_fault_of_ours_after_sending(harness: Harness, sandbox: SandboxClient) -> None:
    """An error of our own says nothing of the vendor: the job is unknown, and has its one task."""
    job = harness.new_job(harness.account.id)
    submit_with(harness, Faulty(access(harness.wiring.outbound, sandbox.server.url, "k", 1.0)))
    for _ in range(2):
        harness.clock.advance(LEASE)
        harness.drain("submit", "reconcile")

    assert JobState.UNKNOWN is harness.job(job).state
    assert 1 == len(tasks_of(sandbox, job))


class Slow(Apixo):
    """Answers only after `before_answer` has happened; refuses with `code` where there is one."""

    before_answer: Any = staticmethod(lambda: None)
    code: str = ""

    def submit(self, job: Job, callback_url: str) -> Submission:
        """The real call, late."""
        answer = Submission("") if self.code else super().submit(job, callback_url)
        self.before_answer()
        if self.code:
            raise Refused(self.code, "late no")
        return answer


def outlasting(harness: Harness, sandbox: SandboxClient, code: str = "") -> Slow:
    """An adapter whose answer comes when the lease has run out and others have seen that."""
    slow = Slow(access(harness.wiring.outbound, sandbox.server.url, "k", 5.0))
    slow.code = code

    def before_answer() -> None:
        harness.clock.advance(LEASE)
        harness.drain("poll", "reconcile")

    slow.before_answer = before_answer
    return slow


def test_late_answer_counts(harness: Harness, sandbox: SandboxClient) -> None:
    """A task id that comes after the job was given up as unknown is taken all the same."""
    job = harness.new_job(harness.account.id)
    submit_with(harness, outlasting(harness, sandbox))
    found = harness.job(job)

    assert (JobState.SUBMITTED, None) == (found.state, found.error)
    assert [found.task_id] == [task.id for task in tasks_of(sandbox, job)]
    assert "unknown" in step_kinds(harness, job)
    assert [EventType.JOB_SUBMITTED] == types(harness, job)


@pytest.mark.parametrize("code", ["RATE_LIMITED", "INSUFFICIENT_CREDITS"])
def test_late_refusal_tells_no_lies(harness: Harness, sandbox: SandboxClient, code: str) -> None:
    """A refusal that comes after the lease records nothing that is not so."""
    job = harness.new_job(harness.account.id)
    submit_with(harness, outlasting(harness, sandbox, code))
    found = harness.job(job)
    is_held = EventType.JOB_HELD in types(harness, job)

    assert found.state is (JobState.HELD if is_held else JobState.UNKNOWN)


def test_refusal_gives_the_budget_back(harness: Harness, sandbox: SandboxClient) -> None:
    """A job that the vendor put off does not stand in its own way at the next try."""
    job = harness.new_job()
    priced: dict[str, Any] = {"budget": 1.0, "prices": {job.model: 0.6}}
    sandbox.server.renderer.book.order(FaultOrders({"refuse": "429"}))
    while submit_with(harness, apixo(harness), **priced):
        pass
    harness.clock.advance(10)
    while submit_with(harness, apixo(harness), **priced):
        pass

    assert JobState.SUBMITTED is harness.job(job).state


def test_release_reserves_the_price_of_its_moment(harness: Harness, sandbox: SandboxClient) -> None:
    """What a job reserves is what it costs when it goes out, not when it was asked for."""
    job = harness.new_job()
    submit_with(harness, apixo(harness), budget=1.0, prices={job.model: 0.6})

    assert (None, 0.6) == (job.estimated_max, harness.job(job).estimated_max)


class Curious(Apixo):
    """Keeps the URL that it must call back."""

    url = ""

    def submit(self, job: Job, callback_url: str) -> Submission:
        """The real call."""
        self.url = callback_url
        return super().submit(job, callback_url)


def test_callback_url_is_good_for_thirty_days(harness: Harness, sandbox: SandboxClient) -> None:
    """A callback may come as late as the thirtieth day after the submit, and no later."""
    job = harness.new_job()
    vendor = Curious(access(harness.wiring.outbound, sandbox.server.url, "k", 5.0))
    submit_with(harness, vendor)
    token = vendor.url.rpartition("/")[2]
    last = harness.clock() + timedelta(days=30)

    said = harness.wiring.signer.verify(token, last)

    assert (job.id, "apixo") == (said["job"], said["provider"])
    with pytest.raises(ExpiredToken):
        harness.wiring.signer.verify(token, last + timedelta(seconds=1))


class Absurd(Apixo):
    """A vendor that wants to be left alone for years."""

    asked = 999_999_999.0

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Not now."""
        raise Refused("RATE_LIMITED", "no", retry_after=self.asked)


@pytest.mark.parametrize("asked", [1e30, float("inf"), 999_999_999.0, 901.0])
def test_absurd_retry_after(harness: Harness, asked: float) -> None:
    """However long a vendor says to wait, it is asked again within a quarter of an hour."""
    job = harness.new_job()
    vendor = Absurd(access(harness.wiring.outbound, "http://127.0.0.1:9", "k", 1.0))
    vendor.asked = asked
    submit_with(harness, vendor)
    found = harness.job(job)

    assert (JobState.QUEUED, harness.clock() + timedelta(minutes=15)) == (found.state, found.due_at)
    with harness.db.read() as tx:
        paused = store.providers.paused_for(tx, "apixo", harness.clock())
    assert timedelta(minutes=15) == paused


def test_resume_ends_the_wait(harness: Harness) -> None:
    """An operator who knows better has the refused job, and those behind it, sent at once."""
    jobs = [harness.new_job(f"number {number}") for number in range(3)]
    submit_with(harness, Absurd(access(harness.wiring.outbound, "http://127.0.0.1:9", "k", 1.0)))
    other = harness.new_job("for another vendor", model="kling-2")
    with harness.db.write() as tx:
        store.jobs.change(tx, other.id, [JobState.QUEUED], due_at=harness.clock.now + HELD_LOOK)
        released = release_provider(tx, "apixo", harness.clock())
        again = [store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60) for _ in range(4)]

    assert 1 == released
    assert {job.id for job in jobs} == {job.id for job in again if job}
    assert harness.clock() + HELD_LOOK == harness.job(other).due_at


def test_eight_threads_send_each_job_once(harness: Harness, sandbox: SandboxClient) -> None:
    """Racing workers never send one job twice, and leave none behind."""
    jobs = [harness.new_job(f"{harness.account.id} number {number}") for number in range(12)]
    threads = [threading.Thread(target=harness.drain, args=("submit",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: not harness.unit("submit"))

    assert [1] * 12 == [len(tasks_of(sandbox, job)) for job in jobs]
    assert [JobState.SUBMITTED] * 12 == [harness.job(job).state for job in jobs]


@pytest.mark.parametrize(
    "slug", [model.slug for name in ("apixo", "segmind") for model in VENDORS[name].models]
)
def test_duration_is_always_sent(harness: Harness, slug: str) -> None:
    """Whoever names no duration gets ours on the wire, never a vendor's silent default."""
    job = harness.new_job(model=slug)
    body = harness.wiring.providers[job.provider].request_for(job, "http://127.0.0.1:9/").body
    parameter = MODELS[slug].parameter("duration")

    assert parameter is not None
    assert parameter.default == body.get("input", body)["duration"]


def test_disk_is_nearly_full(harness: Harness, tmp_path: Path) -> None:
    """Without room for a video nothing goes out, nothing is held, and it goes on by itself."""
    job = harness.new_job()
    submission_context = replace(
        harness.wiring.submission_context(holding=False), disks=Disks((tmp_path,), 1 << 62)
    )
    with harness.db.read() as tx:
        before = [row._mapping for row in store.providers.all_rows(tx)]
    more = submit_job(harness.db, submission_context, harness.clock)
    with harness.db.read() as tx:
        after = [row._mapping for row in store.providers.all_rows(tx)]

    assert (False, before) == (more, after)
    assert job == harness.job(job)
    assert submit_job(harness.db, harness.wiring.submission_context(holding=False), harness.clock)
    assert JobState.SUBMITTED is harness.job(job).state

"""Callbacks: what they may change, and all that they may not."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from support.harness import Harness
from support.reach import access
from support.sandboxes import SandboxClient

from service import store
from service.callbacks.process import process_callback, replay_callback
from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.model import Callback, CallbackState, EventType, Job, JobState, Outcome, TaskState
from service.providers.apixo import Apixo
from service.sandbox.vendors.apixo import envelope
from service.sandbox.vendors.tasks import Task
from service.store.schema import jobs

pytestmark = pytest.mark.postgresql

FORGED = {"state": "success", "resultJson": '{"resultUrls": ["http://127.0.0.1:9/evil.mp4"]}'}


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": sandbox.server.url, "submit_timeout": 1.5}


def submitted(harness: Harness, sandbox: SandboxClient, orders: str = "") -> tuple[Job, Task]:
    """A job that the vendor has, and its task at its end."""
    job = harness.new_job(f"{orders} A fox")
    harness.drain("submit")
    job = harness.job(job)
    if job.task_id is None:
        return job, sandbox.ended(sandbox.server.renderer.book.all()[-1].id)
    return job, sandbox.ended(job.task_id)


def said(task: Task, **data: Any) -> bytes:
    """The vendor's envelope for the task, with some of its data changed."""
    whole = envelope(task)
    return json.dumps({**whole, "data": whole["data"] | data}).encode()


def bring(harness: Harness, job: Job, body: bytes, **headers: str) -> Callback:
    """A callback for the job comes in and is looked at; its row afterwards."""
    harness.wiring.ingest.insert(job.id, "apixo", headers, body, harness.clock())
    harness.drain("process")
    with harness.db.read() as tx:
        return store.callbacks.of_job(tx, job.id)[-1]


def types(harness: Harness, job: Job) -> list[EventType]:
    """The job's events, by type."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def link(harness: Harness, job: Job) -> str | None:
    """Where the result is said to be."""
    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    return video.provider_url if video else None


def given_up(harness: Harness, sandbox: SandboxClient) -> tuple[Job, Task]:
    """A job whose create was answered with an error, and that has ended at its deadline."""
    job, task = submitted(harness, sandbox, "[answer 500] [lose]")
    harness.clock.advance(3600)
    harness.drain("reconcile")
    return harness.job(job), task


def test_confirmed(harness: Harness, sandbox: SandboxClient) -> None:
    """A true callback ends the job with the vendor's link and one event."""
    job, task = submitted(harness, sandbox)
    callback = bring(harness, job, said(task))

    assert (CallbackState.PROCESSED, JobState.SUCCEEDED) == (callback.state, harness.job(job).state)
    assert ("callback", task.result_url) == (harness.job(job).resolved_by, link(harness, job))
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(harness, job)


@pytest.mark.parametrize(
    "data", [FORGED, FORGED | {"taskId": "another"}, {"state": "failed", "failCode": "NSFW"}]
)
def test_forged_body_on_a_true_url(
    harness: Harness, sandbox: SandboxClient, data: dict[str, Any]
) -> None:
    """Whatever the body claims, only what the vendor says of our own task is recorded."""
    job, task = submitted(harness, sandbox)
    bring(harness, job, said(task, **data))

    assert (JobState.SUCCEEDED, task.result_url) == (harness.job(job).state, link(harness, job))


def test_forged_success_of_a_running_task(harness: Harness, sandbox: SandboxClient) -> None:
    """A success that the vendor does not know of ends nothing."""
    job = harness.new_job("[slow 30] A fox")
    harness.drain("submit")
    task = sandbox.server.renderer.book.all()[-1]
    bring(harness, job, said(task, **FORGED))

    assert (JobState.SUBMITTED, None) == (harness.job(job).state, link(harness, job))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"data": 1}', b"<p>"])
def test_malformed_body(harness: Harness, sandbox: SandboxClient, body: bytes) -> None:
    """A body that says nothing is only a hint: the vendor is asked, and answers."""
    job, task = submitted(harness, sandbox)
    bring(harness, job, body)

    assert (JobState.SUCCEEDED, task.result_url) == (harness.job(job).state, link(harness, job))


def test_repeated_and_reordered(harness: Harness, sandbox: SandboxClient) -> None:
    """More callbacks, older ones after newer ones, change nothing and tell nobody again."""
    job, task = submitted(harness, sandbox)
    bodies = [said(task), said(task, state="processing"), said(task), said(task, state="failed")]
    for body in bodies:
        bring(harness, job, body)

    assert JobState.SUCCEEDED is harness.job(job).state
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(harness, job)
    with harness.db.read() as tx:
        states = {callback.state for callback in store.callbacks.of_job(tx, job.id)}
    assert {CallbackState.PROCESSED} == states


class Away(Apixo):
    """Nobody answers questions; `found` is what they meet instead."""

    found: Outcome | ProviderError = Unanswered("PROVIDER_UNAVAILABLE", "away")
    before_answer: Any = staticmethod(lambda: None)

    def fetch(self, job: Job) -> Outcome:
        """What was ordered, after what happens in between."""
        self.before_answer()
        if isinstance(self.found, ProviderError):
            raise self.found
        return self.found


def away(harness: Harness) -> Away:
    """An adapter whose vendor cannot be asked."""
    return Away(access(harness.wiring.outbound, "http://127.0.0.1:9", "k", 1.0))


def process_with(harness: Harness, provider: Apixo, **settings: Any) -> bool:
    """Look at the next callback by another adapter, under other settings."""
    changed = harness.wiring.settings.model_copy(update=settings)
    return process_callback(harness.db, {"apixo": provider}, changed, harness.clock)


def test_confirm_fails(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor that cannot be asked leaves the callback waiting, and it counts later."""
    job, task = submitted(harness, sandbox)
    harness.wiring.ingest.insert(job.id, "apixo", {}, said(task), harness.clock())
    for _ in range(5):
        assert process_with(harness, away(harness))
        assert not process_with(harness, away(harness))
        assert JobState.SUBMITTED is harness.job(job).state
        harness.clock.advance(6)
    harness.drain("process")

    assert JobState.SUCCEEDED is harness.job(job).state


def test_worker_dies_while_confirming(harness: Harness, sandbox: SandboxClient) -> None:
    """A callback whose worker died comes up again by itself."""
    job, task = submitted(harness, sandbox)
    harness.wiring.ingest.insert(job.id, "apixo", {}, said(task), harness.clock())

    def die() -> None:
        raise KeyboardInterrupt

    struck = away(harness)
    struck.before_answer = die
    with pytest.raises(KeyboardInterrupt):
        process_with(harness, struck)
    harness.drain("process")
    assert JobState.SUBMITTED is harness.job(job).state
    harness.clock.advance(60)
    harness.drain("process")

    assert JobState.SUCCEEDED is harness.job(job).state


def test_job_that_went_to_another_vendor(harness: Harness, sandbox: SandboxClient) -> None:
    """Who refused a job has no say in it, and is not asked about the other vendor's task."""
    job, task = submitted(harness, sandbox)
    with harness.db.write() as tx:
        tx.execute(update(jobs).where(jobs.c.id == job.id).values(provider="segmind"))
    before = harness.job(job)
    callback = bring(harness, job, said(task))
    with harness.db.read() as tx:
        steps = [step.message for step in store.steps.of_job(tx, job.id)]

    assert (CallbackState.IGNORED, before) == (callback.state, harness.job(job))
    assert "the job went to segmind" in callback.note
    assert "it may have made a video too" in steps[-1]


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.HELD])
def test_job_that_was_never_sent(harness: Harness, sandbox: SandboxClient, state: JobState) -> None:
    """A callback for a job without a task is ignored, whatever task it names."""
    _, task = submitted(harness, sandbox)
    job = harness.new_job()
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.QUEUED], state=state)
    callback = bring(harness, job, said(task))

    assert (CallbackState.IGNORED, state) == (callback.state, harness.job(job).state)


def test_callback_beats_the_answer(harness: Harness, sandbox: SandboxClient) -> None:
    """While the create call is under way a callback waits, and counts right after the answer."""
    job, task = submitted(harness, sandbox)
    with harness.db.write() as tx:
        changes = {"state": JobState.SUBMITTING, "task_id": None}
        due_at = harness.clock() + timedelta(seconds=80)
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], due_at=due_at, **changes)
    assert CallbackState.RECEIVED is bring(harness, job, said(task)).state
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, list(JobState), state=JobState.SUBMITTED, task_id=task.id)
        store.callbacks.make_due_now(tx, job.id, harness.clock())
    harness.drain("process")

    assert JobState.SUCCEEDED is harness.job(job).state


def test_callback_that_no_answer_woke(harness: Harness, sandbox: SandboxClient) -> None:
    """One that beat the answer is looked at every two seconds, whatever the lease is."""
    job, task = submitted(harness, sandbox)
    lease_ends = harness.clock() + timedelta(seconds=80)
    with harness.db.write() as tx:
        changes = {"state": JobState.SUBMITTING, "task_id": None, "due_at": lease_ends}
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], **changes)
    bring(harness, job, said(task))
    waits = []
    for _ in range(4):
        with harness.db.read() as tx:
            (callback,) = store.callbacks.of_job(tx, job.id)
        assert callback.due_at
        waits.append((callback.due_at - harness.clock()).total_seconds())
        harness.clock.advance(waits[-1])
        harness.drain("process")
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, list(JobState), state=JobState.SUBMITTED, task_id=task.id)
    harness.clock.advance(2)
    harness.drain("process")

    assert [2, 2, 2, 2] == waits
    assert JobState.SUCCEEDED is harness.job(job).state


def test_unknown_job_adopts(harness: Harness, sandbox: SandboxClient) -> None:
    """
    The callback of a job that was given up brings its task, and the end of it.

    It comes in the time that a video takes: nobody was alarmed.
    """
    job, task = submitted(harness, sandbox, "[drop]")
    assert JobState.UNKNOWN is job.state
    bring(harness, job, said(task))
    found = harness.job(job)

    assert (JobState.SUCCEEDED, task.id, None) == (found.state, found.task_id, found.error)
    assert [EventType.JOB_SUCCEEDED] == types(harness, job)


def test_coded_callback(harness: Harness, sandbox: SandboxClient) -> None:
    """A callback in a content coding is as good as any, at once and when it is replayed."""
    job, task = submitted(harness, sandbox, "[drop]")
    coded = {"Content-Encoding": "gzip"}
    early = bring(harness, job, gzip.compress(said(task, taskId=None)), **coded)
    harness.clock.advance(1)
    found = bring(harness, job, gzip.compress(said(task)), **coded)
    with harness.db.write() as tx:
        replay_callback(tx, found, harness.clock())
    harness.drain("process")

    assert (CallbackState.IGNORED, CallbackState.PROCESSED) == (early.state, found.state)
    assert (JobState.SUCCEEDED, task.id) == (harness.job(job).state, harness.job(job).task_id)


def test_task_of_another_job_is_not_adopted(harness: Harness, sandbox: SandboxClient) -> None:
    """No job ever gets the video of another one's task."""
    other, others_task = submitted(harness, sandbox)
    job, _ = submitted(harness, sandbox, "[drop]")
    callback = bring(harness, job, said(others_task))

    assert (CallbackState.IGNORED, JobState.UNKNOWN) == (callback.state, harness.job(job).state)
    assert (None, others_task.id) == (harness.job(job).task_id, harness.job(other).task_id)


@pytest.mark.parametrize("task_id", [None, 7, "", "f" * 32])
def test_nothing_to_adopt(harness: Harness, sandbox: SandboxClient, task_id: Any) -> None:
    """Without the name of a task that the vendor knows a lost job stays as it is."""
    job, task = submitted(harness, sandbox, "[drop]")
    bring(harness, job, said(task, taskId=task_id))

    assert (JobState.UNKNOWN, None) == (harness.job(job).state, harness.job(job).task_id)


@pytest.mark.parametrize(
    "shape",
    [
        '{"code":200,"data":{"task_id":"TASK","state":"success"}}',
        '{"task_id":"TASK","task_status":"succeed"}',
        '[{"taskId":"TASK"}]',
        '"{\\"data\\":{\\"id\\":\\"TASK\\"}}"',
        '\ufeff{"data":{"taskId":"TASK"}}',
        '{"event":"done","payload":"{\\"job\\":{\\"uuid\\":\\"TASK\\"}}"}',
        '{"code":200,"data":"TASK"}',
        '{"code":200,"data":{"taskId":"TASK"',
        "code=200&data=%7B%22taskId%22%3A%22TASK%22%2C%22state%22%3A%22success%22%7D",
        "taskId=TASK&state=success",
        "data[taskId]=TASK&data[state]=success",
        'payload={"code":200,"data":{"taskId":"TASK"}}',
        '--b\r\nContent-Disposition: form-data; name="taskId"\r\n\r\nTASK\r\n--b--\r\n',
        "<callback><taskId>TASK</taskId></callback>",
    ],
)
def test_forms_of_a_rescue(harness: Harness, sandbox: SandboxClient, shape: str) -> None:
    """A lost job is rescued by whatever body names its task, since the vendor is asked anyway."""
    job, task = submitted(harness, sandbox, "[drop]")
    bring(harness, job, shape.replace("TASK", task.id).encode())

    assert (JobState.SUCCEEDED, task.id) == (harness.job(job).state, harness.job(job).task_id)


def test_several_ids_in_a_rescue(harness: Harness, sandbox: SandboxClient) -> None:
    """Each id is asked about until the vendor knows one; another job's is left alone."""
    _, others = submitted(harness, sandbox)
    job, task = submitted(harness, sandbox, "[drop]")
    ids = {"taskId": others.id, "id": "row-7", "requestId": "trace-1", "jobs": [{"uuid": task.id}]}
    bring(harness, job, json.dumps({"code": 200, "data": ids}).encode())

    assert (JobState.SUCCEEDED, task.id) == (harness.job(job).state, harness.job(job).task_id)
    assert task.result_url == link(harness, job)


def test_ids_that_nobody_confirms(harness: Harness, sandbox: SandboxClient) -> None:
    """Ids of which the vendor knows none are asked about for five minutes, and none is adopted."""
    job, _ = submitted(harness, sandbox, "[drop]")
    body = b'{"data": {"taskId": "made-up-1", "id": "made-up-2"}}'
    assert CallbackState.RECEIVED is bring(harness, job, body).state
    harness.clock.advance(301)
    harness.drain("process")
    with harness.db.read() as tx:
        (callback,) = store.callbacks.of_job(tx, job.id)

    assert (CallbackState.IGNORED, JobState.UNKNOWN) == (callback.state, harness.job(job).state)
    assert "made-up-1" in callback.note
    assert "made-up-2" in callback.note


@pytest.mark.parametrize(
    ("body", "found", "adopted"),
    [
        (b'{"data": {"taskId": "t1"}}', Outcome(TaskState.RUNNING), "t1"),
        (b'{"data": {"taskId": "t1"}}', Outcome(TaskState.RUNNING, "t1"), "t1"),
        (b'{"data": {"jobs": [{"id": "t1"}]}}', Outcome(TaskState.RUNNING), None),
        (b'{"data": {"jobs": [{"id": "t1"}]}}', Outcome(TaskState.RUNNING, "t1"), "t1"),
        (b'{"data": {"taskId": "t1"}}', WrongTask("PROVIDER_ERROR", "about t2"), None),
        (b'{"data": {"taskId": "t1"}}', Refused("BAD_REQUEST", "no such form of id"), None),
        (b'{"data": {"taskId": "t1"}}', Refused("NOT_FOUND_TASK", "unknown"), None),
        (b'{"data": {"taskId": "t1"}}', Unanswered("PROVIDER_UNAVAILABLE", "away"), None),
    ],
)
def test_what_confirms_an_id(
    harness: Harness,
    sandbox: SandboxClient,
    body: bytes,
    found: Outcome | ProviderError,
    adopted: str | None,
) -> None:
    """An answer about that task does; one without a name only for what is named as the task."""
    job, _ = submitted(harness, sandbox, "[drop]")
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    provider = away(harness)
    provider.found = found
    process_with(harness, provider)

    assert adopted == harness.job(job).task_id
    assert (JobState.SUBMITTED if adopted else JobState.UNKNOWN) is harness.job(job).state


def test_no_further_id_of_a_vendor_that_is_away(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor that cannot be asked about one id is not asked about the next, but later."""
    job, task = submitted(harness, sandbox, "[drop]")
    body = json.dumps({"data": {"taskId": "unknown-1", "id": task.id}}).encode()
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    asked: list[None] = []
    provider = away(harness)
    provider.before_answer = lambda: asked.append(None)
    process_with(harness, provider)
    assert 1 == len(asked)
    harness.clock.advance(6)
    harness.drain("process")

    assert (JobState.SUCCEEDED, task.id) == (harness.job(job).state, harness.job(job).task_id)


def test_answer_about_another_task(harness: Harness, sandbox: SandboxClient) -> None:
    """Such an answer settles nothing: the timeline says so once, and the vendor is asked again."""
    job, task = submitted(harness, sandbox)
    harness.wiring.ingest.insert(job.id, "apixo", {}, said(task), harness.clock())
    provider = away(harness)
    provider.found = WrongTask("PROVIDER_ERROR", "the provider answered about task x")
    for _ in range(3):
        assert process_with(harness, provider)
        assert JobState.SUBMITTED is harness.job(job).state
        harness.clock.advance(6)
    with harness.db.read() as tx:
        steps = [step.message for step in store.steps.of_job(tx, job.id)]
    harness.drain("process")

    assert 1 == steps.count("the provider answered about task x")
    assert (JobState.SUCCEEDED, task.result_url) == (harness.job(job).state, link(harness, job))


def test_late_answer_during_adoption(harness: Harness, sandbox: SandboxClient) -> None:
    """A job that has got its own task since is not ended with what another task brought."""
    job, _ = submitted(harness, sandbox, "[drop]")
    _, foreign = submitted(harness, sandbox)
    harness.wiring.ingest.insert(
        job.id, "apixo", {}, said(foreign, taskId="e" * 32), harness.clock()
    )

    def own_answer() -> None:
        with harness.db.write() as tx:
            changes = {"state": JobState.SUBMITTED, "task_id": "own"}
            store.jobs.change(tx, job.id, [JobState.UNKNOWN], **changes)

    provider = away(harness)
    provider.found = harness.wiring.providers["apixo"].parse(said(foreign))
    provider.before_answer = own_answer
    process_with(harness, provider)

    assert (JobState.SUBMITTED, "own") == (harness.job(job).state, harness.job(job).task_id)
    assert link(harness, job) is None


def unconfirmed(harness: Harness, job: Job, body: bytes, *hosts: str) -> Callback:
    """The callback is taken at its word, as far as the hosts allow."""
    harness.wiring.ingest.insert(job.id, "apixo", {}, body, harness.clock())
    while process_with(harness, away(harness), confirm_callbacks=False, result_hosts=hosts):
        pass
    with harness.db.read() as tx:
        return store.callbacks.of_job(tx, job.id)[-1]


def test_unconfirmed_from_a_named_host(harness: Harness, sandbox: SandboxClient) -> None:
    """Where confirming is off, a result on a named host counts."""
    job, task = submitted(harness, sandbox)
    unconfirmed(harness, job, said(task), "127.0.0.1")

    assert (JobState.SUCCEEDED, task.result_url) == (harness.job(job).state, link(harness, job))


@pytest.mark.parametrize(
    "data",
    [
        {"resultJson": '{"resultUrls": ["http://evil.example/x.mp4"]}'},
        {"resultJson": '{"resultUrls": ["http://127.0.0.1@evil.example/x"]}'},
        {"taskId": "another"},
    ],
)
def test_unconfirmed_from_elsewhere(
    harness: Harness, sandbox: SandboxClient, data: dict[str, Any]
) -> None:
    """A result anywhere else, or another task's, is not believed, and the job goes on."""
    job, task = submitted(harness, sandbox)

    assert CallbackState.IGNORED is unconfirmed(harness, job, said(task, **data), "127.0.0.1").state
    assert JobState.SUBMITTED is harness.job(job).state


@pytest.mark.parametrize("body", [b"{", b"", b'{"data": {}}'])
def test_unconfirmed_and_malformed(harness: Harness, sandbox: SandboxClient, body: bytes) -> None:
    """What cannot be read is done with at once: it will not become readable."""
    job, _ = submitted(harness, sandbox)

    assert CallbackState.IGNORED is unconfirmed(harness, job, body, "127.0.0.1").state


def test_success_of_a_job_that_was_given_up(harness: Harness, sandbox: SandboxClient) -> None:
    """What was paid for arrives, however late its callback: the failure was ours to conclude."""
    job, task = given_up(harness, sandbox)
    callback = bring(harness, job, said(task))
    after = harness.job(job)

    assert (JobState.FAILED, None) == (job.state, job.task_id)
    assert (JobState.SUCCEEDED, task.id) == (after.state, after.task_id)
    assert CallbackState.PROCESSED is callback.state
    assert [EventType.JOB_FAILED, EventType.JOB_SUCCEEDED] == types(harness, job)[-2:]


def test_callback_of_another_task_for_a_job_that_was_given_up(
    harness: Harness, sandbox: SandboxClient
) -> None:
    """A job that has ended without a task takes no other job's."""
    other, task = submitted(harness, sandbox)
    job, _ = given_up(harness, sandbox)
    callback = bring(harness, job, said(task))

    assert (CallbackState.IGNORED, JobState.FAILED) == (callback.state, harness.job(job).state)
    assert "belongs to another job" in callback.note
    assert task.id == harness.job(other).task_id


def test_deadline_waits_for_a_callback(harness: Harness, sandbox: SandboxClient) -> None:
    """A job is not given up while its callback is stored and not looked at yet."""
    job, task = submitted(harness, sandbox, "[answer 500] [lose]")
    harness.wiring.ingest.insert(job.id, "apixo", {}, said(task), harness.clock())
    harness.clock.advance(3600)
    harness.drain("reconcile")
    waiting = harness.job(job).state
    harness.drain("process")

    assert (JobState.UNKNOWN, JobState.SUCCEEDED) == (waiting, harness.job(job).state)


def test_answer_does_not_wait_for_a_callback(harness: Harness) -> None:
    """While a callback is claimed the answer of its job's create is written: no deadlock."""
    if harness.db.is_sqlite:
        pytest.skip("one writes at a time")
    job, now = harness.new_job(), harness.clock()
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"{}", now)
    with harness.db.write() as tx:
        claimed = store.callbacks.claim_received(tx, now, 60)
        assert claimed is not None
        with harness.db.write() as other:
            store.jobs.change(other, job.id, [JobState.QUEUED], task_id="task")
            store.callbacks.make_due_now(other, job.id, now - timedelta(seconds=1))
        store.callbacks.postpone(tx, claimed, now)

    assert "task" == harness.job(job).task_id

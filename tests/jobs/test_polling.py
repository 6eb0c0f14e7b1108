"""Polling: the end that no callback reported, and no end that is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from support.harness import NOON, Harness
from support.sandboxes import SandboxClient

from service import store
from service.catalogue.entries import Limits
from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.jobs.polling import poll_jobs, settle_poll
from service.jobs.provider_status import release_provider
from service.model import TERMINAL_EVENTS, EventType, Job, JobState, Outcome, TaskState
from service.model.error_codes import job_error
from service.store.schema import providers

pytestmark = pytest.mark.postgresql

RUNNING = Outcome(TaskState.RUNNING, raw_state="processing")
DONE = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/video.mp4")
EMPTY = Outcome(TaskState.SUCCEEDED)
NO_TASK = Refused("NOT_FOUND_TASK", "Task not found")
AWAY = Unanswered("PROVIDER_UNAVAILABLE", "away")
OTHER_TASK = WrongTask("PROVIDER_ERROR", "the provider answered about task x instead of y")


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor; its callbacks go nowhere."""
    return {"apixo_base_url": sandbox.server.url, "submit_timeout": 1.5, "poll_after": 30}


def submitted(harness: Harness, sandbox: SandboxClient, orders: str = "[lose]") -> Job:
    """A job that the vendor has brought to its end."""
    job = harness.new_job(f"{orders} A fox")
    harness.drain("submit")
    job = harness.job(job)
    sandbox.ended(job.task_id or "")
    return job


def poll(harness: Harness, seconds: float = 31.0) -> None:
    """So much later, whatever is due is asked after."""
    harness.clock.advance(seconds)
    harness.drain("poll", "reconcile")


def find(harness: Harness, job: Job, found: Outcome | ProviderError) -> Job:
    """A poll found this; the job afterwards."""
    with harness.db.write() as tx:
        settle_poll(tx, harness.wiring.settings, harness.job(job), found, "poll", harness.clock())
    return harness.job(job)


def types(harness: Harness, job: Job) -> list[EventType]:
    """The job's events, by type."""
    with harness.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def steps(harness: Harness, job: Job) -> list[str]:
    """What the timeline says."""
    with harness.db.read() as tx:
        return [step.message for step in store.steps.of_job(tx, job.id)]


def wait(harness: Harness, job: Job) -> float:
    """Seconds until the job is looked at again."""
    due_at = harness.job(job).due_at
    assert due_at is not None
    return (due_at - harness.clock()).total_seconds()


def test_recovered_by_polling(harness: Harness, sandbox: SandboxClient) -> None:
    """A callback that never came costs nothing but time."""
    job = submitted(harness, sandbox)
    poll(harness, 29)
    assert JobState.SUBMITTED is harness.job(job).state
    poll(harness, 1)

    assert (JobState.SUCCEEDED, "poll") == (harness.job(job).state, harness.job(job).resolved_by)
    assert "recovered by polling" in steps(harness, job)


def test_failure_found_by_polling(harness: Harness, sandbox: SandboxClient) -> None:
    """So is a failure, with the vendor's own word."""
    job = submitted(harness, sandbox, "[lose] [fail NSFW_DETECTED]")
    poll(harness)
    error = harness.job(job).error or {}

    assert ("CONTENT_VIOLATION", "NSFW_DETECTED") == (error["code"], error["provider_code"])


@pytest.mark.parametrize("orders", ["[html]", "[unknown-state dreaming]"])
def test_answers_that_say_nothing(harness: Harness, sandbox: SandboxClient, orders: str) -> None:
    """A gateway's page or a state that nobody knows is no end: the job goes on to its real one."""
    job = submitted(harness, sandbox, f"[lose] {orders}")
    poll(harness)
    assert JobState.SUBMITTED is harness.job(job).state
    poll(harness)
    poll(harness)

    assert JobState.SUCCEEDED is harness.job(job).state


def test_unknown_state_in_the_timeline(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor's word that nobody knows, and its message, are shown once as long as they stay."""
    job = submitted(harness, sandbox)
    words = [("archiving", "soon"), ("archiving", "soon"), ("sealing", ""), ("archiving", "soon")]
    for word, message in words:
        odd = Outcome(TaskState.RUNNING, raw_state=word, message=message, is_understood=False)
        assert JobState.SUBMITTED is find(harness, job, odd).state
    shown = [step for step in steps(harness, job) if "'archiving'" in step or "'sealing'" in step]

    assert [True, False, True] == ["soon" in step for step in shown]


def test_unknown_state_of_a_poll(harness: Harness, sandbox: SandboxClient) -> None:
    """The same through the whole way of a poll, and the job goes on to its end."""
    job = submitted(harness, sandbox, "[lose] [unknown-state dreaming]")
    poll(harness)
    assert 1 == sum("'dreaming'" in step for step in steps(harness, job))
    poll(harness)
    poll(harness)

    assert JobState.SUCCEEDED is harness.job(job).state
    assert 1 == sum("'dreaming'" in step for step in steps(harness, job))


def test_answer_about_another_task(harness: Harness, sandbox: SandboxClient) -> None:
    """It ends nothing, however often it comes, and the timeline says so once."""
    job = submitted(harness, sandbox)
    for _ in range(5):
        assert JobState.SUBMITTED is find(harness, job, OTHER_TASK).state
    assert 1 == steps(harness, job).count(OTHER_TASK.message)
    poll(harness, 300)

    assert JobState.SUCCEEDED is harness.job(job).state


def test_words_beside_an_empty_result(harness: Harness, sandbox: SandboxClient) -> None:
    """What the vendor said of a success without a video is kept beside it."""
    job = submitted(harness, sandbox)
    empty = Outcome(TaskState.SUCCEEDED, message="filtered")
    with harness.db.write() as tx:
        words = settle_poll(tx, harness.wiring.settings, job, empty, "poll", harness.clock())

    assert "without a video: filtered" in words


def missing_for(harness: Harness, job: Job, found: ProviderError | Outcome, time: timedelta) -> Job:
    """The job after it was polled with that answer whenever it was due, for so long."""
    end = harness.clock() + time
    while harness.clock() < end and harness.job(job).state is JobState.SUBMITTED:
        harness.clock.advance(max(wait(harness, job), 1.0))
        find(harness, job, found)
    return harness.job(job)


MISSING: dict[str, tuple[ProviderError | Outcome, timedelta, timedelta]] = {
    "EMPTY_RESULT": (EMPTY, timedelta(hours=23, minutes=50), timedelta(minutes=20)),
    "RESULT_LOST": (NO_TASK, timedelta(minutes=55), timedelta(minutes=10)),
}


@pytest.mark.parametrize("code", MISSING)
def test_patience_with_what_is_missing(harness: Harness, sandbox: SandboxClient, code: str) -> None:
    """A task that is done without a video, or not known, is asked about as long as pays off."""
    found, long, more = MISSING[code]
    job = submitted(harness, sandbox)
    patient = missing_for(harness, job, found, long)
    asked, said = patient.polls, steps(harness, job)
    ended = missing_for(harness, job, found, more)

    assert JobState.SUBMITTED is patient.state
    assert 10 < asked < 320
    assert 1 == sum("; polling goes on until 2026-01-0" in line for line in said)
    assert (JobState.FAILED, code) == (ended.state, (ended.error or {})["code"])
    assert "polled since 2026-01-01 12:0" in (ended.error or {})["message"]


@pytest.mark.parametrize("found", [EMPTY, NO_TASK], ids=["empty", "no task"])
def test_a_result_that_turns_up_late(harness: Harness, sandbox: SandboxClient, found: Any) -> None:
    """Twenty seconds without a result, as some vendors have it, cost nothing."""
    job = submitted(harness, sandbox)
    missing_for(harness, job, found, timedelta(seconds=20))
    find(harness, job, DONE)

    assert (JobState.SUCCEEDED, None) == (harness.job(job).state, harness.job(job).error)
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(harness, job)


def test_a_running_task_ends_the_wait(harness: Harness, sandbox: SandboxClient) -> None:
    """Each time that something is missing counts from its own beginning."""
    job = submitted(harness, sandbox)
    missing_for(harness, job, NO_TASK, timedelta(minutes=40))
    back = find(harness, job, RUNNING)
    again = missing_for(harness, job, NO_TASK, timedelta(minutes=40))

    assert (0, None) == (back.failed_polls, back.missing_since)
    assert JobState.SUBMITTED is again.state


@pytest.mark.parametrize("code", MISSING)
def test_success_after_our_own_verdict(harness: Harness, sandbox: SandboxClient, code: str) -> None:
    """A job that we gave up becomes a success when the vendor shows the result after all."""
    found, long, more = MISSING[code]
    job = submitted(harness, sandbox)
    given_up = missing_for(harness, job, found, long + more)
    with harness.db.read() as tx:
        reserved = store.jobs.spent_since(tx, job.account_id, NOON - timedelta(days=1))
    after = find(harness, job, DONE)
    again = find(harness, job, DONE)

    assert (JobState.FAILED, "deadline") == (given_up.state, given_up.resolved_by)
    assert (given_up.estimated_max or 0.0) == reserved
    assert (JobState.SUCCEEDED, None, again) == (after.state, after.error, after)
    ends = [EventType.JOB_FAILED, EventType.JOB_SUCCEEDED]
    assert ends == [type_ for type_ in types(harness, job) if type_ in TERMINAL_EVENTS]


def test_a_vendors_own_verdict_stays(harness: Harness, sandbox: SandboxClient) -> None:
    """What the vendor itself called failed is not overwritten."""
    job = submitted(harness, sandbox)
    failed = find(harness, job, Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", "no")))

    assert failed == find(harness, job, DONE)


def test_absent_vendor_is_no_miss(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor that cannot be asked, for however long, has not lost the task."""
    job = submitted(harness, sandbox)
    for _ in range(40):
        find(harness, job, AWAY)

    assert JobState.SUBMITTED is harness.job(job).state
    assert JobState.SUCCEEDED is find(harness, job, DONE).state


def test_absent_vendor_between_misses(harness: Harness, sandbox: SandboxClient) -> None:
    """Nor does its absence make the misses before it forgotten."""
    job = submitted(harness, sandbox)
    find(harness, job, NO_TASK)
    harness.clock.advance(3700)
    find(harness, job, AWAY)

    assert JobState.FAILED is find(harness, job, NO_TASK).state


def test_overdue(harness: Harness, sandbox: SandboxClient) -> None:
    """After the deadline: reported once, asked rarely, and a late success counts."""
    job = submitted(harness, sandbox)
    find(harness, job, RUNNING)
    assert 5.0 == wait(harness, job)
    harness.clock.advance(301)
    for _ in range(3):
        find(harness, job, RUNNING)
        assert 300.0 == wait(harness, job)
        harness.clock.advance(301)
    find(harness, job, AWAY)
    poll(harness, 301)

    expected = [EventType.JOB_SUBMITTED, EventType.JOB_OVERDUE, EventType.JOB_SUCCEEDED]
    assert expected == types(harness, job)


def test_overdue_is_reported_once_by_two(harness: Harness, sandbox: SandboxClient) -> None:
    """A poll and a confirm that find the deadline passed at the same time tell it once."""
    job = submitted(harness, sandbox)
    harness.clock.advance(301)
    for by in ("poll", "callback"):
        with harness.db.write() as tx:
            settle_poll(tx, harness.wiring.settings, job, RUNNING, by, harness.clock())

    assert [EventType.JOB_SUBMITTED, EventType.JOB_OVERDUE] == types(harness, job)


def test_callback_is_no_poll(harness: Harness, sandbox: SandboxClient) -> None:
    """A timeline that got a callback does not say that there was none."""
    job = submitted(harness, sandbox)
    with harness.db.write() as tx:
        settle_poll(tx, harness.wiring.settings, job, RUNNING, "callback", harness.clock())

    assert "no callback yet: polling the provider" not in steps(harness, job)


def test_terminal_stays(harness: Harness, sandbox: SandboxClient) -> None:
    """Whatever a late poll finds, an ended job keeps its end and no further date."""
    job = submitted(harness, sandbox)
    ended = find(harness, job, DONE)
    failure = Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", "no"))
    for found in (failure, RUNNING, DONE, NO_TASK, NO_TASK, NO_TASK, AWAY):
        with harness.db.write() as tx:
            settle_poll(tx, harness.wiring.settings, job, found, "poll", harness.clock())

    assert (ended, None) == (harness.job(job), harness.job(job).due_at)


@pytest.mark.parametrize("text", ["bad \x00 byte", "half a \ud83d pair"])
def test_words_that_no_database_takes(harness: Harness, sandbox: SandboxClient, text: str) -> None:
    """A failure ends the job whatever characters the vendor puts into its message."""
    job = submitted(harness, sandbox)
    error = replace(job_error("PROVIDER_ERROR", "no"), message=text, provider_code=text)
    found = find(harness, job, Outcome(TaskState.FAILED, error=error))

    assert JobState.FAILED is found.state


def test_model_that_is_gone(harness: Harness, sandbox: SandboxClient) -> None:
    """What was sent, and paid for, comes to its end although a later catalogue lacks its model."""
    job = submitted(harness, sandbox)
    with harness.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], model="gone")
    running = find(harness, job, Outcome(TaskState.RUNNING))
    ended = find(harness, job, Outcome(TaskState.SUCCEEDED, result_url="https://x.example/v.mp4"))

    assert (JobState.SUBMITTED, JobState.SUCCEEDED) == (running.state, ended.state)


def test_provider_that_was_removed(harness: Harness, sandbox: SandboxClient) -> None:
    """An open job of a provider without a key keeps nobody else's job from being polled."""
    orphan = replace(
        submitted(harness, sandbox), id="job_" + "0" * 32, provider="gone", task_id="x"
    )
    early = harness.clock() - timedelta(seconds=60)
    with harness.db.write() as tx:
        store.jobs.insert(tx, replace(orphan, due_at=early))
    job = submitted(harness, sandbox)
    harness.clock.advance(60)
    for _ in range(4):
        try:
            harness.unit("poll")
        except KeyError:
            continue

    assert JobState.SUCCEEDED is harness.job(job).state
    assert JobState.SUBMITTED is harness.job(orphan).state


class Slow:
    """A provider that says "running" to everybody, and takes its time; of one it chokes."""

    name = "apixo"
    limits = Limits()

    def __init__(self, harness: Harness, seconds: float, chokes_on: str = "") -> None:
        self.asked: list[str] = []
        self._bench = harness
        self._seconds = seconds
        self._chokes_on = chokes_on

    def fetch(self, job: Job) -> Outcome:
        """What became of the task."""
        self._bench.clock.advance(self._seconds)
        self.asked.append(job.id)
        if job.id == self._chokes_on:
            raise ZeroDivisionError("choked")
        return RUNNING


def many(harness: Harness, count: int) -> list[Job]:
    """Jobs with tasks that are due to be polled."""
    jobs = [harness.new_job(f"fox {number}") for number in range(count)]
    with harness.db.write() as tx:
        for job in jobs:
            changes = {"state": JobState.SUBMITTED, "task_id": f"t-{job.id}"}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    return jobs


def poll_by(harness: Harness, provider: Slow) -> bool:
    """One unit of polling at this provider."""
    there: Any = {"apixo": provider}
    return poll_jobs(harness.db, there, harness.wiring.settings, harness.clock)


def test_polls_in_batches(harness: Harness) -> None:
    """Forty due jobs take three units, each job asked about once, then none is due."""
    jobs, provider = many(harness, 40), Slow(harness, 0)
    units = [poll_by(harness, provider) for _ in range(4)]

    assert [True, True, True, False] == units
    assert sorted(job.id for job in jobs) == sorted(provider.asked)
    assert {JobState.SUBMITTED} == {harness.job(job).state for job in jobs}
    assert {5.0} == {wait(harness, job) for job in jobs}


def test_choking_on_one_task(harness: Harness) -> None:
    """A task whose answer breaks us is quarantined; the others of its batch are polled."""
    jobs = many(harness, 3)
    provider = Slow(harness, 0, chokes_on=jobs[1].id)
    poll_by(harness, provider)
    with harness.db.read() as tx:
        aside = [row.row_id for row in store.quarantine.rows(tx)]

    assert [jobs[1].id] == aside
    assert [5.0, 5.0] == [wait(harness, jobs[place]) for place in (0, 2)]


def test_slow_provider(harness: Harness) -> None:
    """No lease runs out over a slow provider: the rest of the batch is handed back at once."""
    jobs, provider = many(harness, 10), Slow(harness, 10)
    poll_by(harness, provider)

    assert 2 == len(provider.asked)
    assert 8 == sum(harness.job(job).due_at == harness.clock() for job in jobs)


def test_polls_become_rarer(harness: Harness) -> None:
    """Each poll comes a quarter later than the one before, up to a minute."""
    (job,), provider = many(harness, 1), Slow(harness, 0)
    waits = []
    for _ in range(14):
        poll_by(harness, provider)
        waits.append(wait(harness, job))
        harness.clock.advance(waits[-1])

    assert [5.0, 6.25, 7.8125] == waits[:3]
    assert sorted(waits) == waits
    assert 60.0 == waits[-1]


def test_polls_stretch_in_a_crowd(harness: Harness) -> None:
    """Twice as many open tasks as a crowd: polls of each are half as frequent."""
    jobs = many(harness, 400)
    with harness.db.write() as tx:
        settle_poll(tx, harness.wiring.settings, jobs[0], RUNNING, "poll", harness.clock())

    assert 10.0 == wait(harness, jobs[0])


def test_absent_vendor_is_reported(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Since when a vendor cannot be asked is remembered until it answers again; logged once."""
    caplog.set_level("INFO", "service.jobs.provider_status")
    (job,) = many(harness, 1)
    began = harness.clock()
    for found in (AWAY, AWAY):
        find(harness, job, found)
        harness.clock.advance(60)
    with harness.db.read() as tx:
        (row,) = [row for row in store.providers.all_rows(tx) if row.name == "apixo"]
    find(harness, job, RUNNING)
    with harness.db.read() as tx:
        (after,) = [row for row in store.providers.all_rows(tx) if row.name == "apixo"]

    assert ("PROVIDER_UNAVAILABLE: away", began) == (row.last_error, row.last_error_since)
    assert (None, None) == (after.last_error, after.last_error_since)
    assert [
        "apixo cannot be asked: PROVIDER_UNAVAILABLE: away",
        "apixo answers again",
    ] == caplog.messages


def tokens(harness: Harness) -> int:
    """Requests that may still go out at once to APIXO."""
    with harness.db.read() as tx:
        return int(tx.scalar(select(providers.c.tokens).filter_by(name="apixo")) or 0)


@pytest.mark.parametrize(
    ("asked", "wait"), [(120.0, 120.0), (999_999_999.0, 900.0), (1e300, 900.0)]
)
def test_vendor_that_wants_fewer_polls(harness: Harness, asked: float, wait: float) -> None:
    """Its wait is kept, up to a quarter of an hour: no job is forgotten for one header."""
    job = harness.new_job()
    slower = Refused("RATE_LIMITED", "slower", retry_after=asked)
    with harness.db.write() as tx:
        store.jobs.accept(tx, job.id, [JobState.QUEUED], task_id="t1")
        settle_poll(tx, harness.wiring.settings, job, slower, "poll", harness.clock())

    assert harness.clock() + timedelta(seconds=wait) == harness.job(job).due_at


def test_resume_ends_the_wait_of_polls(harness: Harness) -> None:
    """A task whose poll waits for `Retry-After` is asked about at once; no lease is touched."""
    polled, fresh, sending, other = (harness.new_job(str(number)) for number in range(4))
    slower = Refused("RATE_LIMITED", "slower", retry_after=120.0)
    later = harness.clock() + timedelta(seconds=60)
    with harness.db.write() as tx:
        for job in (polled, fresh):
            store.jobs.accept(tx, job.id, [JobState.QUEUED], task_id=job.id, due_at=later)
        settle_poll(tx, harness.wiring.settings, polled, slower, "poll", harness.clock())
        for job, state, provider in (
            (sending, JobState.SUBMITTING, "apixo"),
            (other, JobState.SUBMITTED, "segmind"),
        ):
            changes = {"state": state, "provider": provider, "polls": 3, "due_at": later}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
        release_provider(tx, "apixo", harness.clock())
    found = [harness.job(job).due_at for job in (polled, fresh, sending, other)]

    assert [harness.clock(), later, later, later] == found


def test_one_bucket_for_all_requests(harness: Harness, sandbox: SandboxClient) -> None:
    """A submit, a poll and a confirm each take from the vendor's one allowance."""
    job = harness.new_job("[unknown-state dreaming] A fox")
    harness.drain("submit")
    left = [tokens(harness)]
    harness.clock.advance(31)
    with harness.db.write() as tx:
        tx.execute(update(providers).values(refilled_at=harness.clock()))
    harness.unit("poll")
    left.append(tokens(harness))
    harness.wiring.ingest.insert(job.id, "apixo", {}, b"{}", harness.clock())
    harness.unit("process")
    left.append(tokens(harness))

    assert [999, 998, 997] == left

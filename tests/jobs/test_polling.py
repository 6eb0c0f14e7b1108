"""Polling: the end that no callback told, and no end that is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from conftest import NOON, Bench
from sqlalchemy import select, update
from support.sandboxes import Wire

from service import store
from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.jobs.polling import poll_jobs, settle_poll
from service.model import TERMINAL_EVENTS, EventType, Job, JobState, Outcome, TaskState
from service.model.error_codes import job_error
from service.providers.base import Limits
from service.store.schema import providers

pytestmark = pytest.mark.postgresql

RUNNING = Outcome(TaskState.RUNNING, raw_state="processing")
DONE = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/video.mp4")
EMPTY = Outcome(TaskState.SUCCEEDED)
NO_TASK = Refused("NOT_FOUND_TASK", "Task not found")
AWAY = Unanswered("PROVIDER_UNAVAILABLE", "away")
OTHER_TASK = WrongTask("PROVIDER_ERROR", "the provider answered about task x instead of y")


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor; its callbacks go nowhere."""
    return {"apixo_base_url": wire.server.url, "submit_timeout": 1.5, "poll_after": 30}


def submitted(bench: Bench, wire: Wire, orders: str = "[lose]") -> Job:
    """A job that the vendor has brought to its end."""
    job = bench.new_job(f"{orders} A fox")
    bench.drain("submit")
    job = bench.job(job)
    wire.ended(job.task_id or "")
    return job


def poll(bench: Bench, seconds: float = 31.0) -> None:
    """So much later, whatever is due is asked after."""
    bench.clock.advance(seconds)
    bench.drain("poll", "reconcile")


def find(bench: Bench, job: Job, found: Outcome | ProviderError) -> Job:
    """A poll found this; the job afterwards."""
    with bench.db.write() as tx:
        settle_poll(tx, bench.wiring.settings, bench.job(job), found, "poll", bench.clock())
    return bench.job(job)


def types(bench: Bench, job: Job) -> list[EventType]:
    """The job's events, by type."""
    with bench.db.read() as tx:
        return [event.type for event in store.events.of_job(tx, job.id)]


def steps(bench: Bench, job: Job) -> list[str]:
    """What the timeline says."""
    with bench.db.read() as tx:
        return [step.message for step in store.jobs.all_steps(tx, job.id)]


def wait(bench: Bench, job: Job) -> float:
    """Seconds until the job is looked at again."""
    due_at = bench.job(job).due_at
    assert due_at is not None
    return (due_at - bench.clock()).total_seconds()


def test_recovered_by_polling(bench: Bench, wire: Wire) -> None:
    """A callback that never came costs nothing but time."""
    job = submitted(bench, wire)
    poll(bench, 29)
    assert JobState.SUBMITTED is bench.job(job).state
    poll(bench, 1)

    assert (JobState.SUCCEEDED, "poll") == (bench.job(job).state, bench.job(job).resolved_by)
    assert "recovered by polling" in steps(bench, job)


def test_failure_found_by_polling(bench: Bench, wire: Wire) -> None:
    """So is a failure, with the vendor's own word."""
    job = submitted(bench, wire, "[lose] [fail NSFW_DETECTED]")
    poll(bench)
    error = bench.job(job).error or {}

    assert ("CONTENT_VIOLATION", "NSFW_DETECTED") == (error["code"], error["provider_code"])


@pytest.mark.parametrize("orders", ["[html]", "[unknown-state dreaming]"])
def test_answers_that_say_nothing(bench: Bench, wire: Wire, orders: str) -> None:
    """A gateway's page or a state that nobody knows is no end: the job goes on to its real one."""
    job = submitted(bench, wire, f"[lose] {orders}")
    poll(bench)
    assert JobState.SUBMITTED is bench.job(job).state
    poll(bench)
    poll(bench)

    assert JobState.SUCCEEDED is bench.job(job).state


def test_unknown_state_in_the_timeline(bench: Bench, wire: Wire) -> None:
    """A vendor's word that nobody knows, and its message, are shown once as long as they stay."""
    job = submitted(bench, wire)
    words = [("archiving", "soon"), ("archiving", "soon"), ("sealing", ""), ("archiving", "soon")]
    for word, message in words:
        odd = Outcome(TaskState.RUNNING, raw_state=word, message=message, is_understood=False)
        assert JobState.SUBMITTED is find(bench, job, odd).state
    shown = [step for step in steps(bench, job) if "'archiving'" in step or "'sealing'" in step]

    assert [True, False, True] == ["soon" in step for step in shown]


def test_unknown_state_of_a_poll(bench: Bench, wire: Wire) -> None:
    """The same through the whole way of a poll, and the job goes on to its end."""
    job = submitted(bench, wire, "[lose] [unknown-state dreaming]")
    poll(bench)
    assert 1 == sum("'dreaming'" in step for step in steps(bench, job))
    poll(bench)
    poll(bench)

    assert JobState.SUCCEEDED is bench.job(job).state
    assert 1 == sum("'dreaming'" in step for step in steps(bench, job))


def test_answer_about_another_task(bench: Bench, wire: Wire) -> None:
    """It ends nothing, however often it comes, and the timeline says so once."""
    job = submitted(bench, wire)
    for _ in range(5):
        assert JobState.SUBMITTED is find(bench, job, OTHER_TASK).state
    assert 1 == steps(bench, job).count(OTHER_TASK.message)
    poll(bench, 300)

    assert JobState.SUCCEEDED is bench.job(job).state


def test_words_beside_an_empty_result(bench: Bench, wire: Wire) -> None:
    """What the vendor said of a success without a video is kept beside it."""
    job = submitted(bench, wire)
    empty = Outcome(TaskState.SUCCEEDED, message="filtered")
    with bench.db.write() as tx:
        words = settle_poll(tx, bench.wiring.settings, job, empty, "poll", bench.clock())

    assert "without a video: filtered" in words


def missing_for(bench: Bench, job: Job, found: ProviderError | Outcome, time: timedelta) -> Job:
    """The job after it was polled with that answer whenever it was due, for so long."""
    end = bench.clock() + time
    while bench.clock() < end and bench.job(job).state is JobState.SUBMITTED:
        bench.clock.advance(max(wait(bench, job), 1.0))
        find(bench, job, found)
    return bench.job(job)


MISSING: dict[str, tuple[ProviderError | Outcome, timedelta, timedelta]] = {
    "EMPTY_RESULT": (EMPTY, timedelta(hours=23, minutes=50), timedelta(minutes=20)),
    "RESULT_LOST": (NO_TASK, timedelta(minutes=55), timedelta(minutes=10)),
}


@pytest.mark.parametrize("code", MISSING)
def test_patience_with_what_is_missing(bench: Bench, wire: Wire, code: str) -> None:
    """A task that is done without a video, or not known, is asked about as long as pays off."""
    found, long, more = MISSING[code]
    job = submitted(bench, wire)
    patient = missing_for(bench, job, found, long)
    asked, said = patient.polls, steps(bench, job)
    ended = missing_for(bench, job, found, more)

    assert JobState.SUBMITTED is patient.state
    assert 10 < asked < 320
    assert 1 == sum("; asked again until 2026-01-0" in line for line in said)
    assert (JobState.FAILED, code) == (ended.state, (ended.error or {})["code"])
    assert "asked since 2026-01-01 12:0" in (ended.error or {})["message"]


@pytest.mark.parametrize("found", [EMPTY, NO_TASK], ids=["empty", "no task"])
def test_a_result_that_turns_up_late(bench: Bench, wire: Wire, found: Any) -> None:
    """Twenty seconds without a result, as some vendors have it, cost nothing."""
    job = submitted(bench, wire)
    missing_for(bench, job, found, timedelta(seconds=20))
    find(bench, job, DONE)

    assert (JobState.SUCCEEDED, None) == (bench.job(job).state, bench.job(job).error)
    assert [EventType.JOB_SUBMITTED, EventType.JOB_SUCCEEDED] == types(bench, job)


def test_a_running_task_ends_the_wait(bench: Bench, wire: Wire) -> None:
    """Each time that something is missing counts from its own beginning."""
    job = submitted(bench, wire)
    missing_for(bench, job, NO_TASK, timedelta(minutes=40))
    back = find(bench, job, RUNNING)
    again = missing_for(bench, job, NO_TASK, timedelta(minutes=40))

    assert (0, None) == (back.failed_polls, back.missing_since)
    assert JobState.SUBMITTED is again.state


@pytest.mark.parametrize("code", MISSING)
def test_success_after_our_own_verdict(bench: Bench, wire: Wire, code: str) -> None:
    """A job that we gave up becomes a success when the vendor shows the result after all."""
    found, long, more = MISSING[code]
    job = submitted(bench, wire)
    given_up = missing_for(bench, job, found, long + more)
    with bench.db.read() as tx:
        reserved = store.jobs.spent_since(tx, job.account_id, NOON - timedelta(days=1))
    after = find(bench, job, DONE)
    again = find(bench, job, DONE)

    assert (JobState.FAILED, "deadline") == (given_up.state, given_up.resolved_by)
    assert (given_up.estimated_max or 0.0) == reserved
    assert (JobState.SUCCEEDED, None, again) == (after.state, after.error, after)
    ends = [EventType.JOB_FAILED, EventType.JOB_SUCCEEDED]
    assert ends == [type_ for type_ in types(bench, job) if type_ in TERMINAL_EVENTS]


def test_a_vendors_own_verdict_stays(bench: Bench, wire: Wire) -> None:
    """What the vendor itself called failed is not overwritten."""
    job = submitted(bench, wire)
    failed = find(bench, job, Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", "no")))

    assert failed == find(bench, job, DONE)


def test_absent_vendor_is_no_miss(bench: Bench, wire: Wire) -> None:
    """A vendor that cannot be asked, for however long, has not lost the task."""
    job = submitted(bench, wire)
    for _ in range(40):
        find(bench, job, AWAY)

    assert JobState.SUBMITTED is bench.job(job).state
    assert JobState.SUCCEEDED is find(bench, job, DONE).state


def test_absent_vendor_between_misses(bench: Bench, wire: Wire) -> None:
    """Nor does its absence make the misses before it forgotten."""
    job = submitted(bench, wire)
    find(bench, job, NO_TASK)
    bench.clock.advance(3700)
    find(bench, job, AWAY)

    assert JobState.FAILED is find(bench, job, NO_TASK).state


def test_overdue(bench: Bench, wire: Wire) -> None:
    """After the deadline: told once, asked rarely, and a late success counts."""
    job = submitted(bench, wire)
    find(bench, job, RUNNING)
    assert 5.0 == wait(bench, job)
    bench.clock.advance(301)
    for _ in range(3):
        find(bench, job, RUNNING)
        assert 300.0 == wait(bench, job)
        bench.clock.advance(301)
    find(bench, job, AWAY)
    poll(bench, 301)

    expected = [EventType.JOB_SUBMITTED, EventType.JOB_OVERDUE, EventType.JOB_SUCCEEDED]
    assert expected == types(bench, job)


def test_overdue_is_told_once_by_two(bench: Bench, wire: Wire) -> None:
    """A poll and a confirm that find the deadline passed at the same time tell it once."""
    job = submitted(bench, wire)
    bench.clock.advance(301)
    for by in ("poll", "callback"):
        with bench.db.write() as tx:
            settle_poll(tx, bench.wiring.settings, job, RUNNING, by, bench.clock())

    assert [EventType.JOB_SUBMITTED, EventType.JOB_OVERDUE] == types(bench, job)


def test_callback_is_no_poll(bench: Bench, wire: Wire) -> None:
    """A timeline that got a callback does not say that there was none."""
    job = submitted(bench, wire)
    with bench.db.write() as tx:
        settle_poll(tx, bench.wiring.settings, job, RUNNING, "callback", bench.clock())

    assert "no callback yet: asking the provider" not in steps(bench, job)


def test_terminal_stays(bench: Bench, wire: Wire) -> None:
    """Whatever a late poll finds, an ended job keeps its end and no further date."""
    job = submitted(bench, wire)
    ended = find(bench, job, DONE)
    failure = Outcome(TaskState.FAILED, error=job_error("PROVIDER_ERROR", "no"))
    for found in (failure, RUNNING, DONE, NO_TASK, NO_TASK, NO_TASK, AWAY):
        with bench.db.write() as tx:
            settle_poll(tx, bench.wiring.settings, job, found, "poll", bench.clock())

    assert (ended, None) == (bench.job(job), bench.job(job).due_at)


@pytest.mark.parametrize("text", ["bad \x00 byte", "half a \ud83d pair"])
def test_words_that_no_database_takes(bench: Bench, wire: Wire, text: str) -> None:
    """A failure ends the job whatever characters the vendor puts into its message."""
    job = submitted(bench, wire)
    error = replace(job_error("PROVIDER_ERROR", "no"), message=text, provider_code=text)
    found = find(bench, job, Outcome(TaskState.FAILED, error=error))

    assert JobState.FAILED is found.state


def test_model_that_is_gone(bench: Bench, wire: Wire) -> None:
    """What was sent, and paid for, comes to its end although a later catalogue lacks its model."""
    job = submitted(bench, wire)
    with bench.db.write() as tx:
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], model="gone")
    running = find(bench, job, Outcome(TaskState.RUNNING))
    ended = find(bench, job, Outcome(TaskState.SUCCEEDED, result_url="https://x.example/v.mp4"))

    assert (JobState.SUBMITTED, JobState.SUCCEEDED) == (running.state, ended.state)


def test_provider_that_was_removed(bench: Bench, wire: Wire) -> None:
    """An open job of a provider without a key keeps nobody else's job from being polled."""
    orphan = replace(submitted(bench, wire), id="job_" + "0" * 32, provider="gone", task_id="x")
    early = bench.clock() - timedelta(seconds=60)
    with bench.db.write() as tx:
        store.jobs.insert(tx, replace(orphan, due_at=early))
    job = submitted(bench, wire)
    bench.clock.advance(60)
    for _ in range(4):
        try:
            bench.unit("poll")
        except KeyError:
            continue

    assert JobState.SUCCEEDED is bench.job(job).state
    assert JobState.SUBMITTED is bench.job(orphan).state


class Slow:
    """A provider that says "running" to everybody, and takes its time; of one it chokes."""

    name = "apixo"
    limits = Limits()

    def __init__(self, bench: Bench, seconds: float, chokes_on: str = "") -> None:
        self.asked: list[str] = []
        self._bench = bench
        self._seconds = seconds
        self._chokes_on = chokes_on

    def fetch(self, job: Job) -> Outcome:
        """What became of the task."""
        self._bench.clock.advance(self._seconds)
        self.asked.append(job.id)
        if job.id == self._chokes_on:
            raise ZeroDivisionError("choked")
        return RUNNING


def many(bench: Bench, count: int) -> list[Job]:
    """Jobs with tasks that are due to be polled."""
    jobs = [bench.new_job(f"fox {number}") for number in range(count)]
    with bench.db.write() as tx:
        for job in jobs:
            changes = {"state": JobState.SUBMITTED, "task_id": f"t-{job.id}"}
            store.jobs.change(tx, job.id, [JobState.QUEUED], **changes)
    return jobs


def poll_by(bench: Bench, provider: Slow) -> bool:
    """One unit of polling at this provider."""
    there: Any = {"apixo": provider}
    return poll_jobs(bench.db, there, bench.wiring.settings, bench.clock)


def test_polls_in_batches(bench: Bench) -> None:
    """Forty due jobs take three units, each job asked about once, then none is due."""
    jobs, provider = many(bench, 40), Slow(bench, 0)
    units = [poll_by(bench, provider) for _ in range(4)]

    assert [True, True, True, False] == units
    assert sorted(job.id for job in jobs) == sorted(provider.asked)
    assert {JobState.SUBMITTED} == {bench.job(job).state for job in jobs}
    assert {5.0} == {wait(bench, job) for job in jobs}


def test_choking_on_one_task(bench: Bench) -> None:
    """A task whose answer breaks us is quarantined; the others of its batch are polled."""
    jobs = many(bench, 3)
    provider = Slow(bench, 0, chokes_on=jobs[1].id)
    poll_by(bench, provider)
    with bench.db.read() as tx:
        aside = [row.row_id for row in store.quarantine.rows(tx)]

    assert [jobs[1].id] == aside
    assert [5.0, 5.0] == [wait(bench, jobs[place]) for place in (0, 2)]


def test_slow_provider(bench: Bench) -> None:
    """No lease runs out over a slow provider: the rest of the batch is handed back at once."""
    jobs, provider = many(bench, 10), Slow(bench, 10)
    poll_by(bench, provider)

    assert 2 == len(provider.asked)
    assert 8 == sum(bench.job(job).due_at == bench.clock() for job in jobs)


def test_polls_become_rarer(bench: Bench) -> None:
    """Each poll comes a quarter later than the one before, up to a minute."""
    (job,), provider = many(bench, 1), Slow(bench, 0)
    waits = []
    for _ in range(14):
        poll_by(bench, provider)
        waits.append(wait(bench, job))
        bench.clock.advance(waits[-1])

    assert [5.0, 6.25, 7.8125] == waits[:3]
    assert sorted(waits) == waits
    assert 60.0 == waits[-1]


def test_polls_stretch_in_a_crowd(bench: Bench) -> None:
    """Twice as many open tasks as a crowd: polls of each are half as frequent."""
    jobs = many(bench, 400)
    with bench.db.write() as tx:
        settle_poll(tx, bench.wiring.settings, jobs[0], RUNNING, "poll", bench.clock())

    assert 10.0 == wait(bench, jobs[0])


def test_absent_vendor_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Since when a vendor cannot be asked is remembered until it answers again; logged once."""
    caplog.set_level("INFO", "service.jobs.provider_status")
    (job,) = many(bench, 1)
    began = bench.clock()
    for found in (AWAY, AWAY):
        find(bench, job, found)
        bench.clock.advance(60)
    with bench.db.read() as tx:
        (row,) = [row for row in store.providers.all_rows(tx) if row.name == "apixo"]
    find(bench, job, RUNNING)
    with bench.db.read() as tx:
        (after,) = [row for row in store.providers.all_rows(tx) if row.name == "apixo"]

    assert ("PROVIDER_UNAVAILABLE: away", began) == (row.last_error, row.last_error_since)
    assert (None, None) == (after.last_error, after.last_error_since)
    assert [
        "apixo cannot be asked: PROVIDER_UNAVAILABLE: away",
        "apixo answers again",
    ] == caplog.messages


def tokens(bench: Bench) -> int:
    """Requests that may still go out at once to APIXO."""
    with bench.db.read() as tx:
        return int(tx.scalar(select(providers.c.tokens).filter_by(name="apixo")) or 0)


@pytest.mark.parametrize(
    ("asked", "wait"), [(120.0, 120.0), (999_999_999.0, 900.0), (1e300, 900.0)]
)
def test_vendor_that_wants_fewer_polls(bench: Bench, asked: float, wait: float) -> None:
    """Its wait is kept, up to a quarter of an hour: no job is forgotten for one header."""
    job = bench.new_job()
    slower = Refused("RATE_LIMITED", "slower", retry_after=asked)
    with bench.db.write() as tx:
        store.jobs.accept(tx, job.id, [JobState.QUEUED], task_id="t1")
        settle_poll(tx, bench.wiring.settings, job, slower, "poll", bench.clock())

    assert bench.clock() + timedelta(seconds=wait) == bench.job(job).due_at


def test_one_bucket_for_all_requests(bench: Bench, wire: Wire) -> None:
    """A submit, a poll and a confirm each take from the vendor's one allowance."""
    job = bench.new_job("[unknown-state dreaming] A fox")
    bench.drain("submit")
    left = [tokens(bench)]
    bench.clock.advance(31)
    with bench.db.write() as tx:
        tx.execute(update(providers).values(refilled_at=bench.clock()))
    bench.unit("poll")
    left.append(tokens(bench))
    bench.wiring.ingest.insert(job.id, "apixo", {}, b"{}", bench.clock())
    bench.unit("process")
    left.append(tokens(bench))

    assert [999, 998, 997] == left

"""What an operator does by hand: resolve, hold, resume, cancel, as real processes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.servers import Clipbell

from service import store
from service.bootstrap import Wiring
from service.jobs.answers import hold_job, mark_unknown
from service.jobs.requests import check_request, request_job
from service.model import JobState
from service.model.error_codes import job_error


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json").stdout)


def trouble(clipbell: Clipbell, *arguments: str) -> str:
    """The one line on stderr of a verb that fails."""
    done = clipbell.run(*arguments, code=1)
    assert "" == done.stdout
    assert re.fullmatch(r"clipbell: [^\n]+\n", done.stderr), done.stderr[-200:]
    return done.stderr


def left_as(worker: Wiring, state: JobState) -> str:
    """A job that a worker has left in this state."""
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
    request = check_request(body, worker.channels, worker.market())
    now = worker.clock()
    with worker.db.write() as tx:
        account = store.accounts.first(tx)
        assert account is not None
        job = request_job(tx, worker.encryptor, worker.settings, account.id, request, now)
        if state is JobState.UNKNOWN:
            mark_unknown(tx, job, "no answer", now)
        elif state is JobState.HELD:
            hold_job(tx, job, job_error("INSUFFICIENT_CREDITS", "none left"), None, now)
        else:
            store.jobs.change(tx, job.id, list(JobState), state=state)
    return job.id


def now(worker: Wiring, job_id: str) -> tuple[str, str | None]:
    """The job's state and its task."""
    with worker.db.read() as tx:
        job = store.jobs.find(tx, job_id)
    assert job is not None
    return job.state, job.task_id


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (["--task", "t-1"], ("submitted", "t-1")),
        (["--resend"], ("queued", None)),
        (["--fail"], ("failed", None)),
    ],
)
def test_resolve(
    clipbell: Clipbell, worker: Wiring, how: list[str], expected: tuple[str, str | None]
) -> None:
    """An unknown job becomes what the person says; saying it again is one line of trouble."""
    job_id = left_as(worker, JobState.UNKNOWN)
    report = shown(clipbell, "resolve", job_id, *how)
    # By another task: that this one has a job already is another trouble.
    again = ["--task", "t-2"] if "--task" in how else how

    assert expected == (report["state"], report["task_id"]) == now(worker, job_id)
    assert "only unknown jobs" in trouble(clipbell, "resolve", job_id, *again)
    assert expected == now(worker, job_id)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SUBMITTING, JobState.SUCCEEDED])
def test_resolve_of_others(clipbell: Clipbell, worker: Wiring, state: JobState) -> None:
    """What is not unknown is never sent again by hand."""
    job_id = left_as(worker, state)

    assert state in trouble(clipbell, "resolve", job_id, "--resend")
    assert state == now(worker, job_id)[0]


def test_resolve_by_the_task_of_another(clipbell: Clipbell, worker: Wiring) -> None:
    """No two jobs get one task; the line names the job that has it."""
    first, second = (left_as(worker, JobState.UNKNOWN) for _ in range(2))
    clipbell.run("resolve", first, "--task", "twin")

    assert "twin" in trouble(clipbell, "resolve", second, "--task", "twin")
    assert "--task: must be the task's id" in trouble(clipbell, "resolve", second, "--task", "a b")
    assert ("unknown", None) == now(worker, second)


@pytest.mark.parametrize("how", [[], ["--resend", "--fail"], ["--task", "t", "--resend"]])
def test_resolve_wants_one_way(clipbell: Clipbell, how: list[str]) -> None:
    """None or two of the three is wrong usage, and changes nothing."""
    done = clipbell.run("resolve", "job_x", *how, code=2)

    assert ("", False) == (done.stdout, "Traceback" in done.stderr)
    assert "--resend" in done.stderr


@pytest.mark.parametrize("verb", ["resolve", "cancel"])
def test_job_that_is_not(clipbell: Clipbell, verb: str) -> None:
    """A job that nobody knows is reported, with the verb that lists them."""
    how = ["--fail"] if verb == "resolve" else []

    assert "clipbell jobs" in trouble(clipbell, verb, "job_x", *how)


def test_cancel(clipbell: Clipbell, worker: Wiring) -> None:
    """What was not sent is taken back; what may have been stays, and mute is named."""
    own = [left_as(worker, JobState.QUEUED), left_as(worker, JobState.HELD)]
    sent = left_as(worker, JobState.UNKNOWN)

    assert ["canceled"] * 2 == [shown(clipbell, "cancel", job_id)["state"] for job_id in own]
    assert "mute" in trouble(clipbell, "cancel", sent)
    assert "unknown" == now(worker, sent)[0]


def test_hold_and_resume(clipbell: Clipbell, worker: Wiring) -> None:
    """A held provider stays held until resumed; what was held goes on, and is counted."""
    waiting = left_as(worker, JobState.HELD)
    held = shown(clipbell, "hold", "apixo")

    assert ("apixo", "held by an operator") == (held["id"], held["held"])
    assert "clipbell resume apixo" in clipbell.run("hold", "apixo").stdout
    with worker.db.read() as tx:
        assert store.providers.held(tx, "apixo")
    resumed = shown(clipbell, "resume", "apixo")
    with worker.db.read() as tx:
        assert store.providers.held(tx, "apixo") is None

    assert (None, 1) == (resumed["held"], resumed["released"])
    assert "queued" == now(worker, waiting)[0]
    assert "no job has waited" in clipbell.run("resume", "apixo").stdout


@pytest.mark.parametrize("verb", ["hold", "resume"])
def test_provider_that_is_not(clipbell: Clipbell, verb: str) -> None:
    """A provider that has no key is reported, with those that have one."""
    assert "apixo, segmind" in trouble(clipbell, verb, "nobody")
    assert 2 == clipbell.run(verb, code=2).returncode

"""A vendor's answer is on our disk before its row is, and not lost with either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from support.harness import Harness
from support.sandboxes import SandboxClient

from service import store
from service.jobs.answers import commit_left_answers
from service.jobs.journal import CreateAnswer, Journal, Refusal, Silence
from service.jobs.submission import submit_job
from service.model import Job, JobError, JobState, Outcome, Submission, TaskState
from service.ops.upkeep import Maintenance
from service.store.schema import jobs as jobs_table

pytestmark = pytest.mark.postgresql

OUTCOME = Outcome(TaskState.FAILED, "t1", error=JobError("BAD_REQUEST", "no", False, "h", "400"))
ANSWERS: list[Submission | Refusal | Silence] = [
    Submission("t1", None, "x-cost 0.44"),
    Submission("t1", OUTCOME),
    Refusal("RATE_LIMITED", "later", "429", 3.5),
    Silence("SUBMIT_TIMEOUT_UNKNOWN", "no answer"),
]


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor; its callbacks go nowhere."""
    return {"apixo_base_url": sandbox.server.url}


@pytest.mark.parametrize("result", ANSWERS)
def test_every_answer_is_read_as_written(tmp_path: Path, result: Any) -> None:
    """Another process finds the answer as it was, once this one is gone."""
    answer = CreateAnswer("job_1", 3, result)
    journal = Journal(tmp_path / "submissions")
    journal.write(answer)
    while_open = list(Journal(tmp_path / "submissions").left())
    journal.release(answer)
    found: list[CreateAnswer] = []
    for one in journal.left():
        found.append(one)
        journal.remove(one)

    assert ([], [answer], []) == (while_open, found, list(journal.left()))


def test_a_late_removal_keeps_the_next_answer(tmp_path: Path) -> None:
    """A job may be sent again before its refusal's file is gone: the new answer stays."""
    refused = CreateAnswer("job_1", 1, ANSWERS[2])
    accepted = CreateAnswer("job_1", 2, ANSWERS[0])
    first, second = Journal(tmp_path), Journal(tmp_path)
    first.write(refused)
    second.write(accepted)
    first.remove(refused)
    second.release(accepted)

    assert [accepted] == list(Journal(tmp_path).left())


def test_a_file_of_an_earlier_version(tmp_path: Path) -> None:
    """Files were named by their job alone: one is found, and removed once it is committed."""
    (tmp_path / "job_1.json").write_bytes(
        b'{"job_id": "job_1", "claims": 1, "result": {"task_id": "t1"}}'
    )
    journal = Journal(tmp_path)
    for answer in journal.left():
        journal.remove(answer)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"job_id": "job_0", "claims": 1}',
        b'{"job_id": "job_0", "claims": 1, "result": {"kind": "of another version"}}',
        b'{"job_id": "job_9", "claims": 1, "result": {"task_id": "t1"}}',
        None,
    ],
)
def test_a_broken_file_stops_no_other(tmp_path: Path, content: bytes | None) -> None:
    """What cannot be read stays for a person, and those behind it are found."""
    journal = Journal(tmp_path)
    if content is None:
        (tmp_path / "job_0.json").mkdir()
    else:
        (tmp_path / "job_0.json").write_bytes(content)
    answer = CreateAnswer("job_1", 1, ANSWERS[0])
    journal.write(answer)
    journal.release(answer)

    assert ["job_1"] == [answer.job_id for answer in journal.left()]
    assert (tmp_path / "job_0.json").exists()


def test_an_answer_of_a_later_version(tmp_path: Path) -> None:
    """What a later version knows besides does not hide the task."""
    said = b'{"job_id": "job_1", "claims": 1, "result": {"task_id": "t1", "more": 1}, "more": 2}'
    (tmp_path / "job_1.json").write_bytes(said)

    assert [CreateAnswer("job_1", 1, Submission("t1"))] == list(Journal(tmp_path).left())


def left(harness: Harness) -> list[str]:
    """What lies in the journal."""
    return [path.name for path in harness.wiring.settings.submissions.glob("*.json")]


def test_nothing_is_left_of_what_is_committed(harness: Harness, sandbox: SandboxClient) -> None:
    """The usual way leaves no file behind."""
    job = harness.new_job("[lose] a fox")
    harness.drain("submit")

    assert (JobState.SUBMITTED, []) == (harness.job(job).state, left(harness))


class Watched(Journal):
    """Notes what the database knew of a job when its answer came onto the disk, and went."""

    def __init__(self, harness: Harness, job: Job) -> None:
        super().__init__(harness.wiring.settings.submissions)
        self._harness, self._job = harness, job
        self.seen: list[tuple[str, JobState]] = []

    def write(self, answer: CreateAnswer) -> None:
        """As ever."""
        super().write(answer)
        self.seen.append(("written", self._harness.job(self._job).state))

    def remove(self, answer: CreateAnswer) -> None:
        """As ever."""
        self.seen.append(("removed", self._harness.job(self._job).state))
        super().remove(answer)


def test_the_disk_is_first(harness: Harness, sandbox: SandboxClient) -> None:
    """The answer is on the disk before the database hears of it, and until it has it."""
    journal = Watched(harness, harness.new_job("[lose] a fox"))
    context = replace(harness.wiring.submission_context(holding=False), journal=journal)
    submit_job(harness.db, context, harness.clock)

    assert [("written", JobState.SUBMITTING), ("removed", JobState.SUBMITTED)] == journal.seen


def test_a_restarted_worker_commits_what_it_finds(harness: Harness, sandbox: SandboxClient) -> None:
    """A task that was accepted while the database was away is the job's, also after its lease."""
    job = harness.new_job("[lose] a fox")
    with harness.db.write() as tx:
        sent = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60)
    assert sent is not None
    journal = harness.wiring.journal
    answer = CreateAnswer(sent.id, sent.claims, Submission("a" * 32))
    journal.write(answer)
    journal.release(answer)
    harness.clock.advance(61)
    harness.drain("reconcile")
    assert JobState.UNKNOWN is harness.job(job).state

    Maintenance(harness.wiring).run_once()

    assert [] == left(harness)
    assert 0 == commit_left_answers(harness.db, journal, harness.wiring.settings, harness.clock)
    assert (JobState.SUBMITTED, "a" * 32) == (harness.job(job).state, harness.job(job).task_id)


def test_a_job_that_cannot_be_read_stops_no_other(harness: Harness, sandbox: SandboxClient) -> None:
    """Its answer stays on the disk until it can; those behind it are committed."""
    journal = harness.wiring.journal
    jobs = [harness.new_job(f"[lose] fox {number}") for number in range(2)]
    for job in jobs:
        with harness.db.write() as tx:
            sent = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 60)
        assert sent is not None
        answer = CreateAnswer(job.id, sent.claims, Submission(f"task{job.id[-20:]}"))
        journal.write(answer)
        journal.release(answer)
    with harness.db.write() as tx:
        tx.execute(update(jobs_table).filter_by(id=jobs[0].id).values(model="sold-by-nobody"))

    commit_left_answers(harness.db, journal, harness.wiring.settings, harness.clock)

    assert JobState.SUBMITTED is harness.job(jobs[1]).state
    assert [f"{jobs[0].id}.1.json"] == left(harness)

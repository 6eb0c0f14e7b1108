"""Rows that went back in time are noticed before anything is sent a second time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update
from support.harness import Harness
from support.sandboxes import SandboxClient

from service import store
from service.jobs.high_water import WENT_BACK, HighWater, watch_rows
from service.jobs.provider_status import release_provider
from service.jobs.restore import mark_unknown_after_restore
from service.model import Job, JobState
from service.ops.upkeep import Heartbeat
from service.store.high_water import Position
from service.store.schema import high_water, jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor; its callbacks go nowhere."""
    return {"apixo_base_url": sandbox.server.url}


def go_back(harness: Harness, *sent: Job) -> None:
    """The rows as they were before these jobs were sent."""
    queued = {"state": JobState.QUEUED, "task_id": None, "sent_at": None, "claims": 0}
    with harness.db.write() as tx:
        for job in sent:
            mine = update(jobs).where(jobs.c.id == job.id)
            tx.execute(mine.values(**queued, due_at=harness.clock()))
        less = update(high_water).values(sent=high_water.c.sent - len(sent))
        tx.execute(less)


def held(harness: Harness) -> list[str]:
    """Why nothing goes out to which provider, the first words of each reason."""
    with harness.db.read() as tx:
        reasons = [row.held_reason for row in store.providers.all_rows(tx)]
    return [reason.partition(":")[0] for reason in reasons if reason]


def created(sandbox: SandboxClient, job: Job) -> int:
    """How many creates of this job the vendor has had."""
    prompt = job.input["prompt"].partition("] ")[2] or job.input["prompt"]
    return [task.values["prompt"] for task in sandbox.server.renderer.book.all()].count(prompt)


def test_older_rows_send_nothing(harness: Harness, sandbox: SandboxClient) -> None:
    """Six jobs that were sent are queued again in an older copy: none is created twice."""
    sent = [harness.new_job(f"[lose] fox {number} {harness.account.id}") for number in range(6)]
    harness.drain("submit")
    go_back(harness, *sent)
    harness.drain("submit")

    assert [1] * 6 == [created(sandbox, job) for job in sent]
    assert {JobState.QUEUED} == {harness.job(job).state for job in sent}
    assert [WENT_BACK] * 2 == held(harness)


def test_noticed_before_anything_is_due(harness: Harness, sandbox: SandboxClient) -> None:
    """A worker's heartbeat sees it, and says it once."""
    heart = Heartbeat(harness.wiring)
    job = harness.new_job("[lose] a fox")
    harness.drain("submit")
    heart.beat()
    assert [] == held(harness)
    go_back(harness, job)
    for _ in range(2):
        heart.beat()

    assert [WENT_BACK] * 2 == held(harness)


def test_a_folder_that_the_rows_do_not_know(harness: Harness, sandbox: SandboxClient) -> None:
    """Rows of another database, which never heard of this folder, are older too."""
    harness.new_job("[lose] a fox")
    harness.drain("submit")
    with harness.db.write() as tx:
        tx.execute(delete(high_water))
    job = harness.new_job("[lose] another fox")
    harness.drain("submit")

    assert (JobState.QUEUED, [WENT_BACK] * 2) == (harness.job(job).state, held(harness))


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"data_folder": "dir_1", "sent": "x"}']
)
def test_a_damaged_record(harness: Harness, sandbox: SandboxClient, damage: bytes) -> None:
    """Where nobody knows any more what was sent nothing is, until an operator resumes."""
    harness.new_job("[lose] a fox")
    harness.drain("submit")
    harness.wiring.settings.high_water.write_bytes(damage)
    job = harness.new_job("[lose] another fox")
    harness.drain("submit")
    refused = held(harness), harness.job(job).state
    with harness.db.write() as tx:
        release_provider(tx, "apixo", harness.clock())
    harness.drain("submit")

    assert ([WENT_BACK] * 2, JobState.QUEUED) == refused
    assert JobState.SUBMITTED is harness.job(job).state


@pytest.mark.parametrize("count", [1, 3])
def test_an_operator_resumes(harness: Harness, sandbox: SandboxClient, count: int) -> None:
    """Who has looked, and resumes, is believed: sending goes on, however much was missing."""
    job, *others = [
        harness.new_job(f"[lose] fox {number} of {harness.account.id}") for number in range(count)
    ]
    harness.drain("submit")
    go_back(harness, job, *others)
    harness.drain("submit")
    with harness.db.write() as tx:
        for name in harness.wiring.providers:
            release_provider(tx, name, harness.clock())
    harness.drain("submit")

    assert ([], JobState.SUBMITTED) == (held(harness), harness.job(job).state)
    assert 2 == created(sandbox, job)


def test_recovery_lifts_the_hold(harness: Harness, sandbox: SandboxClient) -> None:
    """After `recover-from-backup` new jobs go out, and those that may have been sent do not."""
    old = harness.new_job("[lose] a fox")
    harness.drain("submit")
    go_back(harness, old)
    harness.drain("submit")
    mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())
    new = harness.new_job("[lose] a new fox")
    harness.drain("submit")

    assert [] == held(harness)
    assert (JobState.UNKNOWN, JobState.SUBMITTED) == (
        harness.job(old).state,
        harness.job(new).state,
    )


PLACE = Position(3, "00000002", 5000)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (PLACE, ""),
        (replace(PLACE, sent=9, lsn=9000), ""),
        (replace(PLACE, sent=2), "the database has 2 of the 3 jobs"),
        (replace(PLACE, timeline="00000003", lsn=6000), "timeline 2 became 3"),
        (replace(PLACE, timeline="00000001"), "timeline 2 became 1"),
        (replace(PLACE, lsn=4999), "an earlier place"),
        (Position(3), ""),
    ],
)
def test_where_the_rows_stand(harness: Harness, position: Position, words: str) -> None:
    """Fewer creates, another timeline or an earlier log are found; nothing else is."""
    memory = HighWater(harness.wiring.settings.high_water)
    memory.save(PLACE)

    found = memory.missing(position, position.sent)

    assert (words in found, bool(found)) == (True, bool(words))


def test_watching_while_jobs_are_sent(harness: Harness) -> None:
    """Creates that go out between two looks at file and rows are no reason for an alarm."""
    memory, done = harness.wiring.high_water, threading.Event()

    def send() -> None:
        while not done.is_set():
            with harness.db.write() as tx:
                position = store.high_water.advance(tx, memory.data_folder)
            memory.save(position)

    sending = threading.Thread(target=send)
    sending.start()
    for _ in range(60):
        with harness.db.write() as tx:
            watch_rows(tx, memory)
    done.set()
    sending.join()

    assert [] == held(harness)


def test_two_processes_of_one_folder(harness: Harness) -> None:
    """They share the folder's name, and the count never falls."""
    one, other = (HighWater(harness.wiring.settings.high_water) for _ in range(2))
    one.save(Position(5))
    other.save(Position(4))

    assert one.data_folder == other.data_folder
    assert 5 == json.loads(harness.wiring.settings.high_water.read_text())["sent"]


def test_place_in_the_log(harness: Harness) -> None:
    """PostgreSQL says where its log stands, so that a fail-over to older rows is noticed."""
    with harness.db.read() as tx:
        position = store.high_water.read(tx, "dir_of_nobody")

    on_postgresql = not harness.db.is_sqlite
    assert (0, on_postgresql, on_postgresql) == (
        position.sent,
        bool(position.timeline),
        position.lsn > 0,
    )

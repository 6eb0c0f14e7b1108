"""Rows that went back in time are noticed before anything is sent a second time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import Bench
from sqlalchemy import delete, update
from support.sandboxes import Wire

from service import store
from service.jobs.high_water import WENT_BACK, HighWater, watch_rows
from service.jobs.requests import release_provider
from service.jobs.restore import mark_unknown_after_restore
from service.model import Job, JobState
from service.store.high_water import Position
from service.store.schema import high_water, jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor; its callbacks go nowhere."""
    return {"apixo_base_url": wire.server.url}


def go_back(bench: Bench, *sent: Job) -> None:
    """The rows as they were before these jobs were sent."""
    queued = {"state": JobState.QUEUED, "task_id": None, "sent_at": None, "claims": 0}
    with bench.db.write() as tx:
        for job in sent:
            mine = update(jobs).where(jobs.c.id == job.id)
            tx.execute(mine.values(**queued, due_at=bench.clock()))
        less = update(high_water).values(sent=high_water.c.sent - len(sent))
        tx.execute(less)


def held(bench: Bench) -> list[str]:
    """Why nothing goes out to which provider, the first words of each reason."""
    with bench.db.read() as tx:
        reasons = [row.held_reason for row in store.providers.all_rows(tx)]
    return [reason.partition(":")[0] for reason in reasons if reason]


def created(wire: Wire, job: Job) -> int:
    """How many creates of this job the vendor has had."""
    prompt = job.input["prompt"].partition("] ")[2] or job.input["prompt"]
    return [task.values["prompt"] for task in wire.server.renderer.book.all()].count(prompt)


def test_older_rows_send_nothing(bench: Bench, wire: Wire) -> None:
    """Six jobs that were sent are queued again in an older copy: none is created twice."""
    sent = [bench.new_job(f"[lose] fox {number} {bench.account.id}") for number in range(6)]
    bench.drain("submit")
    go_back(bench, *sent)
    bench.drain("submit")

    assert [1] * 6 == [created(wire, job) for job in sent]
    assert {JobState.QUEUED} == {bench.job(job).state for job in sent}
    assert [WENT_BACK] * 2 == held(bench)


def test_noticed_before_anything_is_due(bench: Bench, wire: Wire) -> None:
    """A worker's heartbeat sees it, and says it once."""
    job = bench.new_job("[lose] a fox")
    bench.drain("submit")
    with bench.db.write() as tx:
        watch_rows(tx, bench.wiring.high_water)
    assert [] == held(bench)
    go_back(bench, job)
    with bench.db.write() as tx:
        watch_rows(tx, bench.wiring.high_water)

    assert [WENT_BACK] * 2 == held(bench)


def test_a_folder_that_the_rows_do_not_know(bench: Bench, wire: Wire) -> None:
    """Rows of another database, which never heard of this folder, are older too."""
    bench.new_job("[lose] a fox")
    bench.drain("submit")
    with bench.db.write() as tx:
        tx.execute(delete(high_water))
    job = bench.new_job("[lose] another fox")
    bench.drain("submit")

    assert (JobState.QUEUED, [WENT_BACK] * 2) == (bench.job(job).state, held(bench))


def test_an_operator_resumes(bench: Bench, wire: Wire) -> None:
    """Who has looked, and resumes, is believed: sending goes on."""
    job = bench.new_job(f"[lose] a fox of {bench.account.id}")
    bench.drain("submit")
    go_back(bench, job)
    bench.drain("submit")
    with bench.db.write() as tx:
        for name in bench.wiring.providers:
            release_provider(tx, name, bench.clock())
    bench.drain("submit")

    assert ([], JobState.SUBMITTED) == (held(bench), bench.job(job).state)
    assert 2 == created(wire, job)


def test_recovery_lifts_the_hold(bench: Bench, wire: Wire) -> None:
    """After `recover-from-backup` new jobs go out, and those that may have been sent do not."""
    old = bench.new_job("[lose] a fox")
    bench.drain("submit")
    go_back(bench, old)
    bench.drain("submit")
    mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())
    new = bench.new_job("[lose] a new fox")
    bench.drain("submit")

    assert [] == held(bench)
    assert (JobState.UNKNOWN, JobState.SUBMITTED) == (bench.job(old).state, bench.job(new).state)


PLACE = Position(3, "00000002", 5000)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (PLACE, ""),
        (replace(PLACE, sent=9, lsn=9000), ""),
        (replace(PLACE, sent=2), "the rows know 2 of the 3 jobs"),
        (replace(PLACE, timeline="00000003", lsn=6000), "timeline 2 became 3"),
        (replace(PLACE, timeline="00000001"), "timeline 2 became 1"),
        (replace(PLACE, lsn=4999), "an earlier place"),
        (Position(3), ""),
    ],
)
def test_where_the_rows_stand(bench: Bench, position: Position, words: str) -> None:
    """Fewer creates, another timeline or an earlier log are found; nothing else is."""
    memory = HighWater(bench.wiring.settings.high_water)
    memory.save(PLACE)

    found = memory.missing(position, position.sent)

    assert (words in found, bool(found)) == (True, bool(words))


def test_two_processes_of_one_folder(bench: Bench) -> None:
    """They share the folder's name, and the count never falls."""
    one, other = (HighWater(bench.wiring.settings.high_water) for _ in range(2))
    one.save(Position(5))
    other.save(Position(4))

    assert one.data_folder == other.data_folder
    assert 5 == json.loads(bench.wiring.settings.high_water.read_text())["sent"]

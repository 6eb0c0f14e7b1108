"""Batches: a row is one job for good, however often its file is run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.harness import Harness

from service.errors import InvalidInput
from service.jobs.batches import BatchRow, numbered, request_once
from service.jobs.requests import check_request
from service.model import Job

pytestmark = pytest.mark.postgresql

MODEL = "kling-2-5-turbo-pro"


def rows(*prompts: str, ids: list[str] | None = None, **more: Any) -> list[BatchRow]:
    """The rows of a file."""
    own: list[str] | list[None] = ids or [None] * len(prompts)
    bodies = [{"model": MODEL, "input": {"prompt": prompt}} | more for prompt in prompts]
    return numbered((number, own[number], body) for number, body in enumerate(bodies))


def run(harness: Harness, row: BatchRow) -> tuple[Job, bool]:
    """The job of a row, and whether it is new."""
    w = harness.wiring
    asked = check_request(row.body, w.channels, w.market())
    with harness.db.write() as tx:
        account = harness.account.id
        return request_once(tx, w.encryptor, w.settings, account, row, asked, harness.clock())


def test_run_twice(harness: Harness) -> None:
    """The second run of a file makes nothing, even much later."""
    first = [run(harness, row) for row in rows("fox", "hen")]
    harness.clock.advance(30 * 86_400)
    second = [run(harness, row) for row in rows("fox", "hen")]

    assert [True, True] == [new for _, new in first]
    assert [(job.id, False) for job, _ in first] == [(job.id, new) for job, new in second]


def test_stopped_in_the_middle(harness: Harness) -> None:
    """What was missing is made, wherever it stands in the file."""
    run(harness, rows("fox", "hen")[1])

    assert [True, False, True] == [run(harness, row)[1] for row in rows("fox", "hen", "cat")]


def test_equal_rows(harness: Harness) -> None:
    """A row that stands twice in a file is two jobs, and stays two."""
    first = [run(harness, row) for row in rows("fox", "hen", "fox")]
    second = [run(harness, row) for row in rows("fox", "fox", "fox", "hen")]

    assert [True] * 3 == [new for _, new in first]
    assert [False, False, True, False] == [new for _, new in second]


def test_edited_row_with_an_id(harness: Harness) -> None:
    """An id stands for what it stood for first: another content is refused with its job."""
    job, _ = run(harness, rows("fox", ids=["7"])[0])

    assert not run(harness, rows("fox", ids=["7"])[0])[1]
    with pytest.raises(InvalidInput, match=job.id):
        run(harness, rows("hen", ids=["7"])[0])
    assert run(harness, rows("fox", ids=["8"])[0])[1]


def test_other_notify(harness: Harness) -> None:
    """Another recipient is no reason to pay for a row again."""
    run(harness, rows("fox")[0])

    assert not run(harness, rows("fox", notify=[])[0])[1]


def test_other_account(harness: Harness) -> None:
    """Another account's rows are its own."""
    run(harness, rows("fox", ids=["1"])[0])
    harness.account, _ = harness.new_account("bob")

    assert run(harness, rows("fox", ids=["1"])[0])[1]


def test_two_runs_at_once(harness: Harness) -> None:
    """Two runs of one file at the same time make each job once."""
    file = rows(*[f"fox {number}" for number in range(12)])
    made: list[tuple[str, bool]] = []

    def run_all() -> None:
        made.extend((job.id, new) for job, new in (run(harness, row) for row in file))

    threads = [threading.Thread(target=run_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (12, 12) == (len({job_id for job_id, _ in made}), sum(new for _, new in made))
    assert 48 == len(made)

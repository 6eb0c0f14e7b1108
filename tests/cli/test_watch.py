"""Verbs that wait: `watch` and `submit --wait`, as real processes, on a pipe and on a terminal."""

from __future__ import annotations

import json
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from support.processes import Process, lines_of
from support.servers import Clipbell, eventually
from support.terminals import Terminal

from service import store
from service.bootstrap import Wiring
from service.model import JobState


def asked(clipbell: Clipbell) -> str:
    """A job that waits for a worker."""
    made = json.loads(clipbell.run("submit", "kling-2", "--prompt", "A fox", "--json").stdout)
    return str(made["id"])


def end(worker: Wiring, job_id: str) -> None:
    """The job has failed."""
    with worker.db.write() as tx:
        store.jobs.end(tx, job_id, worker.clock(), state=JobState.FAILED)


def test_changes_as_lines(clipbell: Clipbell, worker: Wiring, tmp_path: Path) -> None:
    """A program gets one line per change, and the end once nothing is under way any more."""
    job_id = asked(clipbell)
    words = ["watch", "--json", "--until-idle", "--every", "0.2"]
    out = tmp_path / "out"
    child = Process("service", words, clipbell.environ, out, tmp_path / "err")
    eventually(lambda: lines_of(out))
    end(worker, job_id)
    code = child.wait(20)
    first, *rest = map(json.loads, lines_of(out))

    assert (job_id, "queued") == (first["id"], first["state"])
    assert [(job_id, "failed")] == [(job["id"], job["state"]) for job in rest]
    assert 0 == code


@pytest.mark.parametrize(
    ("verb", "code", "report"),
    [
        (["watch"], 0, ""),
        (["submit", "kling-2", "--prompt", "A hen", "--wait"], 130, "clipbell show job_"),
    ],
)
def test_interrupted_on_a_terminal(
    clipbell: Clipbell, worker: Wiring, verb: list[str], code: int, report: str
) -> None:
    """A terminal shows what is waited for; Ctrl-C stops that without a traceback."""
    job_id = asked(clipbell)
    terminal = Terminal(clipbell.environ, *verb)
    terminal.until("no worker is alive")
    terminal.child.send_signal(signal.SIGINT)
    ended = terminal.end()
    for job in (job_id, *_queued(worker)):
        end(worker, job)

    assert code == ended
    assert report in terminal.shown
    assert "Traceback" not in terminal.shown
    assert verb != ["watch"] or job_id[:20] in terminal.shown


def test_provider_that_cannot_be_asked(clipbell: Clipbell, worker: Wiring) -> None:
    """With a worker alive, what keeps the provider from being asked is what a job waits for."""
    asked(clipbell)
    with worker.db.write() as tx:
        store.work.beat(tx, "w1", worker.clock())
        store.providers.ensure(tx, "segmind", worker.clock())
        store.providers.record_error(tx, "segmind", "no route", worker.clock())
    for verb in (["watch"], ["submit", "kling-2", "--prompt", "A hen", "--wait"]):
        terminal = Terminal(clipbell.environ, *verb, columns=200)
        terminal.until("segmind is unreachable since")
        terminal.child.send_signal(signal.SIGINT)
        terminal.end()
    with worker.db.write() as tx:
        store.providers.clear_error(tx, "segmind")
        store.work.beat(tx, "w1", worker.clock() - timedelta(days=1))
    for job in _queued(worker):
        end(worker, job)


def _queued(worker: Wiring) -> list[str]:
    with worker.db.read() as tx:
        return store.jobs.ids_in_states(tx, [JobState.QUEUED], 100)

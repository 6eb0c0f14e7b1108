"""
What waiting jobs cost: CPU seconds of an idle worker with none of them and with many.

``python -m bench.waiting [JOBS] [SECONDS]``, from tests/.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

from support.servers import Clipbell

from service import store
from service.bootstrap import build
from service.jobs.requests import check_request, planned_job
from service.model import JobState
from service.settings import load_settings

NOWHERE = "http://127.0.0.1:9"


def fill(clipbell: Clipbell, count: int) -> None:
    """So many jobs that their provider works on, none due within the hour."""
    wiring = build(load_settings(clipbell.environ))
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
    asked = check_request(body, wiring.channels, wiring.market())
    now = wiring.clock()
    with wiring.db.write() as tx:
        account = store.accounts.first(tx)
        assert account is not None
        for number in range(count):
            job = planned_job(wiring.settings, account.id, asked, now)
            store.jobs.insert(tx, job)
            store.jobs.change(
                tx,
                job.id,
                [JobState.QUEUED],
                state=JobState.SUBMITTED,
                task_id=f"t{number}",
                due_at=now + timedelta(hours=1),
            )
    wiring.close()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_cost(count: int, seconds: float) -> float:
    """CPU seconds per minute of a worker that has so many jobs waiting."""
    with tempfile.TemporaryDirectory() as folder, Clipbell(Path(folder), NOWHERE) as clipbell:
        fill(clipbell, count)
        clipbell.start()
        pid = clipbell.pid("worker")
        before = cpu_seconds(pid)
        threading.Event().wait(seconds)
        return (cpu_seconds(pid) - before) * 60 / seconds


def main() -> None:
    """Print both and their ratio."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    none, many = idle_cost(0, seconds), idle_cost(count, seconds)
    print(f"CPU of a worker, seconds per minute: {none:.2f} with no job, ", end="")
    print(f"{many:.2f} with {count} waiting ones ({many / none:.2f} times)")


if __name__ == "__main__":
    main()

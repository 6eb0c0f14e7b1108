"""
A batch of rows: how fast it is accepted and sent, and whether the vendor's limits hold.

``python -m bench.batch [--rows N] [--per-minute N] [--at-once N] [--speed N]
[--create-seconds S] [--task-seconds S] [--database postgresql] [--workers N]``, from tests/.

The vendor counts what it was asked for in each minute, wherever that begins, and how many
tasks it has at once; the exit code is 1 if one was ever above its limit. A smaller vendor is
as quick as its slots are few, 45 s a task of 1,000. At ``--speed 10`` the workers' clock runs
ten times as fast, and the vendor's minute has six seconds; where none is given, the minute is
so short that 20 creates a second are allowed at least.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from support.servers import eventually

from bench.deployment import Deployment, PeerProcess, Vendor, database, running_peer
from bench.program import TESTS
from bench.walk import CALLERS
from service.providers.apixo import Apixo

TREE = Path(__file__).parents[2]
LIMITS = Apixo.limits
assert LIMITS.requests_per_minute and LIMITS.tasks
#: A batch that stands still for so long is given up.
STILL_SECONDS = 120.0
#: What one worker can about do, and what each slot of the vendor takes.
A_SECOND = 20
CREATE_SECONDS, TASK_SECONDS = 1.0, 45.0
#: Workers whose clock is fast are not to ask before the vendor calls back.
NEVER_POLLED = "1000000"


@dataclass(frozen=True)
class Batch:
    """
    What is run.

    The vendor allows `per_minute` creates and `at_once` tasks, and a minute is
    60 / `speed` seconds long.
    """

    rows: int
    per_minute: int
    at_once: int
    speed: float
    vendor: Vendor
    database: str = "sqlite"
    workers: int = 1

    def is_over(self, figures: dict[str, float]) -> bool:
        """Whether the vendor was asked for more than it allows."""
        too_many = figures["most a minute"] > self.per_minute
        return too_many or figures["most at once"] > self.at_once


def run(batch: Batch) -> dict[str, float]:
    """Rows accepted and sent a second, and the most that the vendor had to bear."""
    with (
        database(batch.database) as settings,
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        running_peer(Path(folder), batch.vendor) as other,
        Deployment(TREE, Path(folder), other.url, poll_after=NEVER_POLLED, **settings) as clipbell,
    ):
        clipbell.start_web()
        clipbell.environ["PYTHONPATH"] += f"{os.pathsep}{TESTS}"
        limits = (str(batch.per_minute), str(batch.at_once), str(batch.speed))
        for number in range(batch.workers):
            clipbell.spawn(f"worker-{number}", "bench.limited", *limits)
        eventually(clipbell._ready)
        hook = {"channel": "webhook", "target": f"{other.url}/hook"}
        assert 201 == clipbell.call("POST", "/v1/subscriptions", hook).status
        began = time.monotonic()
        submit(clipbell, batch.rows)
        accepted = batch.rows / (time.monotonic() - began)
        _await_all(other, batch.rows)
        return {"accepted a second": accepted, **_borne(other.seen(), 60 / batch.speed)}


def submit(clipbell: Deployment, rows: int) -> None:
    """
    Every row as a job with a key of its own, from a few callers that keep their connections.

    They wait where the service asks them to: an API key has so many requests a minute.
    """
    sessions, never = threading.local(), threading.Event()

    def one(row: int) -> None:
        if not hasattr(sessions, "own"):
            sessions.own = requests.Session()
            sessions.own.trust_env = False
        body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": f"A fox, row {row}"}}
        headers = {"x-api-key": clipbell.key, "Idempotency-Key": f"row-{row}"}
        send = partial(sessions.own.post, f"{clipbell.url}/v1/jobs", json=body, headers=headers)
        while (answer := send(timeout=60)).status_code == 429:
            never.wait(float(answer.headers["Retry-After"]))
        assert 202 == answer.status_code, answer.text

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(one, range(rows)))


def _await_all(other: PeerProcess, rows: int) -> None:
    """Until the last hook has come; the batch may take long, but not stand still."""
    heard = 0
    while heard < rows:
        heard = eventually(partial(_heard_of_more, other, heard), STILL_SECONDS)


def _heard_of_more(other: PeerProcess, before: int) -> int:
    now = other.heard()
    return now if now > before else 0


def _borne(tasks: Sequence[dict[str, Any]], minute: float) -> dict[str, float]:
    asked = sorted(task["asked"] for task in tasks)
    return {
        "sent a second": (len(asked) - 1) / (asked[-1] - asked[0]),
        "creates": len(asked),
        "most a minute": most_within(asked, minute),
        "most at once": most_at_once([(task["asked"], task["ready"]) for task in tasks]),
    }


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of these sorted moments in any stretch of so many seconds."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """The most of these spans that overlap; one that begins as another ends does not."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def main() -> None:
    """Print the figures; exit code 1 where a limit did not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--per-minute", type=int, default=LIMITS.requests_per_minute)
    parser.add_argument("--at-once", type=int, default=LIMITS.tasks)
    parser.add_argument("--speed", type=float)
    parser.add_argument("--create-seconds", type=float)
    parser.add_argument("--task-seconds", type=float)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    share = given.at_once / LIMITS.tasks
    batch = Batch(
        rows=given.rows,
        per_minute=given.per_minute,
        at_once=given.at_once,
        speed=given.speed or max(1.0, A_SECOND * 60 / given.per_minute),
        vendor=Vendor(
            CREATE_SECONDS * share if given.create_seconds is None else given.create_seconds,
            TASK_SECONDS * share if given.task_seconds is None else given.task_seconds,
        ),
        database=given.database,
        workers=given.workers,
    )
    figures = run(batch)
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
    if batch.is_over(figures):
        sys.exit(f"above the vendor's limits: {batch.per_minute} a minute, {batch.at_once} at once")


if __name__ == "__main__":
    main()

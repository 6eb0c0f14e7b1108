"""Whole jobs, from the request to the hook: how many a second, at what cost, how late."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from support.servers import eventually

from bench.deployment import PATIENCE, Deployment, PeerProcess, Vendor, deployed

#: Jobs that run before it is measured: modules are loaded, the decoder is started.
WARM_UP = 8
CALLERS = 8


@dataclass(frozen=True)
class Walk:
    """What is run: so many jobs, all at once or `rate` a second."""

    name: str
    jobs: int
    rate: float = 0.0
    database: str = "sqlite"
    vendor: Vendor = field(default_factory=Vendor)
    workers: int = 1


def run(walk: Walk, tree: Path) -> dict[str, float]:
    """
    One run over the source tree `tree`.

    Returns:
        Jobs a second; of the workers and the web, CPU in ms a job; milliseconds from a
        callback to its hook and to its answer.
    """
    with deployed(tree, walk.database, walk.vendor, walk.workers) as (clipbell, other, workers):
        submit(clipbell, WARM_UP)
        await_hooks(other, WARM_UP)
        other.ask("forget")
        if not walk.rate:
            clipbell.call("POST", "/v1/providers/apixo/hold")
            submit(clipbell, walk.jobs)
        before = clipbell.cpu_seconds(*workers), clipbell.cpu_seconds("serve")
        began = time.monotonic()
        if walk.rate:
            submit(clipbell, walk.jobs, walk.rate)
        else:
            clipbell.call("POST", "/v1/providers/apixo/resume")
        await_hooks(other, walk.jobs)
        after = clipbell.cpu_seconds(*workers), clipbell.cpu_seconds("serve")
        seen = other.seen()
    ended = max(task["hooks"][0] for task in seen)
    notices = [1000 * (task["hooks"][0] - task["called"]) for task in seen]
    answers = [1000 * (task["answered"] - task["called"]) for task in seen]
    return {
        "jobs/s": walk.jobs / (ended - began),
        "worker ms/job": 1000 * (after[0] - before[0]) / walk.jobs,
        "web ms/job": 1000 * (after[1] - before[1]) / walk.jobs,
        "hook p50 ms": median(notices),
        "hook p99 ms": quantiles(notices, n=100)[98],
        "200 p50 ms": median(answers),
        "200 p99 ms": quantiles(answers, n=100)[98],
    }


def submit(clipbell: Deployment, count: int, rate: float = 0.0, hooks: Sequence[str] = ()) -> None:
    """
    So many jobs by the API, one every 1/`rate` seconds where a rate is given.

    Each tells one of these hooks, in turn; the account's where there are none.
    """
    began, pause = time.monotonic(), threading.Event()
    notices = [{"notify": [f"webhook:{url}"]} for url in hooks] or [{}]

    def one(number: int) -> None:
        if rate:
            pause.wait(max(0.0, began + number / rate - time.monotonic()))
        clipbell.submit(f"A fox, number {number}", **notices[number % len(notices)])

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(one, range(count)))


def await_hooks(other: PeerProcess, count: int) -> None:
    """Until the hooks of so many jobs have arrived."""
    eventually(lambda: other.heard() >= count, PATIENCE)

"""
Many workers on one PostgreSQL, against a vendor that answers at once.

``python -m bench.fleet [--jobs N] [--hooks N] [--workers N …] [--broker URL]``, from tests/.
The jobs tell so many hooks in turn. With a broker the workers are Celery's, and its virtual
host or database is used up: give it one of its own.

For each number of workers: jobs a second; CPU in ms a job of all workers, of the web
process and of the database's sessions; the share of the machine's cores that was busy; how
many sessions waited for the disk or for each other's pages, on average; which of the two was
full; deadlocks; and the most sessions at one time.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from support.databases import POSTGRES

from bench.deployment import Deployment, PeerProcess, Vendor, cpu_seconds, deployed
from bench.walk import WARM_UP, await_hooks, submit

TREE = Path(__file__).parents[2]
AT_ONCE = Vendor(create_seconds=0.0, task_seconds=0.0)
#: Deliveries of one hook are claimed and settled one after the other; a fleet has many.
HOOKS = 8
LOOK_SECONDS = 0.2
#: Cores are full when so much of them is busy; a database, when so many sessions wait in it.
FULL_CORES, FULL_DATABASE = 0.9, 1.0
_SESSIONS = """
SELECT pid, state = 'active' AND coalesce(wait_event_type, '') IN ('IO', 'LWLock')
FROM pg_stat_activity WHERE datname = %s
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"


class Sessions:
    """The database's sessions: how many at most, how many wait in it, their processor time."""

    def __init__(self, name: str) -> None:
        self.most = 0
        self._looks = self._waits = 0
        self._name = name
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}

    def look(self, connection: psycopg.Connection[tuple[int, bool]]) -> None:
        """Once."""
        found = connection.execute(_SESSIONS, (self._name,)).fetchall()
        self.most = max(self.most, len(found))
        self._looks += 1
        self._waits += sum(waits for _, waits in found)
        for pid, _ in found:
            try:
                self._last[pid] = cpu_seconds(pid)
            except FileNotFoundError:
                continue
            self._first.setdefault(pid, self._last[pid])

    @property
    def waiting(self) -> float:
        """How many wait for the disk or for a page, on average; not for a row."""
        return self._waits / self._looks

    @property
    def seconds(self) -> float:
        """Processor time from the first look at each to the last."""
        return sum(self._last[pid] - first for pid, first in self._first.items())


@contextmanager
def watched(name: str) -> Iterator[Sessions]:
    """Looks at the sessions again and again, until the block ends."""
    sessions, ended = Sessions(name), threading.Event()

    def watch() -> None:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            while not ended.wait(LOOK_SECONDS):
                sessions.look(connection)
            sessions.look(connection)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sessions
    finally:
        ended.set()
        thread.join()


def machine() -> tuple[float, float]:
    """Seconds that the cores were busy, and all of them, since it was started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return float(sum(ticks) - idle), float(sum(ticks))


def measure(workers: int, jobs: int, hooks: int = HOOKS, **settings: str) -> dict[str, float]:
    """One run."""
    with deployed(TREE, "postgresql", AT_ONCE, workers, **settings) as (clipbell, other, names):
        urls = [f"{other.url}/hook/{number}" for number in range(hooks)]
        submit(clipbell, WARM_UP * workers, hooks=urls)
        await_hooks(other, WARM_UP * workers)
        other.ask("forget")
        clipbell.call("POST", "/v1/providers/apixo/hold")
        submit(clipbell, jobs, hooks=urls)
        name = clipbell.environ["CLIPBELL_DATABASE_URL"].rpartition("/")[2]
        with watched(name) as sessions:
            figures = _run(clipbell, other, names, jobs)
        with psycopg.connect(POSTGRES) as connection:
            found = connection.execute(_DEADLOCKS, (name,)).fetchone()
    assert found
    database = {
        "database ms/job": 1000 * sessions.seconds / jobs,
        "sessions waiting": sessions.waiting,
        "most sessions": sessions.most,
        "deadlocks": found[0],
    }
    return figures | database


def what_is_full(figures: Mapping[str, float]) -> str:
    """`cores`, `database` or `neither`, by one run's figures."""
    if figures["cores busy"] >= FULL_CORES:
        return "cores"
    return "database" if figures["sessions waiting"] >= FULL_DATABASE else "neither"


def _run(clipbell: Deployment, other: PeerProcess, names: list[str], jobs: int) -> dict[str, float]:
    used, busy, began = _used(clipbell, names), machine(), time.monotonic()
    clipbell.call("POST", "/v1/providers/apixo/resume")
    await_hooks(other, jobs)
    after, now = _used(clipbell, names), machine()
    ended = max(task["hooks"][0] for task in other.seen())
    workers, web = (1000 * (last - first) / jobs for first, last in zip(used, after, strict=True))
    return {
        "jobs/s": jobs / (ended - began),
        "workers ms/job": workers,
        "web ms/job": web,
        "cores busy": (now[0] - busy[0]) / (now[1] - busy[1]),
    }


def _used(clipbell: Deployment, names: list[str]) -> tuple[float, float]:
    return clipbell.cpu_seconds(*names), clipbell.cpu_seconds("serve")


def main() -> None:
    """Print a line of JSON for each number of workers."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--hooks", type=int, default=HOOKS)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--broker", help="amqp:// or redis:// URL; the engine is Celery then")
    given = parser.parse_args()
    engine = {"engine": "celery", "broker_url": given.broker} if given.broker else {}
    for workers in given.workers:
        measured = measure(workers, given.jobs, given.hooks, **engine)
        figures = {name: round(one, 2) for name, one in measured.items()}
        full = what_is_full(measured)
        print(json.dumps({"workers": workers, **figures, "full": full}), flush=True)


if __name__ == "__main__":
    main()

"""One run: the requests, the answers, and the state before and after."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from statistics import median

from sqlalchemy import select
from support.servers import Clipbell, eventually

from hostile.mutations import KINDS, Target, callback
from service.model import utc_now
from service.settings import load_settings
from service.signing import UrlSigner
from service.store.database import Database
from service.store.schema import metadata

#: What counts refusals, and when somebody was last seen, is no state.
_COUNTERS = ("rejected_callbacks", "rejection_counts", "workers")
CALLERS = 8
SAMPLE = 200
#: So much a process may grow by: fragments and caches, but nothing per request.
GROWTH_MB = 60.0


@dataclass
class Figures:
    """What came of a run; times are median seconds per request."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    refusal: float = 0.0
    acceptance: float = 0.0
    grown: float = 0.0

    @property
    def errors(self) -> dict[str, int]:
        """Answers of 5xx by kind; 0 is a connection that was cut without an answer."""
        found = {
            kind: sum(n for s, n in c.items() if s >= 500) for kind, c in self.statuses.items()
        }
        return {kind: count for kind, count in found.items() if count}

    @property
    def broken(self) -> list[str]:
        """The promises that did not hold."""
        promises = {
            f"answers of 5xx: {self.errors}": not self.errors,
            f"state changed: {self.changed}": not self.changed,
            "a refusal costs more than an acceptance": self.refusal <= self.acceptance,
            f"memory grew by {self.grown:.0f} MB": self.grown <= GROWTH_MB,
        }
        return [words for words, held in promises.items() if not held]

    def __str__(self) -> str:
        total = sum(sum(counter.values()) for counter in self.statuses.values())
        lines = [f"{kind:20} {dict(sorted(c.items()))}" for kind, c in self.statuses.items()]
        return "\n".join(
            [
                *lines,
                f"{total} hostile requests: {sum(self.errors.values())} answers of 5xx, "
                f"{len(self.changed)} state changes, {self.grown:.0f} MB grown",
                f"a refusal takes {self.refusal * 1000:.1f} ms, "
                f"an acceptance {self.acceptance * 1000:.1f} ms",
                *[f"BROKEN: {words}" for words in self.broken],
            ]
        )


def run(folder: Path, count: int, seed: int) -> Figures:
    """`count` requests by that seed against gunicorn over SQLite, without a worker."""
    with Clipbell(folder / "site", "http://127.0.0.1:9") as clipbell:
        clipbell.start_web()
        eventually(clipbell.answers)
        target = _target(clipbell)
        figures = Figures(statuses={kind: Counter() for kind in KINDS})
        figures.refusal, figures.acceptance = _costs(clipbell.port, target)
        (worker,) = clipbell.children("serve")
        _attack(clipbell.port, target, count // 10, seed + 1, Figures(figures.statuses))
        state, memory = _state(clipbell), _memory(worker)
        _attack(clipbell.port, target, count - count // 10, seed, figures)
        after = _state(clipbell)
        figures.changed = [name for name in state if state[name] != after[name]]
        figures.grown = _memory(worker) - memory
    return figures


def _target(clipbell: Clipbell) -> Target:
    job_id = clipbell.submit("A fox")["id"]
    keys = load_settings(clipbell.environ).keys()
    signer = UrlSigner(keys, "callback", "")
    url = signer.url_for(utc_now() + timedelta(days=1), job=job_id, provider="apixo")
    return Target(url.lstrip("/"), keys, job_id, clipbell.key)


def _attack(port: int, target: Target, count: int, seed: int, figures: Figures) -> None:
    def one(number: int) -> tuple[str, int]:
        random = Random(f"{seed} {number}")
        kind = random.choice(list(KINDS))
        return kind, status(port, KINDS[kind](random, target))

    with ThreadPoolExecutor(CALLERS) as pool:
        for kind, found in pool.map(one, range(count)):
            figures.statuses[kind][found] += 1


def status(port: int, said: bytes) -> int:
    """The status of the answer to those bytes; 0 where the connection is cut without one."""
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as caller:
            caller.sendall(said)
            # No more comes: who waits for the rest of a request need not wait long.
            caller.shutdown(socket.SHUT_WR)
            found = re.match(rb"HTTP/1\.1 (\d{3})", caller.recv(1000))
    except TimeoutError:
        # Nobody answers and nobody cuts: that is no refusal.
        raise
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _costs(port: int, target: Target) -> tuple[float, float]:
    """The median seconds of a refused and of an accepted callback, taken in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(SAMPLE):
        good, bad = callback(target.token, b"%d" % number), callback(f"{target.token}x")
        for kind, said in enumerate((bad, good)):
            began = time.monotonic()
            status(port, said)
            times[kind].append(time.monotonic() - began)
    return median(times[0]), median(times[1])


def _state(clipbell: Clipbell) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables but the counters."""
    database = Database(load_settings(clipbell.environ).database_url)
    found = {}
    with database.read() as tx:
        for table in metadata.sorted_tables:
            # `last_used` is when a key was last seen.
            columns = [column for column in table.c if column.name != "last_used"]
            if table.name not in _COUNTERS:
                found[table.name] = sorted(map(tuple, tx.execute(select(*columns))), key=repr)
    database.close()
    return found


def _memory(pid: int) -> float:
    """What a process takes now, in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0

"""
The receiver next to a bare Flask hello on the same gunicorn, in turns.

``python -m bench.ingest [--database postgresql] [--callbacks N] [--rounds N]``, from tests/.

Kinds: each callback another one; all the same; forged ones. Prints, for each, callbacks a
second, CPU of the server in ms a callback, milliseconds to the answer, and the ratio to hello.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from support.servers import eventually, free_port, http_call

from bench.deployment import TESTS, Deployment, cpu_seconds, database
from bench.waiting import NOWHERE, fill
from service import store
from service.bootstrap import build
from service.model import JobState
from service.settings import load_settings

TREE = Path(__file__).parents[2]
CONNECTIONS = 16
THREADS = "8"
JOBS = 200
BODY_BYTES = 515
SAME = b'{"code":200}'
_numbers = count()


@dataclass(frozen=True)
class Figures:
    """Of one round."""

    rate: float
    cpu: float
    p50: float
    p99: float


def another() -> bytes:
    """A body that was never sent before."""
    return json.dumps({"number": next(_numbers)}).ljust(BODY_BYTES).encode()


async def _send(
    port: int, paths: list[str], body: Callable[[], bytes], callbacks: int, status: bytes
) -> list[float]:
    """Seconds that each callback took; all over a few connections that are kept alive."""
    took: list[float] = []
    numbers = iter(range(callbacks))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            content, path = body(), paths[number % len(paths)]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            began = time.perf_counter()
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            took.append(time.perf_counter() - began)
            assert answer.split()[1] == status, answer
            if b"connection: close" in answer.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return took


@dataclass(frozen=True)
class Server:
    """Where callbacks go, and how much processor time the server has had."""

    port: int
    paths: list[str]
    used: Callable[[], float]

    def measure(self, body: Callable[[], bytes], callbacks: int, status: bytes) -> Figures:
        """One round."""
        before, began = self.used(), time.perf_counter()
        took = asyncio.run(_send(self.port, self.paths, body, callbacks, status))
        seconds, used = time.perf_counter() - began, self.used() - before
        milliseconds = [1000 * one for one in took]
        rate, cpu = callbacks / seconds, 1000 * used / callbacks
        return Figures(rate, cpu, median(milliseconds), quantiles(milliseconds, n=100)[98])


@contextmanager
def running_hello() -> Iterator[Server]:
    """Hello on gunicorn, one process with as many threads as ours."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "bench.hello:app", "--worker-class", "gthread"]
    command += ["--threads", THREADS, "--bind", f"127.0.0.1:{port}", "--keep-alive", "15"]
    with subprocess.Popen(
        [*command, "--no-control-socket", "--log-level", "warning"], cwd=TESTS
    ) as process:
        try:
            eventually(lambda: _is_there(port))
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            pids = [process.pid, *map(int, children.read_text().split())]
            yield Server(port, ["/x"], lambda: sum(map(cpu_seconds, pids)))
        finally:
            process.terminate()


def _is_there(port: int) -> bool:
    try:
        return http_call("POST", f"http://127.0.0.1:{port}/x", seconds=1).status == 200
    except OSError:
        return False


def callback_paths(clipbell: Deployment) -> list[str]:
    """Of jobs that their vendor works on."""
    fill(clipbell, JOBS)
    wiring = build(load_settings(clipbell.environ))
    with wiring.db.read() as tx:
        ids = store.jobs.ids_in_states(tx, [JobState.SUBMITTED], JOBS)
    until = wiring.clock() + timedelta(days=1)
    urls = [wiring.signer.url_for(until, job=job_id, provider="apixo") for job_id in ids]
    wiring.close()
    return [urlsplit(url).path for url in urls]


def main() -> None:
    """Print a line of JSON for each kind."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--callbacks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, default=TREE, help="another source tree")
    given = parser.parse_args()
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(given.database) as settings,
        Deployment(given.against.resolve(), Path(folder), NOWHERE, **settings) as clipbell,
        running_hello() as hello,
    ):
        paths = callback_paths(clipbell)
        clipbell.spawn(
            "serve", "service", "serve", "--port", str(clipbell.port), "--threads", THREADS
        )
        eventually(clipbell.answers)
        used = lambda: clipbell.cpu_seconds("serve")  # noqa: E731
        forged = [f"{path[:-4]}AAAA" for path in paths]
        kinds = {
            "callbacks": (Server(clipbell.port, paths, used), another, b"200"),
            "the same again": (Server(clipbell.port, paths[:1], used), lambda: SAME, b"200"),
            "forged": (Server(clipbell.port, forged, used), another, b"401"),
        }
        for name, (server, body, status) in kinds.items():
            server.measure(body, CONNECTIONS * 4, status)
            rounds = [
                (
                    hello.measure(another, given.callbacks, b"200"),
                    server.measure(body, given.callbacks, status),
                )
                for _ in range(given.rounds)
            ]
            print(json.dumps({"kind": name, **_figures(rounds)}), flush=True)


def _figures(rounds: list[tuple[Figures, Figures]]) -> dict[str, float]:
    of_both = {
        "a second": median(own.rate for _, own in rounds),
        "ratio": median(own.rate / hello.rate for hello, own in rounds),
        "CPU ms": median(own.cpu for _, own in rounds),
        "hello's CPU ms": median(hello.cpu for hello, _ in rounds),
        "ratio of CPU": median(hello.cpu / own.cpu for hello, own in rounds),
        "p50 ms": median(own.p50 for _, own in rounds),
        "p99 ms": median(own.p99 for _, own in rounds),
    }
    return {name: round(value, 3) for name, value in of_both.items()}


if __name__ == "__main__":
    main()

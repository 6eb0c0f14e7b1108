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
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import IO
from urllib.parse import urlsplit

from support.servers import eventually, free_port, http_call

from bench.deployment import Deployment, cpu_seconds, database
from bench.program import TESTS
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


def no_headers(_: bytes) -> str:
    """Of a receiver whose callbacks are signed in their URL."""
    return ""


async def _send(
    server: Server, body: Callable[[], bytes], callbacks: int, status: bytes
) -> tuple[float, list[float]]:
    """Seconds of all and of each, over a few connections that are open before and kept alive."""
    took: list[float] = []
    numbers = iter(range(callbacks))

    async def use(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in numbers:
            content, path = body(), server.paths[number % len(server.paths)]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            head += server.headers(content)
            began = time.perf_counter()
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            took.append(time.perf_counter() - began)
            assert answer.split()[1] == status, answer
            if b"connection: close" in answer.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()

    # One by one: a server may have a short queue for those that come at once.
    opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CONNECTIONS)]
    first = time.perf_counter()
    await asyncio.gather(*(use(*connection) for connection in opened))
    return time.perf_counter() - first, took


@dataclass(frozen=True)
class Server:
    """
    Where callbacks go, and how much processor time the server has had.

    `headers` are lines of the request, each with its end, that belong to a body.
    """

    port: int
    paths: list[str]
    used: Callable[[], float]
    headers: Callable[[bytes], str] = no_headers

    def measure(self, body: Callable[[], bytes], callbacks: int, status: bytes) -> Figures:
        """One round."""
        before = self.used()
        seconds, took = asyncio.run(_send(self, body, callbacks, status))
        used = self.used() - before
        milliseconds = [1000 * one for one in took]
        rate, cpu = callbacks / seconds, 1000 * used / callbacks
        return Figures(rate, cpu, median(milliseconds), quantiles(milliseconds, n=100)[98])


@contextmanager
def running_hello() -> Iterator[Server]:
    """Hello on gunicorn, one process with as many threads as ours."""
    with running_app("bench.hello:app", Path(sys.executable), {}) as (port, used):
        yield Server(port, ["/x"], used)


@contextmanager
def running_app(
    app: str, python: Path, environ: Mapping[str, str]
) -> Iterator[tuple[int, Callable[[], float]]]:
    """A WSGI app on gunicorn, one process with threads: its port, and its processor time."""
    port = free_port()
    command = [str(python), "-m", "gunicorn", app, "--worker-class", "gthread"]
    command += ["--threads", THREADS, "--bind", f"127.0.0.1:{port}", "--keep-alive", "15"]
    command += ["--no-control-socket", "--log-level", "warning"]
    with running(command, port, environ) as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        pids = [pid, *map(int, children.read_text().split())]
        yield port, lambda: sum(map(cpu_seconds, pids))


@contextmanager
def running(
    command: list[str], port: int, environ: Mapping[str, str], log: IO[str] | None = None
) -> Iterator[int]:
    """A server's process, once it answers; it writes to `log`, or where we do."""
    environ = {**os.environ, **environ}
    with subprocess.Popen(command, cwd=TESTS, env=environ, stdout=log, stderr=log) as process:
        try:
            eventually(lambda: _is_there(port))
            yield process.pid
        finally:
            process.terminate()


def _is_there(port: int) -> bool:
    try:
        return http_call("POST", f"http://127.0.0.1:{port}/x", seconds=1).status > 0
    except OSError:
        return False


@contextmanager
def running_receiver(
    tree: Path, settings: dict[str, str]
) -> Iterator[tuple[Server, Server, Server]]:
    """Ours, over a database of its own: for new callbacks, for one again and again, for forgery."""
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        Deployment(tree, Path(folder), NOWHERE, **settings) as clipbell,
    ):
        paths = callback_paths(clipbell)
        serve = ("serve", "--port", str(clipbell.port), "--threads", THREADS)
        clipbell.spawn("serve", "service", *serve)
        eventually(clipbell.answers)
        used = lambda: clipbell.cpu_seconds("serve")  # noqa: E731
        forged = [f"{path[:-4]}AAAA" for path in paths]
        yield (
            Server(clipbell.port, paths, used),
            Server(clipbell.port, paths[:1], used),
            Server(clipbell.port, forged, used),
        )


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
        database(given.database) as settings,
        running_receiver(given.against.resolve(), settings) as (new, again, forged),
        running_hello() as hello,
    ):
        kinds = {
            "callbacks": (new, another, b"200"),
            "the same again": (again, lambda: SAME, b"200"),
            "forged": (forged, another, b"401"),
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

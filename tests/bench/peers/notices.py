"""
Goal 2: how late a hook comes, at an even rate.

Of Clipbell from the callback's first byte, with the question to the vendor and the copy in
between; of the others from the commit of the row that holds the news.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from support.servers import eventually

from bench.deployment import PATIENCE, database
from bench.figures import Figures
from bench.ingest import TREE
from bench.peers.kit import Kit
from bench.peers.sink import SinkProcess, running_sink
from bench.program import TESTS
from bench.walk import WARM_UP, Walk, run

RATES = (1, 20)
#: Warm-up rows are not that fast.
WARM_UP_RATE = 5


def measure(
    kit: Kit, kind: str, counts: Sequence[int], rounds: int
) -> Iterator[tuple[str, dict[str, list[Figures]]]]:
    """For each rate the rounds of all senders, which take turns; `counts` of rows by rate."""
    programs = {"a loop as sendalerts'": "bench.peers.sendalerts"}
    if kit.has("django-outbound-webhooks") and kind == "postgresql":
        programs["django-outbound-webhooks"] = "bench.peers.django_outbound"
    for rate, count in zip(RATES, counts, strict=True):
        found: dict[str, list[Figures]] = {"Clipbell": [], **{name: [] for name in programs}}
        for _ in range(rounds):
            walk = run(Walk(f"{rate}/s", count, float(rate), kind), TREE)
            found["Clipbell"].append({name: walk[f"hook {name}"] for name in ("p50 ms", "p99 ms")})
            for name, program in programs.items():
                found[name].append(_measure(kit, program, kind, rate, count))
        yield f"{rate} a second", found


def _measure(kit: Kit, program: str, kind: str, rate: int, count: int) -> Figures:
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(kind) as settings,
        running_sink() as sink,
    ):
        url = settings.get("database_url", f"sqlite:///{folder}/peer.db")
        command = [str(kit.python), "-m", program, url]
        subprocess.run([*command, "setup", f"{sink.url}/hook"], cwd=TESTS, check=True)
        with _sending([*command, "send"]):
            _produce(command, sink, WARM_UP_RATE, 1, WARM_UP)
            lags = _produce(command, sink, rate, 1 + WARM_UP, count)
    return {"p50 ms": median(lags), "p99 ms": quantiles(lags, n=100)[98]}


@contextmanager
def _sending(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def _produce(
    command: list[str], sink: SinkProcess, rate: int, first: int, count: int
) -> list[float]:
    """Milliseconds from each row's commit to its hook."""
    order = [*command, "produce", str(rate), str(first), str(count)]
    done = subprocess.run(order, cwd=TESTS, stdout=subprocess.PIPE, text=True, check=True)
    eventually(lambda: sink.count() >= count, PATIENCE)
    committed = {int(number): moment for number, moment in json.loads(done.stdout).items()}
    came = {number: moment for moment, number in reversed(sink.take())}
    return [1000 * (came[number] - moment) for number, moment in committed.items()]

"""
Goal 4: deliveries a second of one worker, beside a loop of one `requests.Session`.

The deliveries of one account, of one subscription or of ten, wait in the database before the
worker starts. It counts what came to the sink, from the first to the last; every attempt must
be in the log afterwards. One subscription gets few at once, whatever the worker could do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select
from support.servers import eventually

from bench.deployment import Deployment, database
from bench.figures import Figures
from bench.ingest import TREE
from bench.peers.sink import SinkProcess, running_sink
from bench.program import TESTS
from bench.waiting import NOWHERE
from service import store
from service.bootstrap import Wiring, build
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.events.record import record_sample
from service.model import EventType
from service.settings import load_settings
from service.store.schema import attempts

LATENCIES = (0.0, 0.05)
#: Subscriptions by the name of what is measured.
HOOKS = {"Clipbell, one hook": 1, "Clipbell, ten hooks": 10}
PATIENCE = 300.0
#: As large as Clipbell's own are, about.
BODY_BYTES = 900


def measure(kind: str, count: int, rounds: int) -> Iterator[tuple[str, dict[str, list[Figures]]]]:
    """For each latency of the sink the rounds of both, which take turns."""
    for latency in LATENCIES:
        found: dict[str, list[Figures]] = {name: [] for name in ("loop", *HOOKS)}
        for _ in range(rounds):
            with running_sink(latency) as sink:
                # At 20 a second a loop needs no longer row of them.
                loop = _loop(sink, min(count, 200) if latency else count)
                found["loop"].append({"a second": loop})
                for name, hooks in HOOKS.items():
                    ours = _ours(sink, kind, hooks, count // hooks)
                    found[name].append(ours | {"of the loop": ours["a second"] / loop})
        yield f"sink answers after {1000 * latency:.0f} ms", found


def _loop(sink: SinkProcess, count: int) -> float:
    order = [sys.executable, "-m", "bench.peers.session", f"{sink.url}/hook", str(count)]
    subprocess.run([*order, str(BODY_BYTES)], cwd=TESTS, check=True)
    return _rate(sink)


def _rate(sink: SinkProcess) -> float:
    moments = [moment for moment, _ in sink.take()]
    return (len(moments) - 1) / (moments[-1] - moments[0])


def _ours(sink: SinkProcess, kind: str, hooks: int, events: int) -> Figures:
    count = hooks * events
    with (
        database(kind) as settings,
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        Deployment(TREE, Path(folder), NOWHERE, **settings) as clipbell,
    ):
        wiring = build(load_settings(clipbell.environ))
        _owe(wiring, [f"{sink.url}/hook/{number}" for number in range(hooks)], events)
        clipbell.start_workers(1)
        eventually(lambda: sink.count() >= 1, PATIENCE)
        before = clipbell.cpu_seconds("worker-0")
        already = sink.count()
        eventually(lambda: sink.count() >= count, PATIENCE)
        eventually(lambda: _logged(wiring) >= count, PATIENCE)
        used = clipbell.cpu_seconds("worker-0") - before
        wiring.close()
    return {"a second": _rate(sink), "CPU ms": 1000 * used / (count - already)}


def _owe(wiring: Wiring, hooks: Sequence[str], events: int) -> None:
    """Deliveries of so many sample events to each of these hooks."""
    now = wiring.clock()
    with wiring.db.write() as tx:
        account = store.accounts.first(tx)
        assert account is not None
        for hook in hooks:
            spec = SubscriptionSpec("webhook", hook, (), "standard")
            subscribe(tx, wiring.encryptor, account.id, spec, now)
        for _ in range(events):
            record_sample(tx, account.id, EventType.JOB_SUCCEEDED, now)


def _logged(wiring: Wiring) -> int:
    with wiring.db.read() as tx:
        answered = select(func.count()).select_from(attempts).where(attempts.c.status == 200)
        return tx.scalar(answered) or 0

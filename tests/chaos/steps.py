"""A job walked step by step, with a death at each."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from support.servers import eventually

from chaos.fault_injection import COUNTING, OFF, FaultInjector
from chaos.requested_jobs import RequestedJob
from chaos.run import ChaosRun
from service import store
from service.model import utc_now
from service.settings import PROVIDER_NAMES

KILLED, DONE, NOTHING = -9, 0, 3
#: The walker lives an hour later than the web process, whose rows are all due then.
LATER_SECONDS = 3600.0
#: When a submitted job is to be polled; no lease has ended yet.
POLL_SECONDS = 10.0
#: What a job has been through before that kind of work finds something to do.
BEFORE = {
    "submit": (),
    "process": ("submit",),
    "poll": ("submit",),
    "archive": ("submit", "process"),
    "deliver": ("submit", "process", "archive"),
}


class Lead:
    """A worker on a lead: does one unit when it is asked to, and dies at the step named."""

    def __init__(
        self, run: ChaosRun, walker: subprocess.Popen[str], injector: FaultInjector
    ) -> None:
        self.run, self.injector = run, injector
        self.fault_orders: tuple[str, ...] = ()
        self.model = "kling-2-5-turbo-pro"
        self._walker = walker
        # Frozen, so that no lease ends while jobs are being killed.
        self._moment = time.time() + LATER_SECONDS
        # Not divisible by ten: those are asked for twice.
        self._numbers = (n for n in itertools.count(1) if n % 10)
        self._database = run.database
        with self._database.write() as tx:
            for name in PROVIDER_NAMES:
                store.providers.ensure(tx, name, utc_now())

    def close(self) -> None:
        """Let the walker go."""
        assert self._walker.stdin and self._walker.stdout
        self._walker.stdin.close()
        self._walker.wait(20)
        self._walker.stdout.close()
        self._database.close()

    def wanted(self) -> RequestedJob:
        """The next job to ask for, which tells the hook of its own."""
        return RequestedJob(next(self._numbers), self.model, self.fault_orders, "own")

    def unit(self, kind: str) -> int:
        """One unit of work in a process of its own; how that ended."""
        assert self._walker.stdin and self._walker.stdout
        self._walker.stdin.write(f"{kind} {self._now(kind)}\n")
        self._walker.stdin.flush()
        return int(self._walker.stdout.readline())

    def _now(self, kind: str) -> float:
        return self._moment + (POLL_SECONDS if kind == "poll" else 0.0)

    def prepare(self, kind: str) -> None:
        """Some job waits for that kind of work; where none does, a new one is brought so far."""
        if self._due(kind):
            return
        self.run.place(self.wanted())
        for step in BEFORE[kind]:
            assert DONE == self.unit(step)
            self.await_provider()
        assert self._due(kind)

    def await_provider(self) -> None:
        """The provider has made all it was asked for, and its callbacks were taken."""
        book = self.run.provider.renderer.book
        eventually(lambda: all(t.over for t in book.all()) and not self.run.callbacks_out())

    def clear(self) -> None:
        """Nothing of earlier deaths is left that could be done now."""
        busy = True
        while busy:
            self.await_provider()
            busy = sum(self._drained(kind) for kind in BEFORE) > 0

    def _drained(self, kind: str) -> int:
        """Do all there is of that kind; how much it was."""
        return sum(1 for _ in iter(lambda: self.unit(kind), NOTHING))

    def counted(self, kind: str) -> list[str]:
        """The steps of one unit."""
        self.prepare(kind)
        self.injector.arm(COUNTING)
        assert DONE == self.unit(kind)
        return self.injector.steps()

    def killed_everywhere(self, kind: str) -> list[str]:
        """
        A death at its first step, its second and so on, until a unit comes to its end; its steps.

        A connection that is opened just then adds a step: none is expected by its number.
        """
        self.clear()
        # The first of all makes folders too.
        self.counted(kind)
        for at in itertools.count(1):
            self.prepare(kind)
            self.injector.arm(at)
            ended = self.unit(kind)
            steps = self.injector.steps()
            if ended != KILLED:
                break
            assert at == len(steps)
        assert DONE == ended
        return steps

    def _due(self, kind: str) -> bool:
        now = datetime.fromtimestamp(self._now(kind), UTC)
        with self._database.read() as tx:
            return kind in store.work.kinds_due(tx, now)


@contextmanager
def lead(run: ChaosRun, folder: Path) -> Iterator[Lead]:
    """A worker on a lead beside a run whose web process is up."""
    injector = FaultInjector(folder / "worker.injector")
    walker = subprocess.Popen(
        [sys.executable, "-m", "chaos.walker", str(folder / "worker.injector")],
        env=run.clipbell.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    made = Lead(run, walker, injector)
    try:
        yield made
    finally:
        made.close()


def answer_steps(web: FaultInjector, led: Lead, at: int) -> list[str]:
    """The steps of the web process while a job is asked for, dead at one of them."""
    web.arm(at)
    led.run.place(led.wanted())
    return web.steps()


def callback_steps(web: FaultInjector, led: Lead, at: int) -> list[str]:
    """The steps of the web process while a callback is taken, dead at one of them."""
    web.arm(OFF)
    led.prepare("submit")
    web.arm(at)
    assert DONE == led.unit("submit")
    led.await_provider()
    return web.steps()

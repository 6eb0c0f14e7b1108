"""
Every vendor of the sandbox behind a bad line, web and worker killed: one create per job.

Clocks are true here and nobody lives later, so that the time until an `unknown` job resolves
itself is the one that a user sees.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select
from support.sandboxes import start_sandbox
from support.servers import Clipbell, Reply, eventually

from chaos.requested_jobs import number_of
from chaos.vendor_faults import VendorFaults
from service.catalogue.models import VENDORS
from service.sandbox import SandboxServer
from service.sandbox.vendors.tasks import Task
from service.store.database import Database
from service.store.schema import callbacks, jobs

SUBMIT_TIMEOUT = 3.0
CLIENTS = 4
#: More are not asked for while so many jobs wait to be sent, or callbacks to be looked at.
BACKLOG = 60
#: Shares of the jobs whose callbacks are lost, and sent twice.
LOST, DOUBLED = 0.10, 0.15
#: Nothing has moved for so long, longer than a late poll waits: what is open then stays so.
STILL_SECONDS = 330.0
REPORT_SECONDS = 30.0
#: With this every vendor signs that signs at all.
SECRET = "whsec_" + "cGF5IG9uY2Ug" * 3


@dataclass(frozen=True)
class PayOncePlan:
    """How many jobs, how many deaths; the same seed throws the same dice."""

    jobs: int = 10_000
    kills: int = 50
    seed: int = 18

    def vendor(self, number: int) -> str:
        """Whose job it is: each vendor has as many, one more or less."""
        return list(VENDORS)[number % len(VENDORS)]

    def body(self, number: int) -> dict[str, Any]:
        """The request of a job."""
        dice = random.Random(f"{self.seed} job {number}")
        vendor = VENDORS[self.vendor(number)]
        fate = dice.random()
        orders = "[lose] " if fate < LOST else "[repeat 2] " if fate < LOST + DOUBLED else ""
        prompt = f"{orders}A fox in the snow, no. {number}"
        model = dice.choice(vendor.models).slug
        body = {"model": model, "provider": vendor.name, "notify": []}
        return body | {"input": {"prompt": prompt, "duration": 5}}


class PayOnceRun:
    """One run; `jobs` are the ids by number."""

    def __init__(
        self, plan: PayOncePlan, clipbell: Clipbell, sandbox: SandboxServer, faults: VendorFaults
    ) -> None:
        self.plan, self.clipbell, self.sandbox, self.faults = plan, clipbell, sandbox, faults
        self.jobs: dict[int, str] = {}
        self.kills: Counter[str] = Counter()
        self.began = time.monotonic()
        self._pause = threading.Event()
        self._said = self.began
        self._database = Database(f"sqlite:///{clipbell.folder / 'data' / 'clipbell.db'}")

    @property
    def database(self) -> Database:
        """The service's own database."""
        return self._database

    def fight(self) -> None:
        """Ask for all jobs, a batch before each death; returns when every one is accepted."""
        dice, plan = random.Random(f"{self.plan.seed} kills"), self.plan
        bounds = [plan.jobs * one // (plan.kills + 1) for one in range(plan.kills + 2)]
        with ThreadPoolExecutor(CLIENTS) as clients:
            for first, end in pairwise(bounds):
                placed = [clients.submit(self._place, number) for number in range(first, end)]
                self._pause.wait(dice.random() * 2)
                if end < plan.jobs:
                    self._kill(dice.choice(("worker", "worker", "serve")))
                for one in placed:
                    one.result()
                while self._backlog() > BACKLOG:
                    self._tick("asked for")

    def calm(self) -> None:
        """Everything at its end but what nothing can answer."""
        last, moved = self._open(), time.monotonic()
        while last and time.monotonic() - moved < STILL_SECONDS:
            self._tick(", ".join(f"{name} {count}" for name, count in last.items()))
            now = self._open()
            if now != last:
                last, moved = now, time.monotonic()

    def tasks(self) -> dict[int, list[Task]]:
        """What the vendors have made, by the job's number."""
        found: dict[int, list[Task]] = {}
        for task in self.sandbox.renderer.book.all():
            found.setdefault(number_of(task.values["prompt"]), []).append(task)
        return found

    def can_be_answered(self, number: int, tasks: list[Task]) -> bool:
        """Whether anything can still say what became of a job's create."""
        vendor = VENDORS[self.plan.vendor(number)]
        heard = any(a.status == 200 for task in tasks for a in task.attempts)
        return vendor.refuses_duplicates or bool(tasks and vendor.lookup) or heard

    def _place(self, number: int) -> None:
        body, key = self.plan.body(number), {"Idempotency-Key": f"pay-once-{number}"}
        answer = self._ask(body, key)
        while answer.status != 202:
            assert answer.status in (0, 409) or answer.status >= 500, answer.body
            self._pause.wait(0.5)
            answer = self._ask(body, key)
        self.jobs[number] = answer.json()["id"]

    def _ask(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        """The answer; status 0 where the connection broke."""
        try:
            return self.clipbell.call("POST", "/v1/jobs", body, headers)
        except (OSError, HTTPException):
            return Reply(0, {}, b"")

    def _kill(self, verb: str) -> None:
        self.kills[verb] += 1
        self.clipbell.kill(verb)
        self._start(verb)

    def _start(self, verb: str) -> None:
        self.clipbell.start_web() if verb == "serve" else self.clipbell.start_worker()

    def _tick(self, news: str) -> None:
        """Some time passes; who has ended by himself is started again."""
        self._pause.wait(0.5)
        for verb in ("serve", "worker"):
            if self.clipbell.ended(verb):
                self._start(verb)
        if time.monotonic() - self._said > REPORT_SECONDS:
            self._said = time.monotonic()
            made = len(self.sandbox.renderer.book.all())
            words = f"{self._said - self.began:5.0f} s: {len(self.jobs)} jobs, {made} creates"
            print(f"{words}; {news}", file=sys.stderr, flush=True)

    def _backlog(self) -> int:
        return self._count(jobs, "queued", "submitting") + self._count(callbacks, "received")

    def _count(self, table: Table, *states: str) -> int:
        query = select(func.count()).select_from(table).where(table.c.state.in_(states))
        with self._database.read() as tx:
            return tx.scalar(query) or 0

    def _open(self) -> dict[str, int]:
        """How much is not at its end yet, by kind; empty when all is."""
        made = self.tasks()
        query = select(jobs.c.id).where(jobs.c.state == "unknown")
        with self._database.read() as tx:
            unknown = set(tx.scalars(query))
        asked = (n for n, job in self.jobs.items() if job in unknown)
        attempts = [t.attempts for t in self.sandbox.renderer.book.all() if _calls_back(t)]
        found = {
            "open": self._count(jobs, "queued", "submitting", "submitted", "held"),
            "unknown": sum(self.can_be_answered(n, made.get(n, [])) for n in asked),
            "callbacks": self._count(callbacks, "received"),
            "callbacks on their way": sum(all(a.status != 200 for a in one) for one in attempts),
        }
        return {name: count for name, count in found.items() if count}


def _calls_back(task: Task) -> bool:
    return bool(task.callback_url) and not task.fault_orders.has("lose")


@contextmanager
def pay_once_run(plan: PayOncePlan, folder: Path) -> Iterator[PayOnceRun]:
    """A run with web and worker ready for jobs."""
    patience = (0.1, 0.4, *(0.8,) * 400)
    quick: dict[str, Any] = {
        "credits": 1e9,
        "retry_delays": patience,
        "height": 32,
        "frame_rate": 2,
    }
    quick["webhook_secret"] = SECRET
    with start_sandbox(folder / "vendors", **quick) as sandbox:
        faults = VendorFaults(sandbox.app.wsgi_app, plan.seed, plan.vendor, SUBMIT_TIMEOUT)
        sandbox.app.wsgi_app = faults  # type: ignore[assignment]
        given = {"submit_timeout": str(SUBMIT_TIMEOUT), "videos_models": "own"}
        given |= {"poll_after": "8", "poll_every": "4", "archive_wait": "5"}
        for name, vendor in VENDORS.items():
            given |= {f"{name}_base_url": sandbox.url, f"{name}_api_key": "test"}
            given |= {f"{name}_webhook_secret": SECRET} if vendor.signs else {}
        with Clipbell(folder, sandbox.url, **given) as clipbell:
            clipbell.start_web()
            clipbell.start_worker()
            eventually(lambda: clipbell.status_of("/readyz") == 200)
            run = PayOnceRun(plan, clipbell, sandbox, faults)
            yield run
            run.database.close()

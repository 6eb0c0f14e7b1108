"""
A run of chaos: provider and subscriber in this process, web, worker and database to kill.

`place` asks for a job, `fight` for many while it kills; `calm` waits until
everything has come to its end.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from support.brokers import Broker
from support.later import date_back
from support.network import Proxy
from support.sandboxes import start_sandbox
from support.servers import Clipbell, Reply, eventually

from chaos.cluster import Cluster
from chaos.requested_jobs import RequestedJob, number_of, requested_jobs
from chaos.sink import Sink
from service import store
from service.model import EventType, utc_now
from service.sandbox import SandboxServer
from service.store.database import Database
from service.store.schema import callbacks, deliveries, jobs, videos

#: How much later each worker lives than the one before: longer than any lease (a copy's, 330 s).
STEP_SECONDS = 420.0
#: An `Idempotency-Key` is kept for a day by the worker's clock, and half the kills are its.
MOST_KILLS = 300
SECRET = "chaos-" * 8
CLIENTS = 6
#: No kill waits longer than this for the dice's number of happenings.
LULL_SECONDS = 8.0
#: So long the database says nothing, or takes no writes, where it is not killed.
OUTAGE_SECONDS = 3.0
#: A run that stands still so long, whoever was started, will never end.
STUCK_SECONDS = 180.0
BROKER_AWAY_SECONDS = 1.5
#: A worker by the user's own command.
CELERY = ("-A", "service.engines.celery", "worker", "--concurrency", "6")
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Plan:
    """What a run is to be; the same seed throws the same dice."""

    jobs: int = 300
    kills: int = 21
    seed: int = 20_260_101
    database: str = "sqlite"
    #: The URL of the broker of the engine `celery`; blank: the engine `threads`.
    broker: str = ""
    #: How often a hook call is answered 503.
    refusing: float = 0.2
    #: Nothing has moved for so long: what is left waits for a lease.
    still_seconds: float = 6.0

    @property
    def victims(self) -> tuple[str, ...]:
        """What may be struck, as often as the dice must name it; one word alone means killed."""
        killed = ("worker", "worker", "serve", "serve", *(("broker",) if self.broker else ()))
        if self.database == "sqlite":
            return killed
        return (*killed, "database", "database frozen", "database read-only")


class ChaosRun:
    """One run; `jobs` are the ids by the request's number, `counts` what was counted on the way."""

    def __init__(
        self,
        plan: Plan,
        clipbell: Clipbell,
        provider: SandboxServer,
        sink: Sink,
        cluster: Cluster | None,
        network: Proxy | None = None,
    ) -> None:
        self.plan, self.clipbell, self.provider, self.sink = plan, clipbell, provider, sink
        self.requested: dict[int, RequestedJob] = {}
        self.jobs: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.began = time.monotonic()
        self._cluster, self._network = cluster, network
        self._dice = random.Random(f"{plan.seed} kills")
        self._pause = threading.Event()
        self.ahead = 0.0
        clipbell.environ["PYTHONPATH"] = str(TESTS)

    @property
    def database(self) -> Database:
        """The service's own database."""
        return Database(self.clipbell.environ["CLIPBELL_DATABASE_URL"])

    @property
    def kills(self) -> dict[str, int]:
        """How often each victim was struck."""
        found = {what: self.counts[f"kills of {what}"] for what in sorted(set(self.plan.victims))}
        return {what: count for what, count in found.items() if count}

    def start(self) -> dict[str, str]:
        """Web and worker, ready for jobs; the secrets by the path of the sink they sign for."""
        self.start_process("serve")
        self.start_process("worker")
        eventually(lambda: self._quiet("GET", "/readyz").status == 200)
        return self.subscribe()

    def subscribe(self) -> dict[str, str]:
        """The account's subscription to every event of a job; see `start`."""
        body = {"channel": "webhook", "target": f"{self.sink.url}/account"}
        events = [e.value for e in EventType if e.startswith("job.")]
        made = self.clipbell.call("POST", "/v1/subscriptions", body | {"events": events})
        assert 201 == made.status, made.body
        return {"/account": made.json()["secret"], "/own": self.clipbell.webhook_secret}

    def fight(self) -> None:
        """Ask for all jobs, a batch before each kill; returns when every one is accepted."""
        placed: list[Future[str]] = []
        kills, asked = self.plan.kills, requested_jobs(self.plan.jobs, self.plan.seed)
        with ThreadPoolExecutor(CLIENTS) as clients:
            for number in range(kills):
                batch = asked[len(placed) : (number + 1) * len(asked) // kills]
                placed += [clients.submit(self.place, wanted) for wanted in batch]
                self._await_happenings(self._dice.randint(1, 3 * len(batch) + 1))
                self._strike(self._dice.choice(self.plan.victims))
            for one in placed:
                self._await_done(one)

    def calm(self) -> None:
        """Everything at its end; who waits for a lease gets a worker that lives later."""
        database = self.database
        last, moved = self._open(database), time.monotonic()
        awake = 0.0
        while any(last.values()):
            assert time.monotonic() - moved < STUCK_SECONDS, f"nothing moves any more: {last}"
            self._pause.wait(0.2)
            self._revive()
            now = self._open(database)
            if now != last:
                last, moved = now, time.monotonic()
            if not awake and self._beats(database):
                awake = time.monotonic()
            if awake and time.monotonic() - max(moved, awake) > self.plan.still_seconds:
                self.clipbell.stop("worker")
                self.start_process("worker")
                awake = 0.0
        database.close()

    def _beats(self, database: Database) -> bool:
        """Whether the latest worker has come so far as to say that it lives."""
        ahead = self.ahead if self._by_clock else 0.0
        born = utc_now() + timedelta(seconds=ahead - 1.5 * STEP_SECONDS)
        with database.read() as tx:
            beat = store.work.last_beat(tx)
        return beat is not None and beat > born

    def place(self, wanted: RequestedJob) -> str:
        """Ask for a job until the answer comes, with one key; its id."""
        self.requested[wanted.number] = wanted
        body = wanted.body(f"{self.sink.url}/own")
        deadline = time.monotonic() + STUCK_SECONDS
        for _ in range(wanted.times):
            answer = self._ask(wanted, body)
            while answer.status != 202:
                assert answer.status in (0, 409) or answer.status >= 500, answer.body
                assert time.monotonic() < deadline, "the web process does not come back"
                self.counts["asked again"] += 1
                self._pause.wait(0.5)
                answer = self._ask(wanted, body)
            job_id: str = answer.json()["id"]
            assert job_id == self.jobs.setdefault(wanted.number, job_id)
        return job_id

    def _ask(self, wanted: RequestedJob, body: dict[str, Any]) -> Reply:
        return self._quiet("POST", "/v1/jobs", body, {"Idempotency-Key": wanted.key})

    def _quiet(self, *request: Any) -> Reply:
        """The answer; status 0 where the connection broke."""
        try:
            return self.clipbell.call(*request)
        except (OSError, HTTPException):
            return Reply(0, {}, b"")

    def _await_happenings(self, count: int) -> None:
        """Until so much has happened: creates, callbacks taken, hook calls."""
        before, deadline = self._happenings(), time.monotonic() + LULL_SECONDS
        while self._happenings() < before + count and time.monotonic() < deadline:
            self._pause.wait(0.02)
            self._revive()

    def _happenings(self) -> int:
        tasks = self.provider.renderer.book.all()
        taken = sum(attempt.status == 200 for task in tasks for attempt in task.attempts)
        return len(tasks) + len(self.sink.calls) + taken

    def _await_done(self, one: Future[str]) -> None:
        while not one.done():
            self._pause.wait(0.05)
            self._revive()
        one.result()

    def _strike(self, victim: str) -> None:
        self.counts[f"kills of {victim}"] += 1
        if self._cluster and victim.startswith("database"):
            self._strike_database(self._cluster, victim)
        elif self._network and victim == "broker":
            self._strike_broker(self._network)
        else:
            self.clipbell.kill(victim)
            self.start_process(victim)

    def _strike_broker(self, network: Proxy) -> None:
        """Away for a moment; it comes back with nothing."""
        network.cut()
        Broker(self.plan.broker).purge()
        self._pause.wait(BROKER_AWAY_SECONDS)
        network.join()

    def _strike_database(self, cluster: Cluster, victim: str) -> None:
        """Killed and started, or silent, or without writes for some seconds."""
        if victim == "database frozen":
            cluster.freeze()
            self._pause.wait(OUTAGE_SECONDS)
            cluster.thaw()
        elif victim == "database read-only":
            eventually(cluster.answers)
            cluster.set_read_only(True)
            self._pause.wait(OUTAGE_SECONDS)
            cluster.set_read_only(False)
        else:
            cluster.kill()
            cluster.start()

    def start_process(self, verb: str) -> None:
        """`serve`, or a `worker` that lives later than the one before."""
        if verb == "serve":
            self.clipbell.start_web()
            return
        if self.plan.broker:
            with closing(self.database) as database:
                database.write_with_retry(lambda tx: date_back(tx, self.ahead))
            self.clipbell.spawn("worker", "celery", *CELERY)
        else:
            self.clipbell.start_later_worker(self.ahead)
        self.ahead = STEP_SECONDS + (self.ahead if self._by_clock else 0.0)

    @property
    def _by_clock(self) -> bool:
        """Whether a later worker has a clock that runs ahead; else the rows are dated back."""
        return self.plan.database == "sqlite" and not self.plan.broker

    def _revive(self) -> None:
        """What a supervisor does: start again who has ended by himself."""
        if self._cluster and not self._cluster.alive():
            self._cluster.start()
        for verb in ("serve", "worker"):
            if self.clipbell.ended(verb):
                self.counts["ended by itself"] += 1
                self.start_process(verb)

    def _open(self, database: Database) -> dict[str, int]:
        """How much is not at its end yet."""
        with database.read() as tx:

            def count(table: Table, *states: str) -> int:
                waiting: ColumnElement[bool] = table.c.state.in_(states)
                return tx.scalar(select(func.count()).select_from(table).where(waiting)) or 0

            found = {
                "jobs": count(jobs, "queued", "submitting", "submitted", "held"),
                "callbacks": count(callbacks, "received"),
                "videos": count(videos, "pending"),
                "deliveries": count(deliveries, "pending"),
            }
        return found | {"callback_bodies": self.callbacks_out()}

    def callbacks_out(self) -> int:
        """Callbacks that the provider has still to bring."""
        tasks = self.provider.renderer.book.all()
        heard = {number_of(t.values["prompt"]): t.attempts for t in tasks}
        return sum(
            self.requested[number].callback_bodies
            - sum(attempt.status == 200 for attempt in attempts)
            for number, attempts in heard.items()
        )


@contextmanager
def chaos_run(plan: Plan, folder: Path) -> Iterator[ChaosRun]:
    """Everything that a run needs, on a database of its own; nothing of the service is started."""
    if plan.database == "sqlite":
        with chaos_run_on(f"sqlite:///{folder / 'clipbell.db'}", plan, folder) as made:
            yield made
        return
    with Cluster() as cluster, chaos_run_on(cluster.url, plan, folder, cluster) as made:
        yield made


@contextmanager
def chaos_run_on(
    url: str, plan: Plan, folder: Path, cluster: Cluster | None = None
) -> Iterator[ChaosRun]:
    """The same on a database that is there."""
    patience = (0.1, 0.4, *(0.8,) * 400)
    with (
        _network(plan) as network,
        Sink(plan.seed, plan.refusing) as sink,
        start_sandbox(folder / "provider", credits=1e6, retry_delays=patience) as provider,
        Clipbell(
            folder,
            provider.url,
            database_url=url,
            secret_keys=SECRET,
            retry_schedule="0" + ",0.2" * 30,
            submit_timeout="5",
            poll_after="8",
            poll_every="4",
            archive_wait="5",
            **_engine(plan, network),
        ) as clipbell,
    ):
        yield ChaosRun(plan, clipbell, provider, sink, cluster, network)


def _network(plan: Plan) -> AbstractContextManager[Proxy | None]:
    """What can be cut between the service and its broker."""
    return Proxy(Broker(plan.broker).address) if plan.broker else nullcontext()


def _engine(plan: Plan, network: Proxy | None) -> dict[str, str]:
    if network is None:
        return {}
    return {"engine": "celery", "broker_url": Broker(plan.broker).url_through(network.port)}

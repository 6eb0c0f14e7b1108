"""The distributed engine on real brokers: hints may be lost or doubled, and nothing else is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from celery import Celery
from support.brokers import BROKERS, OWN_SERVERS, Broker, missing, missing_program, start_broker
from support.harness import Harness
from support.network import Proxy
from support.outages import QUICK, ask, await_words, fresh, readyz, steps, tasks
from support.raw_servers import Server, silent
from support.requirements import need
from support.sandboxes import SandboxClient, start_sandbox
from support.servers import Clipbell, Hook, eventually
from support.slow_vendor import SlowVendor

from service.bootstrap import build
from service.engines.hints import HINT_SECONDS, KINDS, MOST_HINTS, Beat, Publisher, celery_settings
from service.ops.health import examine
from service.settings import load_settings

#: A command of a user's own, with a pool of processes.
PREFORK = ("-A", "service.engines.celery", "worker", "--concurrency", "3")
THREADS = ("-A", "service.engines.celery", "worker", "--pool", "threads", "--concurrency", "8")


@pytest.fixture(scope="module", params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """RabbitMQ and Redis, each for this module alone."""
    need(missing(request.param))
    with start_broker(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A sandbox that brings a callback again and again until it is taken."""
    folder = tmp_path_factory.mktemp("provider")
    with start_sandbox(folder, credits=1e6, retry_delays=(0.3,) * 400) as server:
        yield SandboxClient(server)


@pytest.fixture
def clipbell(
    database_url: str, broker: Broker, provider: SandboxClient, tmp_path: Path
) -> Iterator[Clipbell]:
    """A service on that broker: its web process, and no worker yet."""
    with served(database_url, broker.url, provider.server.url, tmp_path) as made:
        yield made


@contextmanager
def served(
    database_url: str, broker_url: str, provider_url: str, folder: Path
) -> Iterator[Clipbell]:
    """The same on any broker."""
    given = QUICK | {"engine": "celery", "broker_url": broker_url, "database_url": database_url}
    with Clipbell(folder, provider_url, **given) as made:
        made.start_web()
        eventually(lambda: made.status_of("/healthz") == 200)
        yield made


def start_celery(clipbell: Clipbell, *options: str, name: str = "worker") -> None:
    """A worker by the user's own command."""
    clipbell.spawn(name, "celery", *(options or PREFORK), "--hostname", f"{name}@%h")


def stop_celery(clipbell: Clipbell, name: str = "worker") -> int:
    """
    SIGTERM to such a worker; its exit code.

    Celery waits half a minute for results of its pool that it has not read.
    """
    return clipbell.stop(name, 90)


def submit_many(clipbell: Clipbell, prompt: str, count: int, order: str = "") -> dict[str, str]:
    """Jobs, by their prompts; the sandbox may be ordered to make them slowly."""
    prompts = [f"{prompt} {number}" for number in range(count)]

    def one(wanted: str) -> str:
        answer = ask(clipbell, f"{order} {wanted}", wanted)
        assert 202 == answer.status, answer.body
        return str(answer.json()["id"])

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(prompts, pool.map(one, prompts), strict=True))


def all_done(clipbell: Clipbell, provider: SandboxClient, jobs: dict[str, str]) -> bool:
    """Whether all succeed, each with one create."""
    for job_id in jobs.values():
        clipbell.await_state(job_id, "succeeded", seconds=90)
    return [len(tasks(provider, prompt)) for prompt in jobs] == [1] * len(jobs)


def publisher(broker: Broker) -> Publisher:
    """Someone else who sends hints."""
    given = {"engine": "celery", "broker_url": broker.url}
    other = Celery("other", set_as_current=False)
    other.conf.update(celery_settings(load_settings({}, **given)))
    return Publisher(other)


@pytest.mark.postgresql
def test_walk(clipbell: Clipbell) -> None:
    """`clipbell worker` does it all, and ends well; `/readyz` and `doctor` know the broker."""
    clipbell.start_worker()
    eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
    with Hook() as hook:
        job = clipbell.submit(fresh("walk"), notify=[f"webhook:{hook.url}"])
        hit = eventually(lambda: hook.hits)[0].json()
    numbered = eventually(lambda: clipbell.call("GET", "/v1/events").json()["data"])
    doctor = clipbell.run("doctor", "--json").stdout
    code = clipbell.stop("worker")

    assert ("job.succeeded", job["id"]) == (hit["type"], hit["data"]["id"])
    assert numbered
    assert "ok" == readyz(clipbell)[1]["checks"]["broker"]
    assert "celery, whose broker answers" in doctor
    assert 0 == code, clipbell.log("worker")
    assert "Traceback" not in clipbell.log("worker")


def test_hints_have_a_cap(broker: Broker) -> None:
    """However many hints are sent, no more than the cap wait, and purging them works."""
    hints = publisher(broker)
    hints.send(["remove"] * (MOST_HINTS + 20))
    hints.close()

    assert MOST_HINTS == eventually(lambda: broker.waiting("remove"))
    assert MOST_HINTS == broker.purge()


@pytest.mark.postgresql
def test_hint_follows_the_bell(harness: Harness, broker: Broker) -> None:
    """The beat hears of a row that another process made due, long before its next look."""
    hints, other = publisher(broker), build(harness.wiring.settings, follow_database=False)
    beat = Beat(other, hints, seconds=600)
    beat.listen()
    beat.start()
    harness.new_job()
    found = eventually(lambda: broker.waiting("submit"))
    beat.stop()
    hints.close()
    other.close()

    assert 1 <= found
    assert broker.purge()


def test_every_kind_has_a_queue(harness: Harness) -> None:
    """No kind of work is forgotten."""
    assert sorted(KINDS) == sorted(harness.wiring.units())


def test_absent_broker(harness: Harness) -> None:
    """A broker that is away is named with its address, without its password, and no more stops."""
    url = "amqp://me:hush@127.0.0.1:9/clips"
    settings = load_settings({}, engine="celery", broker_url=url)
    w = harness.wiring
    found = examine(w.db, w.storage, w.providers, harness.clock(), settings)
    (check,) = [check for check in found.checks if check.name == "broker"]

    assert (False, False) == (check.ok, check.vital)
    assert "127.0.0.1:9" in check.message
    assert "CLIPBELL_BROKER_URL" in check.message
    assert "hush" not in check.message


def test_worker_without_the_engine(tmp_path: Path) -> None:
    """Celery's own command ends with one line where the settings name another engine."""
    with Clipbell(tmp_path, "http://127.0.0.1:9") as clipbell:
        clipbell.spawn_fresh("worker", "-m", "celery", *PREFORK)
        eventually(lambda: clipbell.ended("worker"))
        lines = clipbell.log("worker").splitlines()

    assert ["clipbell: a Celery worker needs CLIPBELL_ENGINE=celery"] == lines


@pytest.mark.slow
def test_hints_end(broker: Broker) -> None:
    """A hint that nobody takes is gone after its time."""
    hints = publisher(broker)
    hints.send(["remove"])
    waiting = broker.waiting("remove")
    hints.close()

    assert 1 == waiting
    eventually(lambda: broker.waiting("remove") == 0, 2 * HINT_SECONDS)


@pytest.mark.slow
@pytest.mark.postgresql
def test_two_beats_and_doubled_hints(
    clipbell: Clipbell, provider: SandboxClient, broker: Broker
) -> None:
    """Two workers, one growing by load, each with its beat, and hints without end: one create."""
    start_celery(clipbell, *PREFORK, "--autoscale", "4,1", name="first")
    start_celery(clipbell, *THREADS, name="second")
    eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
    hints = publisher(broker)
    jobs = submit_many(clipbell, fresh("doubled"), 20)
    for _ in range(10):
        hints.send([*KINDS] * 5)
    done = all_done(clipbell, provider, jobs)
    hints.close()

    assert done
    assert (0, 0) == (stop_celery(clipbell, "first"), stop_celery(clipbell, "second"))
    assert "Traceback" not in clipbell.log("first") + clipbell.log("second")


@pytest.mark.slow
def test_hanging_hooks_of_another_account(clipbell: Clipbell) -> None:
    """In a pool of threads, too, one account's hooks that hang leave places for another's."""
    start_celery(clipbell, *THREADS)
    bob = clipbell.as_account("bob")
    with Hook() as hook, closing(Server(silent)) as hanging:
        stuck = [f"webhook:{hanging.url(f'/{number}')}" for number in range(10)]
        clipbell.submit(fresh("stuck"), notify=stuck)
        eventually(lambda: hanging.connections == 6)
        bob.submit(fresh("free"), notify=[f"webhook:{hook.url}"])
        eventually(lambda: hook.hits, 12)
        connections = hanging.connections

    assert 6 == connections
    assert 0 == stop_celery(clipbell)


@pytest.mark.slow
def test_killed_workers(clipbell: Clipbell, provider: SandboxClient) -> None:
    """SIGKILL to a worker and all its processes while jobs are out: others go on with them."""
    prompt = fresh("killed")
    jobs: dict[str, str] = {}
    for number in range(3):
        start_celery(clipbell)
        jobs |= submit_many(clipbell, f"{prompt} {number}", 4, "[slow 4]")
        for job_id in jobs.values():
            clipbell.await_state(job_id, "submitted", "succeeded")
        clipbell.kill("worker")
    start_celery(clipbell)

    assert all_done(clipbell, provider, jobs)


@pytest.mark.slow
def test_killed_processes_of_a_pool(clipbell: Clipbell, provider: SandboxClient) -> None:
    """Each process of a worker but its first may die, the beat's too, and is replaced."""
    start_celery(clipbell)
    eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
    prompt = fresh("replaced")
    jobs = submit_many(clipbell, prompt, 6, "[slow 4]")
    for job_id in jobs.values():
        clipbell.await_state(job_id, "submitted", "succeeded")
    before = clipbell.children("worker")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    jobs |= submit_many(clipbell, f"{prompt} more", 6)
    done = all_done(clipbell, provider, jobs)

    assert 4 == len(before)
    assert done
    assert 0 == stop_celery(clipbell)


@pytest.mark.slow
def test_emptied_queues(clipbell: Clipbell, provider: SandboxClient, broker: Broker) -> None:
    """Queues that are emptied, or deleted, while jobs wait: all are done."""
    start_celery(clipbell, *PREFORK, "--queues", "clipbell.number", name="beat")
    jobs = submit_many(clipbell, fresh("emptied"), 6)
    eventually(lambda: broker.waiting("submit"))
    emptied = broker.purge()
    start_celery(clipbell)
    done = all_done(clipbell, provider, jobs)
    broker.delete_queues()
    later = submit_many(clipbell, fresh("deleted"), 6)

    assert emptied > 0
    assert done
    assert all_done(clipbell, provider, later)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_broker_away(
    how: str, database_url: str, broker: Broker, provider: SandboxClient, tmp_path: Path
) -> None:
    """Without a broker jobs and callbacks are taken, and all goes on when it is back."""
    with (
        Proxy(broker.address) as proxy,
        served(
            database_url, broker.url_through(proxy.port), provider.server.url, tmp_path
        ) as clipbell,
    ):
        start_celery(clipbell)
        eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
        jobs = submit_many(clipbell, fresh("before"), 3, "[slow 3]")
        for job_id in jobs.values():
            clipbell.await_state(job_id, "submitted")
        proxy.cut() if how == "cut" else proxy.freeze()
        await_words(clipbell, 200, "broker", "does not answer")
        jobs |= submit_many(clipbell, fresh("during"), 6)
        (task,) = tasks(provider, next(iter(jobs)))
        provider.when(task.id, lambda now: [a for a in now.attempts if a.status == 200])
        proxy.join() if how == "cut" else proxy.thaw()
        done = all_done(clipbell, provider, jobs)
        found = {kind for job_id in jobs.values() for kind in steps(clipbell, job_id)}

        assert done
        assert "unknown" not in found
        eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
        assert 0 == stop_celery(clipbell)


@pytest.mark.slow
def test_end_while_the_broker_is_away(
    database_url: str, broker: Broker, provider: SandboxClient, tmp_path: Path
) -> None:
    """A worker that looks for its broker ends by SIGTERM all the same."""
    with (
        Proxy(broker.address) as proxy,
        served(
            database_url, broker.url_through(proxy.port), provider.server.url, tmp_path
        ) as clipbell,
    ):
        clipbell.start_worker()
        eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
        proxy.cut()
        eventually(lambda: "Trying again" in clipbell.log("worker"))

        assert 0 == stop_celery(clipbell)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKERS)
def test_broker_is_killed(
    kind: str, database_url: str, provider: SandboxClient, tmp_path: Path
) -> None:
    """A broker that dies and is started again, a Redis with nothing left, costs no job."""
    need(missing_program(kind))
    with (
        OWN_SERVERS[kind]() as server,
        served(database_url, server.url, provider.server.url, tmp_path) as clipbell,
    ):
        start_celery(clipbell)
        jobs = submit_many(clipbell, fresh("killed"), 6, "[slow 2]")
        for job_id in jobs.values():
            clipbell.await_state(job_id, "submitted", "succeeded")
        eventually(server.may_be_killed)
        server.kill()
        jobs |= submit_many(clipbell, fresh("during the outage"), 3)
        server.start()

        assert all_done(clipbell, provider, jobs)


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "numbers"),
    [
        ("clipbell", (TERM,)),
        ("clipbell", (INT, INT, HUP)),
        ("prefork", (TERM, TERM)),
        ("prefork", (INT,)),
    ],
)
def test_signal_during_a_create(
    command: str,
    numbers: tuple[signal.Signals, ...],
    database_url: str,
    broker: Broker,
    tmp_path: Path,
) -> None:
    """Signals to the worker and all its processes: the answer is written down first."""
    with (
        SlowVendor() as vendor,
        served(database_url, broker.url, vendor.origin, tmp_path) as clipbell,
    ):
        clipbell.start_worker() if command == "clipbell" else start_celery(clipbell)
        job = clipbell.submit(fresh("create"))
        eventually(vendor.asked.is_set)
        for number in numbers:
            os.killpg(clipbell.pid("worker"), number)
        eventually(lambda: "Warm shutdown" in clipbell.log("worker") or command == "clipbell")
        running = not clipbell.ended("worker")
        vendor.gate.set()
        code = stop_celery(clipbell)
        found = clipbell.job(job["id"])

        assert running
        assert ("submitted", "task1") == (found["state"], found["task_id"])
        assert "unknown" not in steps(clipbell, job["id"])
        assert "WorkerLostError" not in clipbell.log("worker")
        assert code in (0, 1 if INT in numbers else 0)

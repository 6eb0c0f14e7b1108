"""
The database freezes, takes no writes, is locked or lost under a running service.

Whoever asks hears 503 within seconds, nothing that was taken is dropped, no
create goes out that could not be written down, and afterwards all goes on.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from support import pgbouncer
from support.outages import QUICK, ask, await_words, fresh, readyz, steps, tasks
from support.pgbouncer import PgBouncer
from support.requirements import need
from support.sandboxes import SandboxClient, start_sandbox
from support.servers import Clipbell, Reply, eventually, http_call

from chaos import cluster
from chaos.cluster import Cluster

pytestmark = pytest.mark.slow

#: More callers than there are threads.
CROWD = 24
#: So long a request may take, whatever the database does; in it is what a busy machine adds.
REQUEST_SECONDS = 10.0
#: The same for `/healthz`, which asks nobody, nineteen times out of twenty; and always.
HEALTHZ_SECONDS, LATE_HEALTHZ_SECONDS = 0.1, 1.0


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A sandbox that brings a callback again and again until it is taken."""
    folder = tmp_path_factory.mktemp("provider")
    with start_sandbox(folder, credits=1e6, retry_delays=(0.3,) * 400) as server:
        yield SandboxClient(server)


@pytest.fixture
def postgres() -> Iterator[Cluster]:
    """A server that may be broken."""
    need(cluster.missing())
    with Cluster() as made:
        yield made


@contextmanager
def healthz_answers(clipbell: Clipbell) -> Iterator[None]:
    """In all this time `/healthz` is answered at once."""
    over, times = threading.Event(), list[float]()

    def probe() -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            assert 200 == http_call("GET", f"{clipbell.url}/healthz").status
            times.append(time.monotonic() - began)

    probing = threading.Thread(target=probe)
    probing.start()
    yield
    over.set()
    probing.join()

    assert len(times) > 20
    assert sorted(times)[len(times) * 19 // 20] < HEALTHZ_SECONDS
    assert max(times) < LATE_HEALTHZ_SECONDS


def crowd_asks(clipbell: Clipbell, prompt: str) -> list[Reply]:
    """What many callers hear who ask for a job each at once, none of them late."""

    def one(number: int) -> tuple[float, Reply]:
        began = time.monotonic()
        reply = ask(clipbell, f"{prompt} {number}", f"{prompt} {number}")
        return time.monotonic() - began, reply

    with ThreadPoolExecutor(CROWD) as pool:
        found = list(pool.map(one, range(CROWD)))
    assert max(seconds for seconds, _ in found) < REQUEST_SECONDS
    return [reply for _, reply in found]


def refused(replies: list[Reply]) -> bool:
    """Whether each is a 503 that says when to come back."""
    return {(503, "5")} == {(reply.status, reply.headers.get("Retry-After")) for reply in replies}


def taken_and_ended(clipbell: Clipbell, provider: SandboxClient, prompt: str) -> bool:
    """Whether each of the same requests is taken now, and ends well, with one create."""
    for reply in crowd_asks(clipbell, prompt):
        assert 202 == reply.status, reply.body
        clipbell.await_state(reply.json()["id"], "succeeded")
    made = [len(tasks(provider, f"{prompt} {number}")) for number in range(CROWD)]
    return made == [1] * CROWD


def test_frozen_postgres(provider: SandboxClient, postgres: Cluster, tmp_path: Path) -> None:
    """A server that says nothing any more: 503 within ten seconds for all, and then it goes on."""
    prompt, before = fresh("frozen"), fresh("before")
    given = QUICK | {"database_url": postgres.url}
    with Clipbell(tmp_path, provider.server.url, **given) as clipbell:
        clipbell.start()
        job = clipbell.submit(f"[early] [slow 3] {before}")
        task = eventually(lambda: tasks(provider, before))[0]
        with healthz_answers(clipbell):
            postgres.freeze()
            replies = crowd_asks(clipbell, prompt)
            called_back = http_call("POST", str(task.callback_url), b"{}")
            status, body = readyz(clipbell)
            postgres.thaw()

            assert refused([*replies, called_back])
            assert (503, "not ready") == (status, body["status"])
            eventually(lambda: readyz(clipbell)[0] == 200)
            assert taken_and_ended(clipbell, provider, prompt)
            clipbell.await_state(job["id"], "succeeded")
            found = steps(clipbell, job["id"])

    assert "unknown" not in found
    assert 1 == len(tasks(provider, before))


def test_read_only_postgres(provider: SandboxClient, postgres: Cluster, tmp_path: Path) -> None:
    """
    A server that takes no writes, as managed ones do when they are full or fail over.

    The answer to what was sent is kept until it can be written; nothing new is sent.
    """
    sent, queued, later = fresh("sent"), fresh("queued"), fresh("later")
    given = QUICK | {"database_url": postgres.url}
    with Clipbell(tmp_path, provider.server.url, **given) as clipbell:
        clipbell.start()
        under_way = clipbell.submit(f"[early] [slow 3] {sent}")
        task = eventually(lambda: tasks(provider, sent))[0]
        assert 200 == clipbell.call("POST", "/v1/providers/apixo/hold").status
        waiting = clipbell.submit(queued)
        postgres.set_read_only(True)
        await_words(clipbell, 503, "database", "read-only")
        replies = [ask(clipbell, later, "later"), http_call("POST", str(task.callback_url), b"{}")]
        listed = clipbell.call("GET", "/v1/jobs").status
        eventually(lambda: "trying again" in clipbell.log("worker"))
        _resume(postgres)
        provider.when(task.id, lambda now: len([a for a in now.attempts if a.status == 503]) > 3)
        unsent = tasks(provider, queued)
        postgres.set_read_only(False)

        eventually(lambda: readyz(clipbell)[0] == 200)
        clipbell.await_state(under_way["id"], "succeeded")
        clipbell.await_state(ask(clipbell, later, "later").json()["id"], "succeeded")
        clipbell.await_state(waiting["id"], "succeeded")
        found = steps(clipbell, under_way["id"])

    assert refused(replies)
    assert (200, []) == (listed, unsent)
    assert "unknown" not in found
    assert [1, 1, 1] == [len(tasks(provider, one)) for one in (sent, queued, later)]


def _resume(postgres: Cluster) -> None:
    """The provider is free again, by an operator; the server still lets it write."""
    with psycopg.connect(postgres.url) as operator:
        operator.execute("SET TRANSACTION READ WRITE")
        operator.execute("UPDATE providers SET held_reason = NULL")


def test_held_lock_of_sqlite(provider: SandboxClient, tmp_path: Path) -> None:
    """Somebody holds SQLite's lock: writes hear 503 in time, reads go on, and so does all after."""
    prompt = fresh("locked")
    with Clipbell(tmp_path, provider.server.url, **QUICK) as clipbell:
        clipbell.start()
        file = clipbell.folder / "data" / "clipbell.db"
        with (
            closing(sqlite3.connect(file, 15, isolation_level=None)) as shell,
            healthz_answers(clipbell),
        ):
            shell.execute("BEGIN IMMEDIATE")
            replies = crowd_asks(clipbell, prompt)
            listed = clipbell.call("GET", "/v1/jobs").status
            status, body = readyz(clipbell)
            shell.execute("ROLLBACK")

        eventually(lambda: readyz(clipbell)[0] == 200)
        assert taken_and_ended(clipbell, provider, prompt)

    assert refused(replies)
    assert (200, 503) == (listed, status)
    assert "database" in body["checks"]


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_lost_file_of_sqlite(provider: SandboxClient, tmp_path: Path, replaced: bool) -> None:
    """The file goes under the running service: nothing is taken or sent until it is back."""
    prompt, before = fresh("lost"), fresh("before")
    with Clipbell(tmp_path, provider.server.url, **QUICK) as clipbell:
        clipbell.start()
        job = clipbell.submit(before)
        clipbell.await_state(job["id"], "succeeded")
        task = tasks(provider, before)[0]
        file = clipbell.folder / "data" / "clipbell.db"
        aside, other = file.with_name("aside.db"), file.with_name("other.db")
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(other)) as new:
            old.backup(new)
        file.rename(aside)
        if replaced:
            other.rename(file)
        replies = crowd_asks(clipbell, prompt)
        replies += [clipbell.call("GET", "/v1/jobs"), clipbell.call("GET", f"/v1/jobs/{job['id']}")]
        replies.append(http_call("POST", str(task.callback_url), b"other"))
        status, body = readyz(clipbell)
        aside.rename(file)

        eventually(lambda: readyz(clipbell)[0] == 200)
        assert taken_and_ended(clipbell, provider, prompt)

    assert refused(replies)
    assert 503 == status
    assert "deleted or replaced" in body["checks"]["database"]


def test_forty_jobs_behind_pgbouncer(
    provider: SandboxClient, postgres: Cluster, tmp_path: Path
) -> None:
    """Through a transaction pooler with two connections all jobs are taken, and all end well."""
    need(pgbouncer.missing())
    prompt = fresh("pooled")
    with (
        PgBouncer(str(postgres.folder), "clipbell", 2) as bouncer,
        Clipbell(tmp_path, provider.server.url, **QUICK, database_url=bouncer.url) as clipbell,
    ):
        clipbell.start()
        with ThreadPoolExecutor(20) as pool:
            keys = [f"{prompt} {number}" for number in range(40)]
            replies = list(pool.map(lambda key: ask(clipbell, key, key), keys))
        for reply in replies:
            assert 202 == reply.status, reply.body
            clipbell.await_state(reply.json()["id"], "succeeded", seconds=120)
        logs = clipbell.log("worker") + clipbell.log("serve")

    assert [1] * 40 == [len(tasks(provider, key)) for key in keys]
    assert [] == [line for line in logs.splitlines() if '"level": "error"' in line]

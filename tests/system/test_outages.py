"""
Troubles of the world around it: each is reported in `/readyz`, and passes without a hand of ours.

Nothing is lost, and no job is sent twice: the creates at the provider
are counted.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from chaos import cluster
from chaos.cluster import Cluster
from support.clocked import set_clock
from support.outages import QUICK, ask, await_words, fresh, readyz, steps, tasks
from support.requirements import need
from support.sandboxes import HEIGHT, SandboxClient, start_sandbox
from support.servers import Clipbell, Hook, Reply, eventually, free_port, http_call
from support.small_disk import SmallDisk, is_root
from support.small_disk import missing as no_small_disk

from service.deliveries.attempts import NO_RESULT
from service.sandbox import SandboxOptions, SandboxServer
from service.sandbox.vendors.apixo import callback_bodies

MEBIBYTE = 1024 * 1024
HOUR = 3600.0


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A sandbox that brings a callback again and again until it is taken."""
    folder = tmp_path_factory.mktemp("provider")
    with start_sandbox(folder, credits=1e6, retry_delays=(0.3,) * 400) as server:
        yield SandboxClient(server)


@pytest.fixture(scope="module")
def running(
    provider: SandboxClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clipbell]:
    """A service on SQLite for those troubles that leave it as it was."""
    with Clipbell(tmp_path_factory.mktemp("running"), provider.server.url, **QUICK) as made:
        yield made.start()


def send(clipbell: Clipbell, order: str) -> None:
    """`hold` or `resume` the provider."""
    answer = clipbell.call("POST", f"/v1/providers/apixo/{order}")
    assert 200 == answer.status, answer.body


class TestDatabase:
    """The database goes away and comes back."""

    pytestmark = pytest.mark.slow

    def test_gone_while_sending(self, provider: SandboxClient, tmp_path: Path) -> None:
        """
        An answer that comes then is kept until it can be written; nothing becomes unknown.

        Whoever asks or calls back gets 503 with Retry-After, and is then served.
        """
        need(cluster.missing())
        prompt, later = fresh("sent"), fresh("later")
        with (
            Cluster() as postgres,
            Clipbell(tmp_path, provider.server.url, database_url=postgres.url, **QUICK) as clipbell,
        ):
            clipbell.start()
            # Its create is answered only after its callback was brought: that is, without database.
            job = clipbell.submit(f"[early] [slow 3] {prompt}")
            task = eventually(lambda: tasks(provider, prompt))[0]
            postgres.kill()
            await_words(clipbell, 503, "database", "cannot open the database")
            refused = ask(clipbell, later, "later")
            provider.when(task.id, lambda now: 503 in [a.status for a in now.attempts])
            eventually(lambda: "trying again" in clipbell.log("worker"))
            postgres.start()

            eventually(lambda: readyz(clipbell)[1]["status"] == "ready")
            done = clipbell.await_state(job["id"], "succeeded")
            made = ask(clipbell, later, "later")
            clipbell.await_state(made.json()["id"], "succeeded")
            found = steps(clipbell, job["id"])

        assert task.id == done["task_id"]
        assert (503, "5", 202) == (refused.status, refused.headers["Retry-After"], made.status)
        assert "unknown" not in found and "polling" not in found
        assert [1, 1] == [len(tasks(provider, one)) for one in (prompt, later)]


class TestDisk:
    """The disk that holds everything is full."""

    pytestmark = pytest.mark.slow

    def test_full(self, provider: SandboxClient, tmp_path: Path) -> None:
        """Asked or called, it says 503; whatever was answered otherwise is kept and carried out."""
        if not is_root():
            pytest.skip("skipped: only root can mount a small disk to fill")
        need(no_small_disk(tmp_path))
        prompt = fresh("before")
        with (
            SmallDisk(tmp_path / "data", megabytes=320) as disk,
            Clipbell(tmp_path, provider.server.url, **QUICK) as clipbell,
        ):
            clipbell.start()
            before = clipbell.submit(f"[early] [slow 2] {prompt}")
            task = eventually(lambda: tasks(provider, prompt))[0]
            disk.fill()
            await_words(clipbell, 503, "disk", "has only", "make room")
            asked = _until_refused(lambda n: ask(clipbell, f"{prompt} {n}", f"{prompt} {n}"), 202)
            url = str(task.callback_url)
            _until_refused(lambda n: http_call("POST", url, _bulk(n)), 200)
            disk.clear()

            eventually(lambda: readyz(clipbell)[0] == 200)
            refused = len(asked) - 1
            asked[refused] = ask(clipbell, f"{prompt} {refused}", f"{prompt} {refused}")
            for job in [before, *(answer.json() for answer in asked)]:
                clipbell.await_state(job["id"], "succeeded")
            found = steps(clipbell, before["id"])

        assert "unknown" not in found
        assert 1 == len(tasks(provider, prompt))
        assert [1] * len(asked) == [
            len(tasks(provider, f"{prompt} {n}")) for n in range(len(asked))
        ]


def _bulk(number: int) -> bytes:
    return json.dumps([number, "x" * (MEBIBYTE // 2)]).encode()


def _until_refused(send: Any, well: int) -> list[Reply]:
    """All answers up to the first 503; before it, each was well."""
    answers: list[Reply] = []
    while not answers or answers[-1].status != 503:
        answers.append(send(len(answers)))
        assert answers[-1].status in (well, 503), answers[-1].body
    assert "5" == answers[-1].headers["Retry-After"]
    return answers


class TestClock:
    """The machine's clock was an hour ahead and is set right."""

    pytestmark = pytest.mark.slow

    def test_goes_back(self, provider: SandboxClient, tmp_path: Path) -> None:
        """Jobs, polls and retries that were dated by the wrong clock don't wait for that hour."""
        queued, polled, report = fresh("queued"), fresh("polled"), fresh("reported")
        wrong_by = tmp_path / "wrong-by"
        set_clock(wrong_by, HOUR)
        given = QUICK | {"poll_after": "8", "retry_schedule": "0" + ",4" * 20}
        with Clipbell(tmp_path, provider.server.url, **given) as clipbell, Hook([500]) as hook:
            _start_clocked(clipbell, wrong_by)
            jobs = [clipbell.submit(report, notify=[f"webhook:{hook.url}"])]
            jobs.append(clipbell.submit(f"[lose] {polled}"))
            clipbell.await_state(jobs[1]["id"], "submitted")
            eventually(lambda: hook.hits)
            send(clipbell, "hold")
            jobs.append(clipbell.submit(queued))
            set_clock(wrong_by, 0)
            hook.answers[:] = [200]
            send(clipbell, "resume")
            ends = [clipbell.await_state(job["id"], "succeeded") for job in jobs]
            eventually(lambda: _delivered(clipbell) == ["delivered"])
            log = clipbell.log("worker")

        assert "the clock went back by 1:00:" in log or "the clock went back by 0:59:" in log
        assert ends[2]["submitted_at"] < ends[1]["submitted_at"]
        assert [1, 1, 1] == [len(tasks(provider, one)) for one in (queued, polled, report)]


def _start_clocked(clipbell: Clipbell, wrong_by: Path) -> None:
    clipbell.spawn("serve", "support.clocked", str(wrong_by), "serve", str(clipbell.port))
    clipbell.spawn("worker", "support.clocked", str(wrong_by), "worker")
    eventually(lambda: _quiet_ready(clipbell) == 200)


def _quiet_ready(clipbell: Clipbell) -> int:
    """The status of `/readyz`; 0 where nobody answers."""
    try:
        return clipbell.call("GET", "/readyz").status
    except OSError:
        return 0


def _delivered(clipbell: Clipbell) -> list[str]:
    """The states of all deliveries."""
    return [one["state"] for one in clipbell.call("GET", "/v1/deliveries").json()["data"]]


class TestVendor:
    """The other side of the wire is away, or its name is."""

    pytestmark = pytest.mark.slow

    def test_provider_down_and_name_gone(self, tmp_path: Path) -> None:
        """What was certainly not sent is tried again, reported, and never unknown."""
        port, prompt = free_port(), fresh("down")
        given = QUICK | {"segmind_base_url": "http://provider.invalid"}
        with Clipbell(tmp_path, f"http://127.0.0.1:{port}", **given) as clipbell:
            clipbell.start()
            down = clipbell.submit(prompt, notify=["webhook:http://hook.invalid/"])
            nameless = clipbell.submit(prompt, model="kling-2", notify=[])
            await_words(clipbell, 200, "providers", "apixo is unreachable since", "not sent:")
            await_words(clipbell, 200, "providers", "segmind is unreachable", "provider.invalid")
            waiting = readyz(clipbell)[1]["status"]
            eventually(lambda: steps(clipbell, nameless["id"]).count("postponed") > 1)
            options = SandboxOptions(tmp_path / "sandbox", height=HEIGHT, retry_delays=(0.3,) * 99)
            with SandboxServer(options, port=port) as server:
                clipbell.await_state(down["id"], "succeeded")
                eventually(lambda: "apixo" not in readyz(clipbell)[1]["checks"]["providers"])
                [(delivery, errors)] = eventually(lambda: _failed_often(clipbell))
                created = len(server.renderer.book.all())
            still = clipbell.job(nameless["id"])["state"]
            found = steps(clipbell, nameless["id"]) + steps(clipbell, down["id"])

        assert ("degraded", 1) == (waiting, created)
        assert ("pending", "queued") == (delivery["state"], still)
        assert all("hook.invalid" in error for error in errors), errors
        assert "unknown" not in found


def _failed_often(clipbell: Clipbell) -> list[tuple[dict[str, Any], list[str]]]:
    """The deliveries with more than two failed attempts, and the errors of these."""
    listed = clipbell.call("GET", "/v1/deliveries").json()["data"]
    shown = [clipbell.call("GET", f"/v1/deliveries/{one['id']}").json() for one in listed]
    errors = [[one["error"] for one in each["attempts"]] for each in shown]
    # An attempt under way, such as one that waits for its DNS, has no result yet.
    ended = [[error for error in each if error != NO_RESULT] for each in errors]
    return [pair for pair in zip(shown, ended, strict=True) if len(pair[1]) > 2]


class TestProcess:
    """A process of gunicorn's dies, or is sent more than it will bear."""

    def test_web_child_killed(self, running: Clipbell, provider: SandboxClient) -> None:
        """gunicorn's master starts another one by itself."""
        first = running.children("serve")
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: _quiet_ready(running) == 200 and running.children("serve") != first)
        prompt = fresh("after")
        running.await_state(running.submit(prompt)["id"], "succeeded")

        assert 1 == len(tasks(provider, prompt))

    @pytest.mark.parametrize(
        "piece",
        [b"[", *(pytest.param(one, marks=pytest.mark.slow) for one in (b'{"a":', b" ", b"\xff"))],
    )
    def test_callback_of_one_mebibyte(
        self, running: Clipbell, provider: SandboxClient, piece: bytes
    ) -> None:
        """It is kept byte for byte and does no harm; one byte more is refused and counted."""
        prompt = fresh("large")
        job = running.submit(f"[slow 2] {prompt}")
        task = eventually(lambda: tasks(provider, prompt))[0]
        body = (piece * MEBIBYTE)[:MEBIBYTE]
        before = _too_large(running)
        taken = http_call("POST", str(task.callback_url), body)
        refused = http_call("POST", str(task.callback_url), body + b"x")
        running.await_state(job["id"], "succeeded")
        eventually(lambda: not _callbacks(running, job["id"], "received"))
        eventually(lambda: _too_large(running) == before + 1)

        assert (200, 413) == (taken.status, refused.status)
        assert [len(callback_bodies(provider.ended(task.id))[0]), MEBIBYTE] == sorted(
            len(one) for one in _bodies(running, job["id"])
        )
        assert body in _bodies(running, job["id"])
        assert [200] == [a.status for a in provider.ended(task.id).attempts]


def _too_large(clipbell: Clipbell) -> int:
    counts = clipbell.call("GET", "/v1/callbacks?rejected=true").json()["counts"]
    return int(counts.get("too_large", 0))


def _callbacks(clipbell: Clipbell, job_id: str, state: str) -> list[Any]:
    path = f"/v1/callbacks?job_id={job_id}&state={state}"
    found: list[Any] = clipbell.call("GET", path).json()["data"]
    return found


def _bodies(clipbell: Clipbell, job_id: str) -> list[bytes]:
    with closing(sqlite3.connect(clipbell.folder / "data" / "clipbell.db")) as connection:
        rows = connection.execute("SELECT body FROM callbacks WHERE job_id = ?", (job_id,))
        return [row[0] for row in rows]


class TestRow:
    """Rows that nobody can read, found damaged while the service runs."""

    def test_set_aside_and_back(self, running: Clipbell, provider: SandboxClient) -> None:
        """Each is reported and stops itself alone; fixed, it is taken up again by itself."""
        first, held, behind = fresh("first"), fresh("held"), fresh("behind")
        done = running.await_state(running.submit(first)["id"], "succeeded")["id"]
        eventually(lambda: running.job(done)["video"]["bytes"])
        send(running, "hold")
        damaged = running.submit(held)["id"]
        last = running.submit(behind)["id"]
        good = _damage(running, done, damaged)
        send(running, "resume")
        running.await_state(last, "succeeded")
        await_words(running, 200, "rows", "3 quarantined, tried again every ten minutes", "cannot")
        assert "degraded" == readyz(running)[1]["status"]
        assert [] == tasks(provider, held)

        _repair(running, done, damaged, good)
        running.await_state(damaged, "succeeded")
        eventually(lambda: not _callbacks(running, done, "received"))
        eventually(lambda: readyz(running)[1]["status"] == "ready")
        assert [1, 1, 1] == [len(tasks(provider, one)) for one in (first, held, behind)]


LONG_AGO = "2026-01-01 00:00:00.000000"


def _change(clipbell: Clipbell, statement: str, *values: str) -> None:
    """One statement past the service, as no service would write it."""
    with closing(sqlite3.connect(clipbell.folder / "data" / "clipbell.db", 15)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()


def _damage(clipbell: Clipbell, done: str, queued: str) -> str:
    """A callback, a video and a queued job, each with what cannot be decoded; the job's input."""
    with closing(sqlite3.connect(clipbell.folder / "data" / "clipbell.db")) as connection:
        row = connection.execute("SELECT input FROM jobs WHERE id = ?", (queued,)).fetchone()
    _change(clipbell, "UPDATE jobs SET input = '{broken' WHERE id = ?", queued)
    for broken in (
        "UPDATE callbacks SET headers = '[', state = 'received', due_at = ? WHERE job_id = ?",
        "UPDATE videos SET stored_at = 'x', state = 'pending', due_at = ? WHERE job_id = ?",
    ):
        _change(clipbell, broken, LONG_AGO, done)
    return str(row[0])


def _repair(clipbell: Clipbell, done: str, queued: str, good: str) -> None:
    """What a person does; the ten minutes have passed."""
    _change(clipbell, "UPDATE jobs SET input = ? WHERE id = ?", good, queued)
    _change(clipbell, "UPDATE callbacks SET headers = '{}' WHERE job_id = ?", done)
    _change(clipbell, "UPDATE videos SET stored_at = NULL WHERE job_id = ?", done)
    _change(clipbell, "UPDATE quarantined_rows SET created_at = ?", LONG_AGO)

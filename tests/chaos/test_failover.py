"""Another copy of the database takes over, or a machine's clock is wrong: nothing is paid twice."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clocked import set_clock
from support.requirements import need
from support.sandboxes import SandboxClient, start_sandbox
from support.servers import Clipbell, eventually

from chaos import cluster
from chaos.cluster import Cluster

QUICK = {"submit_timeout": "20", "poll_after": "90", "archive_wait": "0"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A vendor with enough credits."""
    with start_sandbox(tmp_path_factory.mktemp("provider"), credits=1e6) as server:
        yield SandboxClient(server)


@pytest.fixture
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server that the test may stop and replace."""
    need(cluster.missing())
    with Cluster() as made:
        yield made


def created(provider: SandboxClient, mark: str) -> list[str]:
    """The prompts of the creates that had this mark, one for each create."""
    prompts = [str(task.values["prompt"]) for task in provider.server.renderer.book.all()]
    return sorted(prompt for prompt in prompts if mark in prompt)


def said(clipbell: Clipbell, check: str) -> str:
    """The words of one check of `/readyz`."""
    try:
        words: str = clipbell.call("GET", "/readyz").json()["checks"][check]
    except (OSError, KeyError):
        return ""
    return words


def states(clipbell: Clipbell, jobs: list[dict[str, Any]]) -> list[str]:
    """The states of these jobs; none while the database is unavailable."""
    answers = [clipbell.call("GET", f"/v1/jobs/{job['id']}") for job in jobs]
    return [a.json()["state"] for a in answers] if {a.status for a in answers} == {200} else []


def test_an_older_copy_under_a_live_worker(
    postgres: Cluster, provider: SandboxClient, tmp_path: Path
) -> None:
    """Six sent jobs are queued again in the copy that takes over; none is created a second time."""
    mark = uuid.uuid4().hex[:12]
    with Clipbell(tmp_path, provider.server.url, database_url=postgres.url, **QUICK) as clipbell:
        clipbell.start()
        clipbell.stop("worker")
        jobs = [clipbell.submit(f"[lose] {mark} {number}", notify=[]) for number in range(6)]
        postgres.kill()
        postgres.copy("older")
        postgres.start()
        eventually(postgres.answers)
        clipbell.start_worker()
        eventually(lambda: len(created(provider, mark)) == 6)
        eventually(lambda: set(states(clipbell, jobs)) == {"submitted"})
        postgres.kill()
        postgres.replace_by("older")
        postgres.start()
        eventually(lambda: "ROWS_WENT_BACK" in said(clipbell, "providers"))
        found = eventually(lambda: states(clipbell, jobs))

        clipbell.stop("worker")
        clipbell.run("resume", "segmind")
        clipbell.run("resume", "apixo")

    assert ["queued"] * 6 == found
    assert 6 == len(set(created(provider, mark))) == len(created(provider, mark))


@pytest.mark.parametrize("wrong_by", [60.0, -600.0])
def test_two_workers_with_clocks_apart(
    postgres: Cluster, provider: SandboxClient, tmp_path: Path, wrong_by: float
) -> None:
    """No create that is under way is called unknown by the other worker, and `/readyz` tells it."""
    mark, clock = uuid.uuid4().hex[:12], tmp_path / "wrong-by"
    set_clock(clock, wrong_by)
    with Clipbell(tmp_path, provider.server.url, database_url=postgres.url, **QUICK) as clipbell:
        clipbell.start()
        clipbell.spawn("other", "support.clocked", str(clock), "worker")
        eventually(lambda: f"{abs(wrong_by):.0f} s" in said(clipbell, "clock"))
        jobs = [clipbell.submit(f"[early] [slow 3] {mark} {n}", notify=[]) for n in range(8)]
        ends = [clipbell.await_state(job["id"], "succeeded", seconds=90)["state"] for job in jobs]
        kinds = {
            entry["kind"]
            for job in jobs
            for entry in clipbell.call("GET", f"/v1/jobs/{job['id']}/timeline").json()["data"]
        }

    assert ["succeeded"] * 8 == ends
    assert "unknown" not in kinds
    assert 8 == len(set(created(provider, mark))) == len(created(provider, mark))


@pytest.mark.postgresql
def test_a_worker_that_stands_still_longer_than_its_lease(
    provider: SandboxClient, tmp_path: Path, database_url: str
) -> None:
    """What it was sending is called unknown, adopted by its callback, and ends once."""
    mark = uuid.uuid4().hex[:12]
    given = QUICK | {"submit_timeout": "2", "database_url": database_url}
    with Clipbell(tmp_path, provider.server.url, **given) as clipbell:
        clipbell.start()
        job = clipbell.submit(f"[early] [slow 3] {mark}", notify=[])
        eventually(lambda: created(provider, mark))
        frozen = clipbell.pid("worker")
        os.kill(frozen, signal.SIGSTOP)
        clipbell.spawn("other", "service", "worker")
        try:
            clipbell.await_state(job["id"], "succeeded", seconds=90)
        finally:
            os.kill(frozen, signal.SIGCONT)
        clipbell.stop("worker")
        kinds = [
            entry["kind"]
            for entry in clipbell.call("GET", f"/v1/jobs/{job['id']}/timeline").json()["data"]
        ]

    assert 1 == len(created(provider, mark))
    assert 1 == kinds.count("succeeded")
    assert {"unknown", "adopted"} <= set(kinds)

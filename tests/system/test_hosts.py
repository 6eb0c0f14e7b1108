"""Several hosts: web on one, workers on two, the database on a fourth; one is cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos import cluster
from chaos.cluster import Cluster
from support import hosts
from support.hosts import Hosts
from support.outages import QUICK, ask, fresh, steps, tasks
from support.requirements import need
from support.sandboxes import FRAME_RATE, HEIGHT, SandboxClient
from support.servers import Clipbell, eventually

from service.sandbox import SandboxOptions, SandboxServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKERS = ("first", "second")
#: A job that nobody works on, as its worker was cut off, waits for the end of a lease.
LEASE_SECONDS = 400.0


@pytest.fixture
def network() -> Iterator[Hosts]:
    """Four hosts."""
    need(hosts.missing() or cluster.missing())
    with Hosts() as made:
        for name in ("web", *WORKERS, "database"):
            made.add(name)
        yield made


@pytest.fixture
def database(network: Hosts) -> Iterator[Cluster]:
    """PostgreSQL on one of them."""
    where = network.address("database")
    with Cluster(network.on("database"), where, network.network) as made:
        yield made


@pytest.fixture
def provider(network: Hosts, tmp_path: Path) -> Iterator[SandboxClient]:
    """A sandbox that all of them reach, and that brings callbacks until they are taken."""
    options = SandboxOptions(
        tmp_path / "provider",
        height=HEIGHT,
        frame_rate=FRAME_RATE,
        credits=1e6,
        retry_delays=(0.3,) * 400,
    )
    with SandboxServer(options, network.own) as server:
        yield SandboxClient(server)


def alive(clipbell: Clipbell) -> int:
    """How many workers the service knows to be alive."""
    found = re.search(
        r"^clipbell_workers (\d+)", clipbell.call("GET", "/metrics").body.decode(), re.M
    )
    assert found
    return int(found[1])


def submit(clipbell: Clipbell, prompt: str, count: int, order: str = "") -> dict[str, str]:
    """Jobs, by their prompts."""
    made = {}
    for number in range(count):
        wanted = f"{prompt} {number}"
        answer = ask(clipbell, f"{order} {wanted}", wanted)
        assert 202 == answer.status, answer.body
        made[wanted] = str(answer.json()["id"])
    return made


@pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost", "10.77.0.0/16"])
def test_host_is_cut_off(
    network: Hosts, database: Cluster, provider: SandboxClient, tmp_path: Path
) -> None:
    """The other worker goes on; once the host is back all jobs are done, none paid for twice."""
    url = f"http://{network.address('web')}:8000"
    given = QUICK | {
        "database_url": database.url,
        "public_url": url,
        "secret_keys": "k" * 40,
        "submit_timeout": "5",
        "poll_after": "30",
        "storage_url": f"file://{tmp_path}/videos",
        "allowed_networks": network.network,
    }
    with (
        Clipbell(tmp_path / "web", provider.server.url, **given) as web,
        Clipbell(tmp_path / WORKERS[0], provider.server.url, **given) as first,
        Clipbell(tmp_path / WORKERS[1], provider.server.url, **given) as second,
    ):
        web.url = url
        serving = ("serve", "--host", network.address("web"), "--port", "8000", "--workers", "1")
        web.spawn_fresh("serve", "-m", "service", *serving, on=network.on("web"))
        for worker, name in zip((first, second), WORKERS, strict=True):
            worker.spawn_fresh("worker", "-m", "service", "worker", on=network.on(name))
        eventually(lambda: web.status_of("/readyz") == 200 and alive(web) == 2)
        jobs = submit(web, fresh("before"), 8, "[slow 2]")
        eventually(lambda: sum(len(tasks(provider, prompt)) for prompt in jobs) >= 2)
        network.cut(WORKERS[0])
        eventually(lambda: alive(web) == 1, 60)
        during = submit(web, fresh("during"), 8)
        for job_id in during.values():
            web.await_state(job_id, "succeeded")
        network.join(WORKERS[0])
        eventually(lambda: alive(web) == 2, 60)
        jobs |= during
        for job_id in jobs.values():
            web.await_state(job_id, "succeeded", "unknown", seconds=LEASE_SECONDS)
        unsent = [job_id for prompt, job_id in jobs.items() if not tasks(provider, prompt)]
        for job_id in unsent:
            # Cut off while it was being sent: whether it was is for a person to say.
            assert "unknown" in steps(web, job_id)
            web.run("resolve", job_id, "--resend")
        for job_id in jobs.values():
            web.await_state(job_id, "succeeded", seconds=LEASE_SECONDS)

    assert [1] * len(jobs) == [len(tasks(provider, prompt)) for prompt in jobs]

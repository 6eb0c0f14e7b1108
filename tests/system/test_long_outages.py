"""An hour without the provider, or without its name: patience, no noise, and on it goes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Bench
from sqlalchemy import select, update
from support.raw_servers import LOCAL, closed_port
from support.sandboxes import Wire

from service import store
from service.bootstrap import Wiring
from service.model import Job, JobState, VideoState
from service.ops.health import examine
from service.outbound.client import Outbound
from service.providers import Apixo
from service.store.schema import videos

pytestmark = pytest.mark.postgresql

MINUTE = 60
SENDING = ("submit", "poll", "reconcile", "archive")
Away = Callable[[], None]


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": wire.server.url, "poll_after": 5, "poll_every": 5}


@pytest.fixture(params=["nobody listens", pytest.param("name is gone", marks=pytest.mark.slow)])
def away(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Away]:
    """Takes the provider away; `bench.wiring` as it was is the provider that is back."""
    outbound = Outbound(LOCAL, resolver=_no_resolver)
    host = {"nobody listens": "127.0.0.1", "name is gone": "api.provider.test"}[request.param]
    gone = Apixo(outbound, f"http://{host}:{closed_port()}", "test", 5)

    def take() -> None:
        bench.wiring = replace(bench.wiring, providers={"apixo": gone})

    yield take
    outbound.close()


def _no_resolver(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    if host == "127.0.0.1":
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def live(bench: Bench, minutes: int) -> None:
    """Do what is due, twice a minute."""
    for _ in range(2 * minutes):
        bench.clock.advance(MINUTE / 2)
        bench.drain(*SENDING)


def steps(bench: Bench, job: Job) -> list[str]:
    """The kinds of the job's timeline."""
    with bench.db.read() as tx:
        return [step.kind for step in store.jobs.all_steps(tx, job.id)]


def said(bench: Bench) -> str:
    """What `/readyz` says of the providers."""
    wiring: Wiring = bench.wiring
    found = examine(bench.db, wiring.storage, wiring.providers, bench.clock())
    return next(
        "" if check.ok else check.message for check in found.checks if check.name == "providers"
    )


def created(wire: Wire, *prompts: str) -> list[int]:
    """How many creates there were of each."""
    book = wire.server.renderer.book.all()
    return [[task.values["prompt"] for task in book].count(prompt) for prompt in prompts]


def test_an_hour_without_the_provider(bench: Bench, wire: Wire, away: Away) -> None:
    """Some twenty tries in the hour, nothing ends and nothing is unknown; then all goes out."""
    there, name = bench.wiring, bench.account.id[-12:]
    sent = bench.new_job(f"[lose] sent {name}")
    bench.drain("submit")
    waiting = [bench.new_job(f"waiting {number} {name}") for number in range(3)]
    away()
    live(bench, 60)
    assert (JobState.SUBMITTED, {JobState.QUEUED}) == (
        bench.job(sent).state,
        {bench.job(job).state for job in waiting},
    )
    assert "apixo cannot be asked since 2026-01-01 12:0" in said(bench)
    tries = sum(steps(bench, job).count("postponed") for job in waiting)
    assert 10 <= tries <= 40

    bench.wiring = there
    live(bench, 5)
    for job in waiting:
        wire.ended(bench.job(job).task_id or "")
    live(bench, 5)

    assert {JobState.SUCCEEDED} == {bench.job(job).state for job in (sent, *waiting)}
    assert "" == said(bench)
    assert all("unknown" not in steps(bench, job) for job in (sent, *waiting))
    prompts = [f"sent {name}", *(f"waiting {number} {name}" for number in range(3))]
    assert [1, 1, 1, 1] == created(wire, *prompts)


@pytest.mark.parametrize(
    "absent", ["our own disk", pytest.param("the provider's files", marks=pytest.mark.slow)]
)
def test_an_hour_without_a_place_to_copy(bench: Bench, wire: Wire, absent: str) -> None:
    """A copy waits as long as its link is good: for the provider's files, and for our disk."""
    job = bench.new_job("a copy")
    bench.drain("submit")
    wire.ended(bench.job(job).task_id or "")
    bench.clock.advance(6)
    bench.drain("poll")
    storage = bench.wiring.storage.folder
    if absent == "our own disk":
        storage.parent.mkdir(parents=True, exist_ok=True)
        storage.write_text("nothing can be written below a file")
    else:
        _move_files(bench, "http://127.0.0.1:9")
    live(bench, 60)
    if absent == "our own disk":
        storage.unlink()
    else:
        _move_files(bench, wire.server.url)
    live(bench, 15)

    with bench.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    assert video and video.state is VideoState.STORED


def _move_files(bench: Bench, origin: str) -> None:
    """The provider's link leads there now."""
    with bench.db.write() as tx:
        [url] = tx.execute(select(videos.c.provider_url)).scalars()
        tx.execute(update(videos).values(provider_url=origin + urlsplit(url).path))

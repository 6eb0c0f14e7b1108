"""An hour without the provider, or without its name: patience, no noise, and on it goes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update
from support.harness import Harness
from support.raw_servers import LOCAL, closed_port
from support.reach import access
from support.sandboxes import SandboxClient

from service import store
from service.bootstrap import Wiring
from service.model import Job, JobState, VideoState
from service.ops.health import examine
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from service.store.schema import videos

pytestmark = pytest.mark.postgresql

MINUTE = 60
SENDING = ("submit", "poll", "reconcile", "archive")
Away = Callable[[], None]


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": sandbox.server.url, "poll_after": 5, "poll_every": 5}


@pytest.fixture(params=["nobody listens", pytest.param("name is gone", marks=pytest.mark.slow)])
def away(request: pytest.FixtureRequest, harness: Harness) -> Iterator[Away]:
    """Takes the provider away; `harness.wiring` as it was is the provider that is back."""
    outbound = Outbound(LOCAL, resolver=_no_resolver)
    host = {"nobody listens": "127.0.0.1", "name is gone": "api.provider.test"}[request.param]
    gone = Apixo(access(outbound, f"http://{host}:{closed_port()}", "test"))

    def take() -> None:
        harness.wiring = replace(harness.wiring, providers={"apixo": gone})

    yield take
    outbound.close()


def _no_resolver(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    if host == "127.0.0.1":
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def live(harness: Harness, minutes: int) -> None:
    """Do what is due, twice a minute."""
    for _ in range(2 * minutes):
        harness.clock.advance(MINUTE / 2)
        harness.drain(*SENDING)


def steps(harness: Harness, job: Job) -> list[str]:
    """The kinds of the job's timeline."""
    with harness.db.read() as tx:
        return [step.kind for step in store.steps.of_job(tx, job.id)]


def said(harness: Harness) -> str:
    """What `/readyz` says of the providers."""
    wiring: Wiring = harness.wiring
    found = examine(harness.db, wiring.storage, wiring.providers, harness.clock())
    return next(
        "" if check.ok else check.message for check in found.checks if check.name == "providers"
    )


def created(sandbox: SandboxClient, *prompts: str) -> list[int]:
    """How many creates there were of each."""
    book = sandbox.server.renderer.book.all()
    return [[task.values["prompt"] for task in book].count(prompt) for prompt in prompts]


def test_an_hour_without_the_provider(harness: Harness, sandbox: SandboxClient, away: Away) -> None:
    """Some twenty tries in the hour, nothing ends and nothing is unknown; then all goes out."""
    there, name = harness.wiring, harness.account.id[-12:]
    sent = harness.new_job(f"[lose] sent {name}")
    harness.drain("submit")
    waiting = [harness.new_job(f"waiting {number} {name}") for number in range(3)]
    away()
    live(harness, 60)
    assert (JobState.SUBMITTED, {JobState.QUEUED}) == (
        harness.job(sent).state,
        {harness.job(job).state for job in waiting},
    )
    assert "apixo is unreachable since 2026-01-01 12:0" in said(harness)
    tries = sum(steps(harness, job).count("postponed") for job in waiting)
    assert 10 <= tries <= 40

    harness.wiring = there
    live(harness, 5)
    for job in waiting:
        sandbox.ended(harness.job(job).task_id or "")
    live(harness, 5)

    assert {JobState.SUCCEEDED} == {harness.job(job).state for job in (sent, *waiting)}
    assert "" == said(harness)
    assert all("unknown" not in steps(harness, job) for job in (sent, *waiting))
    prompts = [f"sent {name}", *(f"waiting {number} {name}" for number in range(3))]
    assert [1, 1, 1, 1] == created(sandbox, *prompts)


@pytest.mark.parametrize(
    "absent", ["our own disk", pytest.param("the provider's files", marks=pytest.mark.slow)]
)
def test_an_hour_without_a_place_to_copy(
    harness: Harness, sandbox: SandboxClient, absent: str
) -> None:
    """A copy waits as long as its link is good: for the provider's files, and for our disk."""
    job = harness.new_job("a copy")
    harness.drain("submit")
    sandbox.ended(harness.job(job).task_id or "")
    harness.clock.advance(6)
    harness.drain("poll")
    storage = harness.wiring.storage.folder
    if absent == "our own disk":
        storage.parent.mkdir(parents=True, exist_ok=True)
        storage.write_text("nothing can be written below a file")
    else:
        _move_files(harness, "http://127.0.0.1:9")
    live(harness, 60)
    if absent == "our own disk":
        storage.unlink()
    else:
        _move_files(harness, sandbox.server.url)
    live(harness, 15)

    with harness.db.read() as tx:
        video = store.videos.of_job(tx, job.id)
    assert video and video.state is VideoState.STORED


def _move_files(harness: Harness, origin: str) -> None:
    """The provider's link leads there now."""
    with harness.db.write() as tx:
        [url] = tx.execute(select(videos.c.provider_url)).scalars()
        tx.execute(update(videos).values(provider_url=origin + urlsplit(url).path))

"""
A real restore: the database goes back to a backup, while the provider has gone on.

The backup is made under a running service; then jobs are sent, paid and end,
everything dies, and the backup takes the database's place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import backups
from support.backups import Keeper, PostgresKeeper, SqliteKeeper
from support.requirements import need
from support.sandboxes import SandboxClient, start_sandbox
from support.servers import Clipbell, http_call

from service.sandbox.vendors.apixo import callback_bodies
from service.sandbox.vendors.fault_orders import FaultOrders
from service.sandbox.vendors.tasks import Task

pytestmark = pytest.mark.postgresql


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[SandboxClient]:
    """A vendor that remembers all it was ever asked for."""
    with start_sandbox(tmp_path / "provider", credits=1e6) as server:
        yield SandboxClient(server)


@pytest.fixture
def keeper(database: str, tmp_path: Path) -> Iterator[Keeper]:
    """A database of its own, with its own way of backing up."""
    if database == "sqlite":
        yield SqliteKeeper(tmp_path)
        return
    need(backups.missing())
    made = PostgresKeeper(tmp_path)
    yield made
    made.drop()


@dataclass
class Life:
    """A service with its provider; `jobs` are the ids by prompt."""

    clipbell: Clipbell
    provider: SandboxClient
    jobs: dict[str, str] = field(default_factory=dict)

    def ask(self, prompt: str, orders: str = "") -> str:
        """One more job; the orders are the provider's."""
        self.jobs[prompt] = self.clipbell.submit(f"{orders} {prompt}")["id"]
        return self.jobs[prompt]

    def states(self) -> dict[str, str]:
        """Where each job is."""
        return {prompt: self.clipbell.job(job)["state"] for prompt, job in self.jobs.items()}

    def resume(self) -> None:
        """Go on sending."""
        assert 200 == self.clipbell.call("POST", "/v1/providers/apixo/resume").status

    def await_state(self, prompt: str, state: str) -> None:
        """Until the job is there."""
        self.clipbell.await_state(self.jobs[prompt], state)

    def tasks(self, prompt: str) -> list[Task]:
        """What the provider has of it: each is a create, and paid."""
        book = self.provider.server.renderer.book.all()
        return [task for task in book if task.values["prompt"] == prompt]

    def paid(self) -> dict[str, int]:
        """How many creates there were of each."""
        return {prompt: len(self.tasks(prompt)) for prompt in self.jobs}

    def call_back(self, prompt: str) -> int:
        """The provider brings the callback of the job's only task; the answer's status."""
        [task] = self.tasks(prompt)
        over = self.provider.ended(task.id)
        return http_call("POST", str(over.callback_url), callback_bodies(over)[0]).status


@pytest.fixture
def life(provider: SandboxClient, keeper: Keeper, tmp_path: Path) -> Iterator[Life]:
    """Everything runs."""
    with Clipbell(
        tmp_path,
        provider.server.url,
        database_url=keeper.url,
        submit_timeout="2",
        poll_after="120",
        retry_schedule="0,1,1,1",
        archive_wait="0",
    ) as clipbell:
        yield Life(clipbell.start(), provider)


def before_the_backup(life: Life) -> None:
    """A job in each state."""
    life.ask("done")
    life.ask("asked", "[lose]")
    life.ask("unknown", "[hang] [lose]")
    life.await_state("done", "succeeded")
    life.await_state("asked", "submitted")
    life.await_state("unknown", "unknown")
    # The credits are out once: that holds the job, and its provider.
    life.provider.server.renderer.book.order(FaultOrders({"refuse": "402"}))
    life.ask("held", "[lose]")
    life.await_state("held", "held")
    life.ask("queued", "[lose]")
    life.ask("ended")


def after_the_backup(life: Life) -> None:
    """What waited is sent and paid, some of it ends, and one more is asked for."""
    life.resume()
    for prompt in ("held", "queued"):
        life.await_state(prompt, "submitted")
    life.await_state("ended", "succeeded")
    life.ask("forgotten", "[lose]")
    life.await_state("forgotten", "submitted")
    life.clipbell.call("POST", f"/v1/jobs/{life.jobs['unknown']}/resolve", {"fail": True})
    life.await_state("unknown", "failed")


def restored(life: Life, keeper: Keeper) -> dict[str, int]:
    """The world moves on, dies, and the backup is back; what had been paid until then."""
    before_the_backup(life)
    keeper.backup(life.clipbell)
    after_the_backup(life)
    life.clipbell.kill("worker")
    life.clipbell.kill("serve")
    keeper.restore(life.clipbell)
    del life.jobs["forgotten"]
    return life.paid()


def recover(life: Life, keeper: Keeper) -> dict[str, int]:
    """Refused so soon after the worker's last beat; half a minute later it is done."""
    keeper.execute("UPDATE workers SET seen_at = CURRENT_TIMESTAMP")
    refused = life.clipbell.run("recover-from-backup", code=1)
    assert "a worker was alive" in refused.stderr
    assert "stop every worker, and try again 30 s after that" in refused.stderr
    keeper.execute("UPDATE workers SET seen_at = '2026-01-01 00:00:00.000000+00:00'")
    found: dict[str, int] = json.loads(life.clipbell.run("recover-from-backup", "--json").stdout)
    return found


def test_restore(life: Life, keeper: Keeper) -> None:
    """
    Nothing of before is sent again: who has a task is asked about, the others are unknown.

    A callback that comes adopts its job, and a person may send one again: once.
    """
    paid = restored(life, keeper)
    assert {"asked": 1, "waiting": 3, "damaged": 0} == recover(life, keeper)
    life.clipbell.start()
    life.resume()
    # Whatever else was queued would have gone out before it.
    life.ask("new")
    for prompt in ("new", "asked"):
        life.await_state(prompt, "succeeded")

    unknown = dict.fromkeys(("unknown", "held", "queued", "ended"), "unknown")
    ended = dict.fromkeys(("done", "asked", "new"), "succeeded")
    assert unknown | ended == life.states()
    assert paid | {"new": 1} == life.paid() == dict.fromkeys(life.jobs, 1)
    _end_them(life)
    assert paid | {"new": 1, "held": 2} == life.paid()


def _end_them(life: Life) -> None:
    """Callbacks for three that are unknown; one is sent once more by hand."""
    adopted = ("unknown", "queued", "ended")
    assert [200] * 3 == [life.call_back(prompt) for prompt in adopted]
    first = life.tasks("held")[0].id
    life.clipbell.run("resolve", life.jobs["held"], "--resend")
    life.await_state("held", "submitted")
    for prompt in adopted:
        life.await_state(prompt, "succeeded")
        [task] = life.tasks(prompt)
        assert task.id == life.clipbell.job(life.jobs[prompt])["task_id"]

    assert first != life.clipbell.job(life.jobs["held"])["task_id"]

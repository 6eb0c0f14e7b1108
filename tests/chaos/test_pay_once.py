"""One create per job at every vendor, whatever becomes of the answers; the seed is fixed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.harness import Harness
from support.sandboxes import SandboxClient

from chaos.bills import PROMISED_SECONDS, ends_of_unknown, fates, report, wrong
from chaos.pay_once import PayOncePlan, pay_once_run
from service import store
from service.catalogue.models import VENDORS
from service.model import Job, JobState

JOBS = 8
#: A good answer, none, an error after the task was made, an error before it.
FAULTS = ("", "[drop]", "[answer 502]", "[answer 500]", "[refuse 502]", "[refuse 500]")


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Every vendor is the sandbox."""
    given: dict[str, Any] = {"submit_timeout": 1.5, "videos_models": "own"}
    for name in VENDORS:
        given |= {f"{name}_base_url": sandbox.server.url, f"{name}_api_key": "k"}
    return given


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_one_create_per_job(
    vendor: str,
    harness: Harness,
    sandbox: SandboxClient,
    record_property: Callable[[str, object], None],
) -> None:
    """
    No job has two tasks; where the vendor can be asked, a lost answer loses no task.

    Each is found within the promised time.
    """
    chance = random.Random(18)
    model = VENDORS[vendor].models[0].slug
    made = {}
    for number in range(JOBS):
        prompt = f"{harness.account.id} {number}"
        orders = chance.choice(FAULTS)
        given = {"prompt": f"{orders} {prompt}", "duration": 5}
        made[prompt] = harness.new_job(model=model, provider=vendor, input=given)
    for _ in range(120):
        harness.clock.advance(5)
        harness.drain("submit", "reconcile")
    tasks = [task for task in sandbox.server.renderer.book.all() if task.values["prompt"] in made]
    creates = [sum(task.values["prompt"] == prompt for task in tasks) for prompt in made]
    states = [harness.job(job).state for job in made.values()]

    assert max(creates) <= 1
    if VENDORS[vendor].lookup:
        found = [s for s, count in zip(states, creates, strict=True) if count]
        assert {JobState.SUBMITTED} >= set(found)
        waits = [seconds for job in made.values() for _, seconds in resolutions(harness, job)]
        record_property("seconds until resolved", waits)
        assert PROMISED_SECONDS >= max(waits)


def resolutions(harness: Harness, job: Job) -> tuple[tuple[str, float], ...]:
    """How each `unknown` of a job has ended, and after how many seconds."""
    with harness.db.read() as tx:
        return ends_of_unknown(store.steps.of_job(tx, job.id), None)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_bill_per_job_with_deaths(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Answers lost on the wire, web and worker killed: one create per job, nothing paid is lost."""
    with pay_once_run(PayOncePlan(jobs=90, kills=2), tmp_path) as run:
        run.fight()
        run.calm()
        found = fates(run)
        record_property("table", report(run, found))

        assert [] == wrong(run, found)
        # The run has had what it is to be a trial of.
        assert 2 == sum(run.kills.values())
        assert any(who == "lookup" for fate in found for who, _ in fate.ends)

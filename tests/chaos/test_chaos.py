"""Chaos: web, worker and database killed over and over while jobs are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.brokers import BROKERS, missing, start_broker
from support.requirements import need

from chaos import cluster
from chaos.evidence import Evidence, gather, lost_events, surplus_creates, unended_jobs
from chaos.figures import faults, figures, table
from chaos.run import ChaosRun, Plan, chaos_run

SHORT = Plan(jobs=10, kills=3, still_seconds=2.0)
LONG = Plan()
CELERY = Plan(jobs=20, kills=6, still_seconds=3.0)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(SHORT, id="short"),
        # Over twenty deaths, each followed by a start, take minutes.
        pytest.param(LONG, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_chaos(
    plan: Plan, database: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """
    Whoever is killed and whenever: nothing is lost, nothing is paid twice, every link plays.

    What stays `unknown` has its reason, and a person can end it.
    """
    need(cluster.missing() if database == "postgresql" else "")
    with chaos_run(replace(plan, database=database), tmp_path) as run:
        secrets = run.start()
        run.fight()
        run.calm()
        found = gather(run)
        record_property("figures", table(figures(run, found)))

        assert run.plan.kills == sum(run.kills.values())
        assert [] == faults(run, found, secrets)
        _end_by_hand(run, found)
        after = gather(run)
        assert [] == [*unended_jobs(after), *lost_events(after), *surplus_creates(after)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.postgresql(only=True)
@pytest.mark.parametrize("kind", BROKERS)
def test_chaos_on_celery(
    kind: str, database: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same promises hold on the distributed engine, whose broker goes now and then, too."""
    need(missing(kind) or cluster.missing())
    with start_broker(kind) as broker:
        plan = replace(CELERY, database=database, broker=broker.url)
        with chaos_run(plan, tmp_path) as run:
            secrets = run.start()
            run.fight()
            run.calm()
            found = gather(run)
            record_property("figures", table(figures(run, found)))

            assert plan.kills == sum(run.kills.values())
            assert [] == faults(run, found, secrets)


def _end_by_hand(run: ChaosRun, found: Evidence) -> None:
    """A person ends what is unknown: names its task, sends it again, or gives it up."""
    unknown = [job.id for job in found.jobs.values() if job.state == "unknown"]
    nowhere = [job_id for job_id in unknown if not found.tasks[job_id]]
    first, task = run.jobs[0], found.tasks[run.jobs[0]][0]
    run.clipbell.run("resolve", first, "--task", task.id)
    for job_id, how in zip(nowhere, ("--resend", "--fail"), strict=False):
        run.clipbell.run("resolve", job_id, how)
    run.calm()

    assert first in unknown
    ends = {"success": "succeeded", "failed": "failed"}
    assert ends[task.state] == run.clipbell.job(first)["state"]

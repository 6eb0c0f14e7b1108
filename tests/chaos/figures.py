"""A run of chaos in figures."""

from __future__ import annotations

import time
from collections import Counter

from chaos.evidence import (
    Evidence,
    broken_links,
    lost_callbacks,
    lost_events,
    lost_jobs,
    missing_creates,
    strange_calls,
    surplus_creates,
    undelivered,
    unended_jobs,
)
from chaos.run import ChaosRun


def faults(run: ChaosRun, found: Evidence, secrets: dict[str, str]) -> list[str]:
    """Everything that is wrong with a run; nothing, where all promises held."""
    return [
        *lost_jobs(run, found),
        *unended_jobs(found),
        *lost_events(found),
        *surplus_creates(found),
        *missing_creates(run, found),
        *lost_callbacks(found),
        *undelivered(found),
        *strange_calls(found, secrets),
        *broken_links(run, found),
    ]


def figures(run: ChaosRun, found: Evidence) -> dict[str, object]:
    """What happened, and what should read 0."""
    tasks = [task for made in found.tasks.values() for task in made]
    taken = Counter((c.path, c.event_id) for c in found.calls if c.status == 200)
    attempts = [attempt for task in tasks for attempt in task.attempts]
    states = Counter(job.state.value for job in found.jobs.values())
    broker = run.plan.broker.partition(":")[0]
    return {
        "database": run.plan.database,
        "engine": f"celery on {broker}" if broker else "threads",
        "seed": run.plan.seed,
        "jobs": len(found.jobs),
        "kills": f"{sum(run.kills.values())} ({_listed(run.kills)})",
        "processes that ended by themselves": run.counts["ended by itself"],
        "requests sent again": run.counts["asked again"],
        "callbacks lost": sum(task.fault_orders.has("lose") for task in tasks),
        "callbacks doubled": sum(task.fault_orders.has("repeat") for task in tasks),
        "callbacks not taken at once": sum(attempt.status != 200 for attempt in attempts),
        "hook calls": len(found.calls),
        "hook calls answered 503": sum(call.status == 503 for call in found.calls),
        "outcomes": _listed(dict(states)),
        "events": sum(map(len, found.events.values())),
        "deliveries": len(taken),
        "repeats": sum(taken.values()) - len(taken),
        "lost callbacks": len(lost_callbacks(found)),
        "lost events": len(lost_events(found)) + len(undelivered(found)),
        "creates beyond one per job": len(tasks)
        - len([made for made in found.tasks.values() if made]),
        "deadlocks logged": sum(
            run.clipbell.log(v).count("deadlock detected\\nDETAIL") for v in ("worker", "serve")
        ),
        "seconds": round(time.monotonic() - run.began),
    }


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def table(rows: dict[str, object]) -> str:
    """The figures, one a line."""
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())

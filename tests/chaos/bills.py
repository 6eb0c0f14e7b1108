"""What a run of `pay_once` has cost at each vendor, and everything that is wrong with it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles
from typing import Any

from sqlalchemy import select

from chaos.pay_once import PayOnceRun
from chaos.vendor_faults import SILENT
from service.catalogue.models import VENDORS
from service.sandbox.vendors.tasks import Task
from service.store.schema import callbacks, jobs, steps

#: An `unknown` job is to resolve itself within this, in 95 of 100 cases.
PROMISED_SECONDS = 60.0
#: Steps that end an `unknown`, with who did it.
ENDS = {"found": "lookup", "adopted": "callback", "submitted": "answer"}
COLUMNS = {
    "jobs": "jobs",
    "creates": "creates",
    "bills": "bills",
    "silent": "lost answers",
    "unknown": "unknown",
    "lookup": "by lookup",
    "callback": "by callback",
    "answer": "by a late answer",
    "left": "left for a person",
    "given up": "given up at the deadline",
    "p95": "p95 seconds",
}


@dataclass(frozen=True)
class Fate:
    """One job: its row, its tasks at the vendor, and how each `unknown` of it has ended."""

    number: int
    vendor: str
    row: Any
    tasks: list[Task]
    ends: tuple[tuple[str, float], ...]


def fates(run: PayOnceRun) -> list[Fate]:
    """Every job of a run that is calm."""
    made = run.tasks()
    with run.database.read() as tx:
        rows = {row.id: row for row in tx.execute(select(jobs))}
        heard = tx.execute(select(callbacks).order_by(callbacks.c.received_at.desc()))
        taken = {row.job_id: row.received_at for row in heard}
        timeline = defaultdict(list)
        for step in tx.execute(select(steps).order_by(steps.c.job_id, steps.c.number)):
            timeline[step.job_id].append(step)
    return [
        Fate(
            n,
            run.plan.vendor(n),
            rows[id_],
            made.get(n, []),
            ends_of_unknown(timeline[id_], taken.get(id_)),
        )
        for n, id_ in sorted(run.jobs.items())
        if id_ in rows
    ]


def ends_of_unknown(timeline: list[Any], heard: datetime | None) -> tuple[tuple[str, float], ...]:
    """
    How each `unknown` ended, and after how many seconds.

    Where a callback ended it, from the moment that it came: how long a film takes is the
    vendor's matter.
    """
    ends, since, resent = [], None, False
    for step in timeline:
        if step.kind == "unknown":
            since = since or step.created_at
        resent = resent or step.kind == "resent"
        if since and step.kind in ENDS:
            who = "lookup" if resent else ENDS[step.kind]
            begun = max(since, heard) if heard and who == "callback" else since
            ends.append((who, (step.created_at - begun).total_seconds()))
            since, resent = None, False
    return tuple(ends)


def wrong(run: PayOnceRun, found: list[Fate]) -> list[str]:
    """Every way in which something was paid twice or lost, in a sentence; none is well."""
    return [
        *_lost_jobs(run, found),
        *(f for fate in found for f in _faults(run, fate)),
        *_slow(found),
    ]


def _lost_jobs(run: PayOnceRun, found: list[Fate]) -> Iterator[str]:
    if len(found) != run.plan.jobs:
        yield f"{run.plan.jobs} jobs were asked for, {len(found)} are there"


def _faults(run: PayOnceRun, fate: Fate) -> Iterator[str]:
    who = f"job {fate.number} at {fate.vendor} ({fate.row.id})"
    vendor = VENDORS[fate.vendor]
    paid = [task for task in fate.tasks if task.over]
    if len(fate.tasks) > 1:
        yield f"{who} was created {len(fate.tasks)} times"
    if vendor.refuses_duplicates and len(fate.tasks) != 1:
        yield f"{who} was created {len(fate.tasks)} times, not once"
    if fate.row.state == "succeeded" and fate.row.task_id not in [task.id for task in paid]:
        yield f"{who} shows task {fate.row.task_id}, which is not its own"
    answerable = run.can_be_answered(fate.number, fate.tasks)
    if fate.row.state != "succeeded" and paid and answerable:
        yield f"{who} is {fate.row.state}, and its paid result is lost"
    if fate.row.state not in ("succeeded", "unknown", "failed"):
        yield f"{who} is still {fate.row.state}"
    if fate.row.state == "failed" and fate.row.resolved_by != "deadline":
        yield f"{who} failed: {fate.row.error}"


def _slow(found: list[Fate]) -> Iterator[str]:
    p95 = _p95([seconds for fate in found for _, seconds in fate.ends])
    if p95 > PROMISED_SECONDS:
        yield f"unknown jobs resolved themselves in {p95:.1f} s (p95), not {PROMISED_SECONDS:.0f}"


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1] if len(seconds) > 1 else sum(seconds)


def bills(run: PayOnceRun, found: list[Fate]) -> dict[str, dict[str, Any]]:
    """The figures of each vendor, and of all."""
    rows = {name: _figures(run, [f for f in found if f.vendor == name]) for name in VENDORS}
    return rows | {"all": _figures(run, found)}


def _figures(run: PayOnceRun, found: list[Fate]) -> dict[str, Any]:
    tasks = [task for fate in found for task in fate.tasks]
    ends = Counter(who for fate in found for who, _ in fate.ends)
    states = Counter(fate.row.state.value for fate in found)
    faults = [fault for fate in found for fault in run.faults.creates.get(fate.number, ())]
    return {
        "jobs": len(found),
        "creates": len(tasks),
        "bills": sum(task.cost > 0 for task in tasks),
        "silent": sum(fault in SILENT for fault in faults),
        "unknown": states["unknown"] + states["failed"] + sum(bool(fate.ends) for fate in found),
        **{who: ends[who] for who in ("lookup", "callback", "answer")},
        "left": states["unknown"],
        "given up": states["failed"],
        "p95": round(_p95([seconds for fate in found for _, seconds in fate.ends]), 1),
    }


def report(run: PayOnceRun, found: list[Fate]) -> str:
    """The table, and what happened to the creates."""
    faults = Counter(
        fault or "answered" for tries in run.faults.creates.values() for fault in tries
    )
    shown = [f"{name} {count:,}" for name, count in faults.most_common()]
    ends = [end for fate in found for end in fate.ends]
    times = [f"{who} {_p95([s for w, s in ends if w == who]):.1f} s" for who in sorted(dict(ends))]
    return "\n".join(
        [
            markdown(bills(run, found)),
            f"creates: {', '.join(shown)}",
            f"killed: worker {run.kills['worker']}, web {run.kills['serve']}",
            f"unknown jobs resolved themselves, p95: {', '.join(times)}",
            f"seconds: {time.monotonic() - run.began:.0f}; seed {run.plan.seed}",
        ]
    )


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    """The figures as a table."""
    lines = [f"| vendor | {' | '.join(COLUMNS.values())} |", f"|---|{'--:|' * len(COLUMNS)}"]
    for name, row in rows.items():
        shown = [f"{row[column]:,}" for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)

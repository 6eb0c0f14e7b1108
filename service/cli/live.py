"""Jobs as they are now, for verbs that look again and again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from service import store
from service.cli.ask import Request, call
from service.cli.here import Here, acting_account, jobs_json, open_here, own_job
from service.formatting import format_count
from service.model import Job, JobState, utc_now
from service.model.job_json import JobJson
from service.ops.health import provider_trouble, worker_trouble
from service.settings import remote_service
from service.store.work import MOST_COUNTED

#: States that a job leaves by itself.
MOVING = (JobState.QUEUED, JobState.SUBMITTING, JobState.SUBMITTED)

#: How often another machine is asked before a verb that follows a job gives up.
TRIES = 5


@dataclass(frozen=True)
class Snapshot:
    """The jobs at one moment, newest first; `troubles` by provider, `counts` by state."""

    jobs: list[JobJson]
    troubles: dict[str, str]
    counts: dict[str, int]
    now: datetime

    def trouble(self, job: JobJson) -> str:
        """What keeps the job's vendor or all jobs waiting; blank for nothing."""
        return self.troubles.get(job["provider"], "")

    def moving(self) -> int:
        """The number of jobs that go on by themselves."""
        return sum(self.counts.get(state, 0) for state in MOVING)

    def counted(self) -> str:
        """How many jobs are in each state, in words."""
        counts = sorted(self.counts.items())
        return ", ".join(f"{format_count(count, MOST_COUNTED)} {state}" for state, count in counts)


class Live:
    """The service, opened once: this machine's, or another one's API."""

    def __init__(self) -> None:
        self._there = remote_service()

    def one(self, job_id: str) -> Snapshot:
        """One job."""
        if self._there:
            request = Request("GET", "/v1/jobs/{}", job_id, tries=TRIES)
            return _elsewhere([call(self._there, request)])
        return self._as_here(lambda tx: [own_job(tx, job_id)])

    def newest(self, limit: int) -> Snapshot:
        """The account's newest jobs."""
        if self._there:
            request = Request("GET", "/v1/jobs", limit=limit, tries=TRIES)
            return _elsewhere(call(self._there, request))
        return self._as_here(lambda tx: store.job_lists.page(tx, acting_account(tx).id, limit))

    def snapshots(self, limit: int, every: float, *, until_idle: bool) -> Iterator[Snapshot]:
        """The newest jobs, looked at each `every` seconds; the last snapshot shows the end."""
        while True:
            snapshot = self.newest(limit)
            yield snapshot
            if until_idle and not snapshot.moving():
                return
            time.sleep(every)

    @cached_property
    def _here(self) -> Here:
        return open_here()

    def _as_here(self, find: Callable[[Connection], Sequence[Job]]) -> Snapshot:
        with self._here.db.read() as tx:
            jobs, now = find(tx), utc_now()
            counts = store.job_lists.counts(tx, acting_account(tx).id)
            idle = worker_trouble(tx, now)
            vendors = {job.provider for job in jobs}
            troubles = {name: idle or provider_trouble(tx, [name], now) for name in vendors}
        return Snapshot(jobs_json(self._here, jobs), troubles, counts, now)


def _elsewhere(jobs: list[JobJson]) -> Snapshot:
    """What the API says; it does not count jobs, and only operators hear of trouble."""
    return Snapshot(jobs, {}, Counter(str(job["state"]) for job in jobs), utc_now())

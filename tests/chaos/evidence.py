"""What is left after a run of chaos, and every way in which it could be wrong."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Table, select

from chaos.requested_jobs import number_of
from chaos.run import SECRET, ChaosRun
from chaos.sink import Call
from service.model import DEFAULT_EVENTS, TERMINAL, TERMINAL_EVENTS, JobState, utc_now
from service.sandbox.vendors.tasks import Task
from service.signing import UrlSigner
from service.store.schema import callbacks, deliveries, events, jobs, steps, subscriptions

Row = Any
#: Which event tells of which end.
TELLS = {"succeeded": "job.succeeded", "failed": "job.failed", "canceled": "job.canceled"}


@dataclass(frozen=True)
class Evidence:
    """Rows of the database, tasks of the provider, calls of the subscriber, jobs of the API."""

    jobs: dict[str, Row]
    steps: dict[str, list[Row]]
    events: dict[str, list[Row]]
    callbacks: dict[str, list[Row]]
    deliveries: list[Row]
    subscriptions: dict[str, Row]
    tasks: dict[str, list[Task]]
    calls: list[Call]
    shown: dict[str, dict[str, Any]]

    def wanted(self) -> Iterator[tuple[Row, Row]]:
        """Each event with each subscription that has to hear of it."""
        own = [s for s in self.subscriptions.values() if not s.hidden]
        for job in self.jobs.values():
            named = None if job.notify is None else [self.subscriptions[i] for i in job.notify]
            for event in self.events[job.id]:
                for subscription in own if named is None else named:
                    if event.type in (subscription.events or DEFAULT_EVENTS):
                        yield event, subscription


def gather(run: ChaosRun) -> Evidence:
    """Everything there is to know about a run that is calm."""
    database = run.database
    with database.read() as tx:

        def rows(table: Table) -> list[Row]:
            return list(tx.execute(select(table)).all())

        report = _by_job(sorted(rows(events), key=lambda event: event.sequence))
        heard, taken = _by_job(rows(callbacks)), _by_job(rows(steps))
        found = {job.id: job for job in rows(jobs)}
        sent, specs = rows(deliveries), {row.id: row for row in rows(subscriptions)}
    database.close()
    tasks = defaultdict(list)
    for task in run.provider.renderer.book.all():
        tasks[run.jobs[number_of(task.values["prompt"])]].append(task)
    shown = {job["id"]: job for job in _all_jobs(run)}
    return Evidence(found, taken, report, heard, sent, specs, tasks, list(run.sink.calls), shown)


def _by_job(rows: list[Row]) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in rows:
        found[row.job_id].append(row)
    return found


def _all_jobs(run: ChaosRun) -> Iterator[dict[str, Any]]:
    path: str | None = "/v1/jobs?limit=100"
    while path:
        page = run.clipbell.call("GET", path).json()
        yield from page["data"]
        cursor = page["next_cursor"]
        path = f"/v1/jobs?limit=100&cursor={cursor}" if cursor else None


def path_of(subscription: Row) -> str:
    """Where the sink hears of it."""
    return "/own" if subscription.hidden else "/account"


def lost_jobs(run: ChaosRun, found: Evidence) -> list[str]:
    """Every requested job is one job, the one that was answered, and there is no other."""
    asked = Counter(number_of(job.input["prompt"]) for job in found.jobs.values())
    wrong = [
        f"request {number} is {asked[number]} jobs"
        for number in run.requested
        if asked[number] != 1
    ]
    return wrong + [
        f"{i} was answered, but is no job" for i in set(run.jobs.values()) - set(found.jobs)
    ]


def unended_jobs(found: Evidence) -> list[str]:
    """Every job is terminal, or unknown with its reason."""
    ended = {*TERMINAL, JobState.UNKNOWN}
    wrong = [f"{job.id} is {job.state}" for job in found.jobs.values() if job.state not in ended]
    unexplained = [
        f"{job.id} is {job.state} without a reason"
        for job in found.jobs.values()
        if job.state in ("unknown", "failed") and not (job.error or {}).get("code")
    ]
    return wrong + unexplained


def lost_events(found: Evidence) -> list[str]:
    """One terminal event for each terminal job, and no hole in any sequence."""
    wrong = []
    for job in found.jobs.values():
        report = [event.type for event in found.events[job.id] if event.type in TERMINAL_EVENTS]
        expected = [TELLS[job.state]] if job.state in TERMINAL else []
        if expected != report:
            wrong.append(f"{job.id} is {job.state} and reported {report}")
        # One that became so a moment ago is looked at again when its video should be there.
        reported = "job.unknown" in _types(found, job) or job.due_at is not None
        if job.state is JobState.UNKNOWN and not reported:
            wrong.append(f"{job.id} is unknown and notifies nobody")
        numbers = [event.sequence for event in found.events[job.id]]
        if list(range(1, len(numbers) + 1)) != numbers:
            wrong.append(f"{job.id} has the sequence {numbers}")
    return wrong


def _types(found: Evidence, job: Row) -> set[str]:
    return {event.type.value for event in found.events[job.id]}


def surplus_creates(found: Evidence) -> list[str]:
    """How the provider was asked more than once for a job."""
    return [f"{i}: {len(tasks)} creates" for i, tasks in found.tasks.items() if len(tasks) > 1]


def missing_creates(run: ChaosRun, found: Evidence) -> list[str]:
    """A job that ended at the provider was made there, with a callback URL of its own."""
    signer = UrlSigner([SECRET], "callback", f"{run.clipbell.url}/callbacks")
    wrong = [
        f"{job.id} is {job.state}, but the provider never heard of it"
        for job in found.jobs.values()
        if job.state in TERMINAL and not found.tasks[job.id] and not _given_up(job)
    ]
    for job_id, tasks in found.tasks.items():
        for task in tasks:
            token = urlsplit(task.callback_url or "").path.rpartition("/")[2]
            said = signer.verify(token, utc_now()) if token else {}
            if token and (said["job"], said["provider"]) != (job_id, task.model.provider):
                wrong.append(f"{job_id} went out with another job's callback URL")
    return wrong


def _given_up(job: Row) -> bool:
    return bool(job.error) and job.error["code"] == "OPERATOR"


def lost_callbacks(found: Evidence) -> list[str]:
    """Every callback that was answered 200 is on disk."""
    wrong = []
    for job_id, tasks in found.tasks.items():
        answered = sum(a.status == 200 for task in tasks for a in task.attempts)
        kept = sum(1 + row.repeats for row in found.callbacks[job_id])
        if kept < answered:
            wrong.append(f"{job_id}: {answered} callbacks answered 200, {kept} kept")
    return wrong


def undelivered(found: Evidence) -> list[str]:
    """Events that somebody wanted and the sink never took."""
    took = {(call.event_id, call.path) for call in found.calls if call.status == 200}
    wanted = list(found.wanted())
    wrong = [
        f"{event.job_id} {event.type} ({event.id}) never came to {path_of(subscription)}"
        for event, subscription in wanted
        if (event.id, path_of(subscription)) not in took
    ]
    pairs = {(event.id, subscription.id) for event, subscription in wanted}
    made = {(row.event_id, row.subscription_id): row.state for row in found.deliveries}
    wrong += [f"nobody wanted the delivery of {pair}" for pair in made.keys() - pairs]
    return wrong + [f"{pair} is {state}" for pair, state in made.items() if state != "delivered"]


def strange_calls(found: Evidence, secrets: dict[str, str]) -> list[str]:
    """Calls badly signed, of no event of ours, or the same event under another id or body."""
    known = {event.id: event for report in found.events.values() for event in report}
    wrong: list[str] = []
    bodies: dict[tuple[str, str], bytes] = {}
    for call in found.calls:
        event, said = known.get(call.event_id), call.json()
        if not call.signed_by(secrets[call.path]):
            wrong.append(f"{call.event_id}: its signature is not ours")
        if event is None or (event.type, event.job_id) != (said["type"], said["data"]["id"]):
            wrong.append(f"{call.event_id}: it is no event of ours, or another one")
        if bodies.setdefault((call.path, call.event_id), call.body) != call.body:
            wrong.append(f"{call.event_id}: it came again with another body")
    report: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for call in found.calls:
        said = call.json()
        report[said["data"]["id"], said["type"], said["sequence"]].add(call.event_id)
    return wrong + [f"{what} came under {ids}" for what, ids in report.items() if len(ids) > 1]


def broken_links(run: ChaosRun, found: Evidence) -> list[str]:
    """Every succeeded job's link plays the provider's bytes, whole, with the API's digest."""
    wrong = []
    for job in found.jobs.values():
        if job.state is not JobState.SUCCEEDED:
            continue
        video = found.shown[job.id]["video"]
        played = run.clipbell.call("GET", video["url"])
        folder: Path = run.provider.renderer.options.folder
        made = (folder / found.tasks[job.id][0].file_name).read_bytes()
        if (200, video["sha256"]) != (played.status, hashlib.sha256(played.body).hexdigest()):
            wrong.append(f"{job.id} plays {played.status} and {len(played.body)} bytes")
        elif made != played.body:
            wrong.append(f"{job.id} plays other bytes than its provider's")
    return wrong

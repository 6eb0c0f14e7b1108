"""Jobs: the rows to which all others refer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.sql.dml import Update

from service.model import CONCLUDED, OPEN, TERMINAL, Job, JobState, first_id
from service.slots import ANYWHERE, Slot
from service.store.kept_rows import note_kept
from service.store.schema import jobs, providers
from service.store.statements import row_where
from service.store.work import (
    NOW,
    UNSENT,
    Claim,
    Turns,
    add,
    call_for,
    readable,
    settle,
    value,
    values,
)

#: States of jobs that may have a task to poll; a restored job may be unknown with a task.
ASKABLE = (JobState.SUBMITTED, JobState.UNKNOWN)
#: The cost or the highest estimate of a job in dollars, if it counts as spent or reserved.
COST = func.coalesce(jobs.c.actual_cost, jobs.c.estimated_max, 0.0)
PAID = jobs.c.state.not_in([JobState.QUEUED, JobState.HELD, JobState.CANCELED]) & (
    (jobs.c.state != JobState.FAILED)
    | jobs.c.actual_cost.is_not(None)
    # A job that was given up was not refused: the provider may have charged for it.
    | func.coalesce(jobs.c.resolved_by, "").in_(["operator", "deadline"])
)


#: Built once, since building them takes longer than running them.
_LOCK_IF_FREE = (
    select(jobs)
    .where(jobs.c.id == bindparam("id"))
    .with_for_update(key_share=True, skip_locked=True)
)
_COUNT_OPEN = select(func.count()).where(
    jobs.c.provider == bindparam("name"), jobs.c.state.in_(sorted(OPEN))
)
_HOLDER = select(jobs.c.id).where(
    jobs.c.provider == bindparam("of_provider"), jobs.c.task_id == bindparam("of_task")
)
_MUTED = select(jobs.c.muted).where(jobs.c.id == bindparam("of_id"))
_STOPPED = select(providers.c.name).where(
    providers.c.held_reason.is_not(None) | (providers.c.paused_until > NOW)
)
_READY = (
    jobs.c.provider.in_(bindparam("names", expanding=True))
    & jobs.c.provider.not_in(_STOPPED)
    & (jobs.c.cancel_at.is_(None) | (jobs.c.cancel_at > NOW))
)
_QUEUED = Claim(
    jobs,
    Job,
    [JobState.QUEUED],
    _READY & (jobs.c.account_id == bindparam("account")),
    state=JobState.SUBMITTING,
)
_TURNS = Turns(jobs, [JobState.QUEUED], _READY)
_POLLS = Claim(
    jobs, Job, ASKABLE, (jobs.c.provider == bindparam("name")) & jobs.c.task_id.is_not(None)
)
_WAITING = Claim(
    jobs,
    Job,
    [JobState.SUBMITTING, JobState.UNKNOWN, JobState.HELD],
    jobs.c.task_id.is_(None),
)


def insert(tx: Connection, job: Job) -> None:
    """Insert a new job."""
    add(tx, jobs, job)
    note_kept(tx, job.id)
    _call_for_sending(tx, 1)


def _call_for_sending(tx: Connection, count: int) -> int:
    # Only the worker knows the providers whose calls last as long as the generation.
    for kind in ("submit", "generate"):
        call_for(tx, kind, count)
    return count


def find(tx: Connection, job_id: str) -> Job | None:
    """The job with this id, or None."""
    return value(Job, row_where(tx, jobs, id=job_id))


def of_ids(tx: Connection, job_ids: Collection[str]) -> dict[str, Job]:
    """The readable ones of these jobs, by id."""
    found = readable(tx, select(jobs).where(jobs.c.id.in_(job_ids)), Job)
    return {job.id: job for job in found}


def lock(tx: Connection, job_id: str) -> Job | None:
    """The job, locked until this transaction ends; None if there is none."""
    return value(Job, row_where(tx, jobs, lock=True, id=job_id))


def lock_if_free(tx: Connection, job_id: str) -> Job | None:
    """Lock the job without waiting, so in any order; None if another transaction has locked it."""
    return value(Job, tx.execute(_LOCK_IF_FREE, {"id": job_id}).one_or_none())


def owned(tx: Connection, account_id: str, job_id: str) -> Job | None:
    """The job with this id if it belongs to this account, else None."""
    return value(Job, row_where(tx, jobs, id=job_id, account_id=account_id))


def input_names(tx: Connection, account_id: str, url: str, since: datetime) -> bool:
    """Whether the input of one of the account's jobs since a time contains this URL."""
    named = cast(jobs.c.input, Text).contains(url, autoescape=True)
    recent = (jobs.c.account_id == account_id) & (jobs.c.id >= first_id("job", since))
    return tx.execute(select(jobs.c.id).where(recent & named).limit(1)).first() is not None


def of_batch(tx: Connection, account_id: str, key: str) -> Job | None:
    """The account's job of the batch row with this key, or None."""
    statement = select(jobs).filter_by(account_id=account_id, batch_key=key)
    return value(Job, tx.execute(statement).one_or_none())


def of_batches(tx: Connection, account_id: str, keys: Collection[str]) -> dict[str, Job]:
    """The account's jobs of the batch rows with these keys, by key."""
    statement = select(jobs).filter_by(account_id=account_id).where(jobs.c.batch_key.in_(keys))
    return {job.batch_key or "": job for job in readable(tx, statement, Job)}


def remember_row(tx: Connection, job_id: str, key: str, content: str) -> None:
    """Store the batch row to which the job belongs."""
    row = {"batch_key": key, "batch_content": content}
    tx.execute(update(jobs).where(jobs.c.id == job_id).values(**row))


def claim_queued(
    tx: Connection, names: Sequence[str], now: datetime, lease: float, slot: Slot = ANYWHERE
) -> Job | None:
    """
    Claim the next job to send, make it `submitting`; stopped providers are skipped.

    The slot then belongs to its account.
    """
    account_id = _TURNS.take(tx, now, slot, names=list(names))
    if account_id is None:
        return None
    job = _QUEUED.one(tx, now, lease, names=list(names), account=account_id)
    if job is not None:
        note_kept(tx, job.id)
    return job


def claim_polls(tx: Connection, name: str, now: datetime, lease: float, limit: int) -> list[Job]:
    """Claim the next jobs to poll at this provider, at most `limit`, for `lease` seconds."""
    return _POLLS.many(tx, now, lease, limit, name=name)


def claim_waiting(tx: Connection, now: datetime, lease: float) -> Job | None:
    """Claim the next job whose lease, deadline or hold has expired; None if there is none."""
    return _WAITING.one(tx, now, lease)


def lock_late(tx: Connection, now: datetime) -> Job | None:
    """Lock the next unsent job whose `cancel_after` has passed; None if there is none."""
    statement = select(jobs).where(jobs.c.cancel_at <= now, jobs.c.state.in_(UNSENT))
    one = statement.order_by(jobs.c.cancel_at).limit(1)
    return value(Job, tx.execute(one.with_for_update(skip_locked=True)).one_or_none())


def ids_in_states(tx: Connection, states: Sequence[JobState], limit: int) -> list[str]:
    """Jobs of all accounts in these states, oldest first."""
    statement = select(jobs.c.id).where(jobs.c.state.in_(states)).order_by(jobs.c.id)
    return list(tx.scalars(statement.limit(limit)))


def settle_claimed(tx: Connection, job: Job, **changes: Any) -> bool:
    """Store the result of a claimed job; False if somebody else has claimed it since."""
    changed = settle(tx, jobs, job, **changes)
    if changed:
        note_kept(tx, job.id)
    return changed


def unclaim(tx: Connection, job: Job, now: datetime) -> None:
    """Queue a job again that was claimed but not sent, unless it was claimed since."""
    claimed = (jobs.c.id == job.id, jobs.c.claims == job.claims)
    statement = update(jobs).where(*claimed, jobs.c.state == JobState.SUBMITTING)
    tx.execute(statement.values(state=JobState.QUEUED, due_at=now, sent_at=None))


def change(tx: Connection, job_id: str, states: Sequence[JobState], **changes: Any) -> bool:
    """Compare-and-set: change the job if it is in one of `states`; returns whether it was."""
    return _changed(tx, _update_in(tuple(states)), job_id, changes)


def _changed(tx: Connection, statement: Update, job_id: str, changes: Mapping[str, Any]) -> bool:
    """Run the statement for the job; returns whether it has changed it."""
    changed = tx.execute(statement, {"of_id": job_id, **changes}).rowcount == 1
    if changed:
        note_kept(tx, job_id)
    return changed


@cache
def _update_in(states: tuple[JobState, ...], *, accept: bool = False) -> Update:
    own = update(jobs).where(jobs.c.id == bindparam("of_id"), jobs.c.state.in_(states))
    return own.values(state=JobState.SUBMITTED, claims=jobs.c.claims + 1) if accept else own


def accept(tx: Connection, job_id: str, states: Sequence[JobState], **changes: Any) -> bool:
    """
    Compare-and-set to `submitted` with a task; returns whether it was in one of `states`.

    It counts as a claim, so that a worker that still sends the job cannot change it any more.
    """
    return _changed(tx, _update_in(tuple(states), accept=True), job_id, changes)


def still_claimed(tx: Connection, claimed: Job) -> bool:
    """Whether the claim of the job is still valid; locks it until the transaction ends."""
    now = lock(tx, claimed.id)
    return now is not None and (now.state, now.claims) == (claimed.state, claimed.claims)


def still_sent_by(tx: Connection, claimed: Job) -> bool:
    """
    Whether the job was not sent again since this claim.

    If its lease has expired, the job is unknown, and was claimed once more for that change.
    """
    now = lock(tx, claimed.id)
    if now is None:
        return False
    given_up = now.state is JobState.UNKNOWN and now.claims == claimed.claims + 1
    return given_up or (now.state is JobState.SUBMITTING and now.claims == claimed.claims)


def end(tx: Connection, job_id: str, now: datetime, **changes: Any) -> bool:
    """
    Compare-and-set to a terminal state; False if the job was finished before.

    A success replaces a failure that we concluded ourselves.
    """
    statement = _end(succeeded=changes["state"] is JobState.SUCCEEDED)
    ended = {"finished_at": now, "due_at": None, **changes}
    return _changed(tx, statement, job_id, ended)


@cache
def _end(*, succeeded: bool) -> Update:
    open_ = jobs.c.state.not_in(sorted(TERMINAL))
    if succeeded:
        code = jobs.c.error["code"].as_string()
        open_ |= (jobs.c.state == JobState.FAILED) & code.in_(sorted(CONCLUDED))
    return update(jobs).where(jobs.c.id == bindparam("of_id"), open_)


def queued_from_compat(tx: Connection, provider: str, own_source: str) -> list[Job]:
    """
    The queued jobs of a provider that came through a vendor-compatible API.

    They are locked; a job that a worker sends at this moment is not among them.
    """
    statement = select(jobs).filter_by(provider=provider, state=JobState.QUEUED)
    statement = statement.where(jobs.c.source != own_source).order_by(jobs.c.id)
    return values(Job, tx.execute(statement.with_for_update(key_share=True)).all())


def release_held(tx: Connection, provider: str, now: datetime) -> int:
    """Queue the held jobs of a provider again; returns their number."""
    statement = update(jobs).where(jobs.c.provider == provider, jobs.c.state == JobState.HELD)
    queued = statement.values(state=JobState.QUEUED, due_at=now, error=None)
    return _call_for_sending(tx, tx.execute(queued).rowcount)


def make_due_now(tx: Connection, provider: str, now: datetime) -> int:
    """Make the waiting queued jobs of a provider due now; returns their number."""
    waiting = (jobs.c.provider == provider) & (jobs.c.state == JobState.QUEUED)
    later = update(jobs).where(waiting, jobs.c.due_at > now)
    return _call_for_sending(tx, tx.execute(later.values(due_at=now)).rowcount)


def poll_now(tx: Connection, provider: str, now: datetime) -> None:
    """Make the polls of a provider's tasks due now."""
    # Without jobs that are being sent: their due date is a lease.
    sent = jobs.c.state.in_([JobState.SUBMITTED, JobState.UNKNOWN])
    asked = (jobs.c.provider == provider) & sent & (jobs.c.polls > 0)
    later = select(jobs.c.id).where(asked, jobs.c.due_at > now)
    # The holder of a job settles a poll, and may have several jobs: waiting could be a deadlock.
    free = later.with_for_update(skip_locked=True, key_share=True)
    tx.execute(update(jobs).where(jobs.c.id.in_(free)).values(due_at=now))


def count_open(tx: Connection, provider: str) -> int:
    """The number of tasks that the provider may be working on for us."""
    return tx.scalar(_COUNT_OPEN, {"name": provider}) or 0


def holder_of(tx: Connection, provider: str, task_id: str) -> str | None:
    """The id of the job with this task, or None."""
    return tx.scalar(_HOLDER, {"of_provider": provider, "of_task": task_id})


def holders_of(tx: Connection, provider: str, task_ids: Collection[str]) -> dict[str, str]:
    """The ids of the jobs with these tasks, by task id."""
    own = (jobs.c.provider == provider) & jobs.c.task_id.in_(task_ids)
    found = tx.execute(select(jobs.c.task_id, jobs.c.id).where(own))
    return {row.task_id: row.id for row in found}


def is_muted(tx: Connection, job_id: str) -> bool:
    """Whether the job is muted: no message about it is sent."""
    return bool(tx.scalar(_MUTED, {"of_id": job_id}))


def mark_overdue(tx: Connection, job_id: str) -> bool:
    """Compare-and-set; False if it was overdue already, or is finished."""
    open_ = jobs.c.overdue.is_(False) & jobs.c.state.not_in(sorted(TERMINAL))
    statement = update(jobs).where(jobs.c.id == job_id, open_)
    return tx.execute(statement.values(overdue=True)).rowcount == 1


def spent_since(tx: Connection, account_id: str, since: datetime, but: str | None = None) -> float:
    """Dollars spent or reserved by an account's jobs sent since a time, except `but`."""
    statement = select(func.sum(COST)).where(jobs.c.account_id == account_id, PAID)
    if but is not None:
        statement = statement.where(jobs.c.id != but)
    return float(tx.scalar(statement.where(jobs.c.sent_at >= since)) or 0.0)


def count_without_price(tx: Connection, account_id: str, since: datetime) -> int:
    """The number of an account's jobs sent since a time without a stated price."""
    unknown = jobs.c.actual_cost.is_(None) & jobs.c.estimated_max.is_(None)
    statement = select(func.count()).select_from(jobs).where(PAID, unknown)
    own = (jobs.c.account_id == account_id) & (jobs.c.sent_at >= since)
    return int(tx.scalar(statement.where(own)) or 0)


def recent_ends(tx: Connection, names: Sequence[str], limit: int) -> list[str]:
    """The sources (`resolved_by`) of the newest jobs' outcomes, of those by these providers."""
    columns = select(jobs.c.resolved_by, jobs.c.provider)
    recent = columns.order_by(jobs.c.id.desc()).limit(10 * limit).subquery()
    ended = recent.c.provider.in_(names) & recent.c.resolved_by.is_not(None)
    return list(tx.scalars(select(recent.c.resolved_by).where(ended).limit(limit)))


def waits_for_a_person(tx: Connection, account_id: str) -> bool:
    """Whether the account has an unknown job that only a person can resolve."""
    left = jobs.c.due_at.is_(None) | (jobs.c.due_at >= jobs.c.deadline_at)
    own = (jobs.c.account_id == account_id) & (jobs.c.state == JobState.UNKNOWN)
    return (
        tx.scalar(select(jobs.c.id).where(own, left, jobs.c.task_id.is_(None)).limit(1)) is not None
    )
